//! A registry in the test's own process that can be told to misbehave: HTTP by hand, so that every byte is its own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use boxship_oci::Digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: HashMap<String, String>,
    /// How many requests for this path came before.
    pub nth: usize,
    /// What was sent along, but for blobs.
    pub body: Vec<u8>,
}

/// An answer, and how it is spoiled.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection ends after this many bytes of the body.
    pub cut: Option<usize>,
    /// Nothing more comes after this many bytes of the body.
    pub stall: Option<usize>,
    /// The body comes in pieces, each after a pause.
    pub slow: Option<(usize, Duration)>,
}

impl Answer {
    pub fn of(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status, body: body.into(), ..Answer::default() }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Answer {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

type Spoil = dyn Fn(&Seen, Answer) -> Answer + Send + Sync;

#[derive(Default)]
struct State {
    documents: HashMap<String, (String, Vec<u8>)>,
    seen: Vec<Seen>,
    /// Bytes of blobs that were written to connections.
    served: usize,
    /// What came of the one upload.
    upload: Vec<u8>,
    /// After how many bytes of a body the next uploads break.
    breaks: Vec<usize>,
}

/// A running registry. It ends with the test's runtime.
#[derive(Clone)]
pub struct Fake {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Fake {
    /// Starts one; `spoil` gets each request with the right answer.
    pub async fn start(spoil: impl Fn(&Seen, Answer) -> Answer + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fake = Fake { address, state: Arc::default() };
        let (serving, spoil): (Fake, Arc<Spoil>) = (fake.clone(), Arc::new(spoil));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, spoil) = (serving.clone(), spoil.clone());
                tokio::spawn(async move { serving.connection(stream, &*spoil).await });
            }
        });
        fake
    }

    pub fn put(&self, path: &str, kind: &str, bytes: impl Into<Vec<u8>>) {
        self.state.lock().unwrap().documents.insert(path.to_owned(), (kind.to_owned(), bytes.into()));
    }

    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.put(&format!("/v2/{repository}/blobs/{digest}"), "application/octet-stream", bytes);
        digest
    }

    pub fn put_manifest(&self, repository: &str, tag: &str, kind: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        for name in [tag.to_owned(), digest.to_string()] {
            self.put(&format!("/v2/{repository}/manifests/{name}"), kind, bytes);
        }
        digest
    }

    /// The next requests with a body for an upload break after so many bytes, the last one first.
    pub fn break_uploads(&self, after: Vec<usize>) {
        self.state.lock().unwrap().breaks = after;
    }

    pub fn document(&self, path: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().documents.get(path).map(|(_, bytes)| bytes.clone())
    }

    pub fn seen(&self, part: &str) -> Vec<Seen> {
        let state = self.state.lock().unwrap();
        state.seen.iter().filter(|seen| seen.path.contains(part)).cloned().collect()
    }

    pub fn served(&self) -> usize {
        std::mem::take(&mut self.state.lock().unwrap().served)
    }

    async fn connection(&self, mut stream: TcpStream, spoil: &Spoil) {
        while let Some(seen) = self.request(&mut stream).await {
            let answer = spoil(&seen, self.right(&seen));
            if self.answer(&mut stream, &seen, answer).await.is_none() {
                return;
            }
        }
    }

    async fn request(&self, stream: &mut TcpStream) -> Option<Seen> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
            // A client that tries TLS first is turned away at once.
            if head == [0x16] {
                return None;
            }
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut lines = text.lines();
        let mut words = lines.next()?.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap_or(0));
        let chunked = headers.contains_key("transfer-encoding");
        let breaks = match path.contains("/uploads/") && (length > 0 || chunked) {
            true => self.state.lock().unwrap().breaks.pop(),
            false => None,
        };
        let mut body = vec![0; breaks.unwrap_or(length).min(length)];
        match chunked {
            true => body = chunks(stream, breaks).await?,
            false => drop(stream.read_exact(&mut body).await.ok()?),
        }
        self.take(&method, &path, &body, breaks.is_some());
        if breaks.is_some() {
            return None;
        }
        let mut state = self.state.lock().unwrap();
        let nth = state.seen.iter().filter(|seen| seen.path == path).count();
        let body = if path.contains("/uploads/") { Vec::new() } else { body };
        let seen = Seen { method, path, headers, nth, body };
        state.seen.push(seen.clone());
        Some(seen)
    }

    /// Keeps what is sent: pieces of the upload, manifests.
    fn take(&self, method: &str, path: &str, body: &[u8], broken: bool) {
        let mut state = self.state.lock().unwrap();
        let path = path.split('?').next().unwrap_or_default();
        match method {
            "POST" => state.upload.clear(),
            // A monolithic upload that breaks is gone.
            "PUT" if path.contains("/uploads/") && broken => {}
            "PATCH" | "PUT" if path.contains("/uploads/") => state.upload.extend_from_slice(body),
            "PUT" => drop(state.documents.insert(path.to_owned(), ("manifest".into(), body.to_vec()))),
            _ => {}
        }
    }

    /// What a healthy registry answers to a part of an upload.
    fn uploading(&self, seen: &Seen) -> Answer {
        let mut state = self.state.lock().unwrap();
        let came = state.upload.len();
        let place = seen.path.split('?').next().unwrap_or_default();
        let place = if seen.method == "POST" { format!("{place}1") } else { place.to_owned() };
        if seen.method != "PUT" {
            let status = if seen.method == "GET" { 204 } else { 202 };
            let range = format!("0-{}", came.saturating_sub(1));
            return Answer::of(status, "").header("location", place).header("range", range);
        }
        let bytes = std::mem::take(&mut state.upload);
        let digest = Digest::of(&bytes);
        if !seen.path.contains(digest.hex()) {
            return Answer::of(400, r#"{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}"#);
        }
        let blob = place.replace("uploads/1", &digest.to_string());
        state.documents.insert(blob, ("blob".into(), bytes));
        Answer::of(201, "")
    }

    /// What a healthy registry answers.
    fn right(&self, seen: &Seen) -> Answer {
        if seen.path.contains("/uploads/") {
            return self.uploading(seen);
        }
        if seen.method == "PUT" {
            return Answer::of(201, "");
        }
        if seen.path.starts_with("/v2/?") || seen.path == "/v2/" {
            return Answer::of(200, "{}");
        }
        let path = seen.path.split('?').next().unwrap_or_default();
        let state = self.state.lock().unwrap();
        let Some((kind, bytes)) = state.documents.get(path) else {
            let code = if path.contains("/manifests/") { "MANIFEST_UNKNOWN" } else { "BLOB_UNKNOWN" };
            let words = code.to_lowercase().replace('_', " ");
            return Answer::of(404, format!(r#"{{"errors":[{{"code":"{code}","message":"{words}"}}]}}"#));
        };
        let range = seen.headers.get("range").and_then(|range| range.strip_prefix("bytes="));
        let Some((start, end)) = range.and_then(|range| range.split_once('-')) else {
            return Answer::of(200, bytes.clone()).header("content-type", kind);
        };
        let start: usize = start.parse().unwrap_or(0);
        let end = end.parse().unwrap_or(bytes.len() - 1).min(bytes.len() - 1);
        Answer::of(206, &bytes[start..=end])
            .header("content-range", format!("bytes {start}-{end}/{}", bytes.len()))
    }

    async fn answer(&self, stream: &mut TcpStream, seen: &Seen, answer: Answer) -> Option<()> {
        let mut head = format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        if seen.method == "HEAD" {
            return Some(());
        }
        let whole = answer.body.len();
        let length = answer.cut.or(answer.stall).unwrap_or(whole).min(whole);
        let (step, pause) = answer.slow.unwrap_or((64 << 10, Duration::ZERO));
        for piece in answer.body[..length].chunks(step.max(1)) {
            stream.write_all(piece).await.ok()?;
            if seen.path.contains("/blobs/") {
                self.state.lock().unwrap().served += piece.len();
            }
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        if answer.stall.is_some() {
            std::future::pending::<()>().await;
        }
        answer.cut.is_none().then_some(())
    }
}

/// A body that comes in chunks, as far as the connection holds.
async fn chunks(stream: &mut TcpStream, breaks: Option<usize>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await.ok()?);
        }
        let length = usize::from_str_radix(String::from_utf8(line).ok()?.trim(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk).await.ok()?;
        body.extend_from_slice(&chunk[..length]);
        if breaks.is_some_and(|breaks| body.len() >= breaks) {
            body.truncate(breaks.unwrap_or_default());
            return Some(body);
        }
        if length == 0 {
            return Some(body);
        }
    }
}
