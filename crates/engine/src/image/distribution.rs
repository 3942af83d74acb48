//! Registries for the engine: the client as configured, credentials and errors in the engine's terms, and a transfer's
//! events as the stream that a client of the API reads.
//!
//! A transfer lives as long as somebody listens: when the client goes away, it is cancelled.

use std::future::Future;

use boxship_api::auth::AuthConfig;
use boxship_api::progress::{ProgressDetail, ProgressMessage};
use boxship_distribution::{Client, Credentials, Event, Events, Hosts, Patience, Proxies, Settings};
use boxship_store::Store;
use tokio::sync::mpsc;

use super::ProgressStream;
use crate::{EngineConfig, Error, Kind, Result};

/// Events and messages that may wait for the client.
const WAITING: usize = 64;

/// The client of registries as configured.
pub(crate) fn client(config: &EngineConfig, store: &Store) -> Result<Client> {
    let proxies = Proxies::new(&config.http_proxy, &config.https_proxy, &config.no_proxy)
        .map_err(|error| Error::invalid(error.to_string()))?;
    let settings = Settings {
        hosts: Hosts {
            mirrors: config.registry_mirrors.clone(),
            insecure: config.insecure_registries.clone(),
            folders: config.registry_folders.clone(),
        },
        proxies,
        downloads: config.max_concurrent_downloads,
        uploads: config.max_concurrent_uploads,
        patience: Patience { attempts: config.max_download_attempts.max(1), ..Patience::default() },
        budget: config.layer_cache_size,
        user_agent: format!("boxship/{} (linux)", config.version),
        ..Settings::default()
    };
    Ok(Client::new(store.clone(), settings))
}

/// What a client of the API sent for a registry.
pub(super) fn credentials(auth: Option<&AuthConfig>) -> Credentials {
    let Some(auth) = auth else { return Credentials::Anonymous };
    if !auth.registrytoken.is_empty() {
        return Credentials::Bearer(auth.registrytoken.clone());
    }
    if !auth.identitytoken.is_empty() {
        return Credentials::Identity(auth.identitytoken.clone());
    }
    if auth.username.is_empty() && auth.password.is_empty() {
        return Credentials::Anonymous;
    }
    Credentials::Password { user: auth.username.clone(), password: auth.password.clone() }
}

/// From the registry client's error.
pub(super) fn error(source: boxship_distribution::Error) -> Error {
    use boxship_distribution::Kind as Theirs;
    let kind = match source.kind() {
        Theirs::NotFound => Kind::NotFound,
        Theirs::Unauthorized => Kind::Unauthorized,
        Theirs::Denied => Kind::Forbidden,
        Theirs::Invalid => Kind::Invalid,
        _ if source.is_unreachable() => Kind::Unavailable,
        _ => Kind::Internal,
    };
    Error::new(kind, text(&source))
}

/// Of this machine's own failures the causes are of interest, "no space left on device" above all; others tell theirs.
fn text(error: &boxship_distribution::Error) -> String {
    use boxship_distribution::Error as Theirs;
    match error {
        Theirs::Store(_) | Theirs::Image(_) | Theirs::Io { .. } => crate::error::with_causes(error),
        Theirs::Shared(error) => text(error),
        Theirs::Blob { digest, source } => format!("layer {digest}: {}", text(source)),
        _ => error.to_string(),
    }
}

/// Runs a transfer and streams what it tells. What fails before anything was told is an error, later the last message.
pub(super) async fn transfer<F>(work: impl FnOnce(Events) -> F + Send + 'static) -> Result<ProgressStream>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (sender, mut receiver) = mpsc::channel(WAITING);
    tokio::spawn(run(work, sender));
    let first = match receiver.recv().await {
        Some(Ok(first)) => Some(first),
        Some(Err(error)) => return Err(error),
        None => None,
    };
    let rest = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let message = match receiver.recv().await? {
            Ok(message) => message,
            Err(error) => ProgressMessage::failure(error.to_string()),
        };
        Some((message, receiver))
    });
    let first = futures_util::stream::iter(first);
    Ok(Box::pin(futures_util::StreamExt::chain(first, rest)))
}

async fn run<F>(work: impl FnOnce(Events) -> F, sender: mpsc::Sender<Result<ProgressMessage>>)
where
    F: Future<Output = Result<()>>,
{
    let (tell, mut events) = mpsc::channel(WAITING);
    let outcome = {
        let work = work(Events::new(tell));
        tokio::pin!(work);
        loop {
            tokio::select! {
                // Told before the end is looked at.
                biased;
                () = sender.closed() => return,
                Some(event) = events.recv() => {
                    if sender.send(Ok(message(event))).await.is_err() {
                        return;
                    }
                }
                outcome = &mut work => break outcome,
            }
        }
    };
    while let Ok(event) = events.try_recv() {
        if sender.send(Ok(message(event))).await.is_err() {
            return;
        }
    }
    if let Err(error) = outcome {
        // A client that is gone needs no reason.
        let _ = sender.send(Err(error)).await;
    }
}

fn message(event: Event) -> ProgressMessage {
    let plain = event.id.is_empty() || event.status.starts_with("Pulling from");
    let detail = |(current, total): (u64, u64)| ProgressDetail {
        current: current as i64,
        total: total as i64,
        ..ProgressDetail::default()
    };
    ProgressMessage {
        progress: event.progress.map(|(current, total)| bar(current, total)).unwrap_or_default(),
        progress_detail: match event.progress {
            Some(progress) => Some(detail(progress)),
            None => (!plain).then(ProgressDetail::default),
        },
        id: event.id,
        status: boxship_sys::error::plain(&event.status),
        aux: event.aux,
        ..ProgressMessage::default()
    }
}

/// The bar that Docker sends along for clients that draw none themselves.
pub(super) fn bar(current: u64, total: u64) -> String {
    if total == 0 || current > total {
        return format!("{:>8}", size(current));
    }
    let filled = usize::try_from(current * 50 / total).unwrap_or(50);
    let (done, left) = ("=".repeat(filled), " ".repeat(50 - filled));
    format!("[{done}>{left}] {:>8}/{}", size(current), size(total))
}

/// Four digits and a unit, as Docker writes sizes.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB"].iter().peekable();
    let mut unit = "B";
    while let Some(next) = units.next() {
        unit = next;
        if value < 1000.0 || units.peek().is_none() {
            break;
        }
        value /= 1000.0;
    }
    let digits = if value < 10.0 {
        3
    } else if value < 100.0 {
        2
    } else {
        1
    };
    let text = format!("{value:.digits$}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    #[test]
    fn messages_as_dockers() {
        let json = |event| serde_json::to_string(&message(event)).unwrap();
        assert_eq!(
            json(Event::of("latest", "Pulling from library/busybox")),
            r#"{"status":"Pulling from library/busybox","id":"latest"}"#
        );
        assert_eq!(
            json(Event::of("abc", "Pull complete")),
            r#"{"status":"Pull complete","progressDetail":{},"id":"abc"}"#
        );
        let event = Event { progress: Some((500, 1000)), ..Event::of("abc", "Downloading") };
        let message = message(event);
        assert_eq!(message.progress, format!("[{}>{}]     500B/1kB", "=".repeat(25), " ".repeat(25)));
    }

    #[test]
    fn a_full_disk_is_named_also_to_those_who_share_a_pull() {
        use boxship_distribution::Error as Theirs;
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let failed = Theirs::Io { operation: "write layer", source: full };
        let blob = Theirs::Blob { digest: boxship_oci::Digest::of("x"), source: Box::new(failed) };
        let told = error(Theirs::Shared(std::sync::Arc::new(blob))).to_string();
        assert!(told.starts_with("layer sha256:"), "{told}");
        assert!(told.ends_with(": write layer: no storage space"), "{told}");
    }

    #[tokio::test]
    async fn a_transfer_ends_with_its_listener() {
        let (alive, gone) = tokio::sync::oneshot::channel::<()>();
        let stream = transfer(move |events| async move {
            let _alive = alive;
            events.tell(Event::status("begun")).await;
            std::future::pending().await
        });
        let mut stream = stream.await.unwrap();
        assert_eq!(stream.next().await.unwrap().status, "begun");
        drop(stream);
        assert!(gone.await.is_err());
        let early = transfer(|_| async { Err(Error::not_found("x")) }).await;
        assert_eq!(early.err().unwrap().kind(), Kind::NotFound);
        let late = transfer(|events| async move {
            events.tell(Event::status("begun")).await;
            Err(Error::not_found("x"))
        });
        let told: Vec<_> = late.await.unwrap().collect().await;
        assert_eq!((told.len(), told[1].error.as_str()), (2, "x"));
    }
}
