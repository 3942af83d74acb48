//! An upstream registry that misbehaves as it is told: each request is answered by a closure.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request: its method, its path with the query, its head in lower case.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub head: String,
}

/// An answer.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection ends after so many bytes of the body.
    pub cut: Option<usize>,
    /// Called between the halves of the body.
    pub pause: Option<Box<dyn FnOnce() + Send>>,
}

impl Reply {
    pub fn of(status: u16, body: &[u8]) -> Self {
        Self { status, headers: Vec::new(), body: body.to_vec(), cut: None, pause: None }
    }

    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

/// A running one; it ends with the process.
pub struct Fake {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    pub fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (list, answer) = (seen.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (list, answer) = (list.clone(), answer.clone());
                std::thread::spawn(move || converse(stream, &list, &*answer));
            }
        });
        Self { url, seen }
    }

    /// The requests whose method and path contain this.
    pub fn seen(&self, part: &str) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|one| format!("{} {}", one.method, one.path).contains(part)).cloned().collect()
    }
}

fn converse(mut stream: TcpStream, list: &Mutex<Vec<Seen>>, answer: &dyn Fn(&Seen) -> Reply) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let seen = Seen { method: word(), path: word(), head: head.to_lowercase() };
    list.lock().unwrap().push(seen.clone());
    let reply = answer(&seen);
    let mut text = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", reply.status);
    text += &format!("content-length: {}\r\n", reply.body.len());
    for (name, value) in &reply.headers {
        text += &format!("{name}: {value}\r\n");
    }
    let _ = stream.write_all((text + "\r\n").as_bytes());
    if seen.method == "HEAD" {
        return;
    }
    let end = reply.cut.unwrap_or(reply.body.len());
    let half = if reply.pause.is_some() { end / 2 } else { 0 };
    let _ = stream.write_all(&reply.body[..half]);
    if let Some(pause) = reply.pause {
        pause();
    }
    let _ = stream.write_all(&reply.body[half..end]);
}
