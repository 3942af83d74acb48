//! Attached streams over a websocket: each output chunk one message, never multiplexed.

use axum::extract::FromRequestParts;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use boxship_api::framing::Decoder;
use boxship_engine::container::Attachment;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::call::stopped;
use super::{Call, Failure, Reply};

/// The longest message a client may send.
const LONGEST: usize = 1 << 20;

/// How much output waits for a slow reader.
const BUFFERED: usize = 64 << 10;

/// Join the client's websocket to `attachment`.
pub(crate) async fn join(mut call: Call, attachment: Attachment) -> Result<Reply, Failure> {
    let upgrade = WebSocketUpgrade::from_request_parts(&mut call.parts, &())
        .await
        .map_err(|rejection| Failure::new(rejection.status(), rejection.body_text()))?;
    let binary = call.version.at_least(28);
    let stopping = call.app.stopping.clone();
    Ok(upgrade.max_message_size(LONGEST).max_frame_size(LONGEST).on_upgrade(move |socket| async move {
        tokio::select! {
            () = carry(socket, attachment, binary) => {}
            () = stopped(stopping) => {}
        }
    }))
}

async fn carry(socket: WebSocket, attachment: Attachment, binary: bool) {
    let mut decoder = (!attachment.tty).then(Decoder::default);
    let (mut to_client, mut from_client) = socket.split();
    let (input, mut typed) = tokio::io::duplex(BUFFERED);
    let (output, mut shown) = tokio::io::duplex(BUFFERED);
    let container = async {
        if let Err(error) = attachment.run(input, output).await {
            tracing::debug!(%error, "attached streams broke off");
        }
    };
    let typing = async {
        while let Some(Ok(message)) = from_client.next().await {
            let bytes = match message {
                Message::Binary(bytes) => bytes,
                Message::Text(text) => Bytes::from(text),
                Message::Close(_) => break,
                Message::Ping(_) | Message::Pong(_) => continue,
            };
            if typed.write_all(&bytes).await.is_err() {
                // The container takes no input; whether the client leaves is still to be seen.
                continue;
            }
        }
    };
    let showing = async {
        let mut buffer = vec![0; BUFFERED / 2];
        while let Ok(count) = shown.read(&mut buffer).await {
            if count == 0 {
                break;
            }
            for message in messages(&mut decoder, &buffer[..count], binary) {
                if to_client.send(message).await.is_err() {
                    return;
                }
            }
        }
        // The client may be gone already.
        let _ = to_client.close().await;
    };
    tokio::select! {
        _ = async { tokio::join!(container, showing) } => {}
        () = typing => {}
    }
}

fn messages(decoder: &mut Option<Decoder>, mut bytes: &[u8], binary: bool) -> Vec<Message> {
    let Some(decoder) = decoder else { return vec![message(bytes, binary)] };
    let mut messages = Vec::new();
    while let Ok(Some((_, payload))) = decoder.next(&mut bytes) {
        messages.push(message(payload, binary));
    }
    messages
}

fn message(bytes: &[u8], binary: bool) -> Message {
    if binary {
        return Message::Binary(Bytes::copy_from_slice(bytes));
    }
    Message::Text(String::from_utf8_lossy(bytes).into_owned().into())
}
