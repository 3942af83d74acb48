//! The client against a scripted daemon: one exchange where the version fits, an older version otherwise, errors,
//! streams of values, and taken-over connections with half-close.
#![allow(clippy::unwrap_used)] // A test's way to fail.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

use boxship_client::{Address, Client, Query};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A daemon that answers by `answer(method, path, body)`, which writes to the connection, and tells every request line.
struct Daemon {
    path: PathBuf,
    asked: Receiver<String>,
}

impl Daemon {
    fn start(name: &str, answer: fn(&str, &mut UnixStream)) -> Daemon {
        let path = std::env::temp_dir().join(format!("boxship-client-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let (tell, asked) = channel();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (mut connection, tell) = (connection.unwrap(), tell.clone());
                std::thread::spawn(move || {
                    while let Some(line) = request(&connection) {
                        let _ = tell.send(line.clone());
                        answer(&line, &mut connection);
                    }
                });
            }
        });
        Daemon { path, asked }
    }

    fn client(&self) -> Client {
        Client::new(Address::Unix(self.path.clone()), None, None)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Reads one request without touching what follows it; gives its first line.
fn request(connection: &UnixStream) -> Option<String> {
    // Byte by byte: what follows an upgrade belongs to nobody's buffer.
    let mut reader = BufReader::with_capacity(1, connection);
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if first.is_empty() {
            first = line.to_string();
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(first)
}

fn reply(connection: &mut UnixStream, status: &str, body: &str) {
    let _ = write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}

#[tokio::test]
async fn one_exchange_when_the_version_fits_and_connections_are_used_again() {
    let daemon = Daemon::start("fits", |_, connection| reply(connection, "200 OK", "{\"ok\":true}"));
    let client = daemon.client();
    for _ in 0..2 {
        let answer: Value = client.get("/info", Query::new().set("a", "b c")).await.unwrap();
        assert_eq!(answer["ok"], true);
    }
    let asked: Vec<String> = daemon.asked.try_iter().collect();
    assert_eq!(asked, ["GET /v1.51/info?a=b%20c HTTP/1.1"; 2]);
}

#[tokio::test]
async fn an_older_daemon_is_asked_again_in_its_own_version() {
    let daemon = Daemon::start("older", |line, connection| match line.contains("/v1.41/") {
        true => reply(connection, "200 OK", "{}"),
        false => {
            let why = "client version 1.51 is too new. Maximum supported API version is 1.41";
            reply(connection, "400 Bad Request", &json!({ "message": why }).to_string());
        }
    });
    let client = daemon.client();
    client.post::<Value>("/containers/create", Query::new(), &json!({ "Image": "x" })).await.unwrap();
    client.get::<Value>("/info", Query::new()).await.unwrap();
    assert_eq!(client.version().to_string(), "1.41");
    assert_eq!(daemon.asked.try_iter().count(), 3);
}

#[tokio::test]
async fn refusals_carry_the_daemons_words() {
    let daemon = Daemon::start("refuses", |line, connection| match line.contains("plain") {
        true => reply(connection, "500 Internal Server Error", "boom\n"),
        false => reply(connection, "404 Not Found", "{\"message\":\"No such container: x \"}"),
    });
    let client = daemon.client();
    let error = client.get::<Value>("/containers/x/json", Query::new()).await.unwrap_err();
    assert_eq!((error.status(), error.to_string().as_str()), (Some(404), "No such container: x"));
    let error = client.get::<Value>("/plain", Query::new()).await.unwrap_err();
    assert_eq!((error.status(), error.to_string().as_str()), (Some(500), "boom"));
    let nobody = Client::new(Address::Unix("/nosuch/socket".into()), None, None);
    let error = nobody.get::<Value>("/info", Query::new()).await.unwrap_err();
    assert!(matches!(error, boxship_client::Error::Connect { .. }), "{error}");
}

#[tokio::test]
async fn values_come_one_by_one_however_they_are_cut() {
    let daemon = Daemon::start("lines", |_, connection| {
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for piece in ["{\"a\":", "1}\n{\"a\":2}{\"a\"", ":3}\r\n"] {
            let _ = write!(connection, "{:x}\r\n{piece}\r\n", piece.len());
            let _ = connection.flush();
        }
        let _ = connection.write_all(b"0\r\n\r\n");
    });
    let client = daemon.client();
    let mut lines = client.request(Method::GET, "/events", Query::new(), None::<&()>).await.unwrap().lines();
    let mut seen = Vec::new();
    while let Some(value) = lines.next::<Value>().await.unwrap() {
        seen.push(value["a"].as_i64().unwrap());
    }
    assert_eq!(seen, [1, 2, 3]);
}

#[tokio::test]
async fn a_connection_is_taken_over_and_half_closed() {
    let daemon = Daemon::start("hijack", |_, connection| {
        let head = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\n\
                    Upgrade: tcp\r\n\r\nearly ";
        let _ = connection.write_all(head.as_bytes());
        // All input until it ends, and only then the answer: our half-close must not close the other half.
        let mut input = String::new();
        let _ = connection.read_to_string(&mut input);
        let _ = write!(connection, "got {input}");
        let _ = connection.shutdown(std::net::Shutdown::Both);
    });
    let client = daemon.client();
    let mut taken = client.hijack("/containers/x/attach", Query::new(), None::<&()>).await.unwrap();
    assert_eq!(taken.content_type, "application/vnd.docker.raw-stream");
    taken.stream.write_all(b"hello").await.unwrap();
    taken.stream.shutdown().await.unwrap();
    let mut output = String::new();
    taken.stream.read_to_string(&mut output).await.unwrap();
    assert_eq!(output, "early got hello");
}

#[tokio::test]
async fn a_daemon_that_goes_within_its_answer_is_an_unexpected_end() {
    let daemon = Daemon::start("gone", |line, connection| {
        let body: &[u8] = match () {
            () if line.contains("/length") => b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
            () if line.contains("/chunked") => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            () => b"",
        };
        let _ = connection.write_all(body);
        let _ = connection.shutdown(std::net::Shutdown::Both);
    });
    for path in ["/length", "/chunked", "/head"] {
        let error = daemon.client().get::<Value>(path, Query::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "unexpected EOF", "{path}");
    }
}

#[tokio::test]
async fn a_daemon_that_is_gone_at_the_first_request_is_brought_back_once() {
    let path = std::env::temp_dir().join(format!("boxship-client-revived-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    // Nobody listens at a socket whose listener was dropped: refused.
    drop(UnixListener::bind(&path).unwrap());
    let (back, wait) = channel();
    let client = Client::new(Address::Unix(path.clone()), None, None).reviving(move || {
        Box::pin(async move {
            let daemon = Daemon::start("revived", |_, connection| reply(connection, "200 OK", "{}"));
            back.send(daemon).is_ok()
        })
    });
    client.get::<Value>("/info", Query::new()).await.unwrap();
    drop(wait.try_recv().unwrap());
    let client = Client::new(Address::Unix(path.clone()), None, None);
    let client = client.reviving(|| Box::pin(std::future::ready(false)));
    assert!(client.get::<Value>("/info", Query::new()).await.is_err());
}
