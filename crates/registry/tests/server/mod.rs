//! A server in this process and the plainest of clients, which can also misbehave.

pub mod client;
pub mod fake;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use boxship_registry::{AccessConfig, Config, Server, gc};
use tokio::sync::watch;

pub use client::Answer;

/// A server that ends with the test.
pub struct Running {
    address: SocketAddr,
    storage: PathBuf,
    stop: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: Option<tempfile::TempDir>,
}

impl Running {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut running = Self::at(folder.path(), change);
        running._folder = Some(folder);
        running
    }

    pub fn at(storage: &Path, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Self::config(storage);
        change(&mut config);
        let (stop, stopped) = watch::channel(false);
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            runtime.unwrap().block_on(async {
                let server = Server::bind(config).await.unwrap();
                tell.send(server.address().unwrap()).unwrap();
                server.serve(stopped).await;
            });
        });
        let address = told.recv().unwrap();
        Self { address, storage: storage.to_owned(), stop, thread: Some(thread), _folder: None }
    }

    pub fn config(storage: &Path) -> Config {
        Config {
            address: "127.0.0.1:0".parse().unwrap(),
            storage: storage.to_owned(),
            tls: None,
            access: AccessConfig::default(),
            mirror: None,
            read_only: false,
            largest_blob: 1 << 30,
            most_uploads: 100,
            upload_age: Duration::from_secs(3600),
            connections: 100,
            patience: Duration::from_secs(100),
            gc_interval: Duration::ZERO,
            gc: gc::Policy::default(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn storage(&self) -> &Path {
        &self.storage
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        stream
    }

    /// One request on a connection of its own.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(client::head(method, path, headers, Some(body.len())).as_bytes()).unwrap();
        // A refusal may come before all of the body is sent.
        let _ = stream.write_all(body);
        Answer::read(&mut stream, method)
    }

    /// A request whose body comes in chunks without a length.
    pub fn stream(&self, method: &str, path: &str, pieces: &[&[u8]]) -> Answer {
        let mut stream = self.connect();
        let headers = [("transfer-encoding", "chunked")];
        stream.write_all(client::head(method, path, &headers, None).as_bytes()).unwrap();
        for piece in pieces {
            let _ = write!(stream, "{:x}\r\n", piece.len());
            let _ = stream.write_all(piece);
            let _ = stream.write_all(b"\r\n");
        }
        let _ = stream.write_all(b"0\r\n\r\n");
        Answer::read(&mut stream, method)
    }

    /// A request that ends before its body does.
    pub fn cut(&self, method: &str, path: &str, length: usize, body: &[u8]) {
        let mut stream = self.connect();
        stream.write_all(client::head(method, path, &[], Some(length)).as_bytes()).unwrap();
        stream.write_all(body).unwrap();
    }

    /// What comes back to a client that says this and no more.
    pub fn stalled(&self, text: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A disk of two megabytes.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn mount(path: &Path) -> Self {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "none"]).arg(path).status();
        assert!(mounted.unwrap().success(), "this test mounts a disk: run it as root");
        Self(path.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
