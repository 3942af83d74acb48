//! Our registry as a child process of a test: it says itself where it listens, ends with the test, and shows its log
//! when that fails.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::eventually;

/// A server that answers.
pub struct Server {
    child: Child,
    log: PathBuf,
    /// The address and port that it listens on.
    pub address: String,
}

impl Server {
    /// Starts `program`, which is our executable, perhaps in a namespace. Port 0 is any free one.
    pub fn start(mut program: Command, address: &str, storage: &Path, arguments: &[&str]) -> Server {
        let log = storage.with_extension("log");
        program.args(["registry", "serve", "--address", address, "--storage"]).arg(storage).args(arguments);
        let child = program.stdin(Stdio::null()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        let mut server = Server { child, log, address: String::new() };
        eventually("the registry serves", || {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "the registry ended: {ended:?}");
            let said = server.said();
            let told = said.split_once("serving address=").and_then(|(_, rest)| rest.split_once('\n'));
            server.address = told.map(|(address, _)| address.trim().to_string()).unwrap_or_default();
            !server.address.is_empty()
        });
        server
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of the registry at {} ---\n{}", self.address, self.said());
        }
    }
}
