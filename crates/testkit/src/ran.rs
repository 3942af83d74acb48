//! A command that a test runs to its end: what it printed, and how it ended.
//!
//! One that doesn't end is killed after a generous time and fails its test with its command line and what it has printed
//! so far, instead of holding up all tests for ever. Nothing is said here of how fast a command should be.
//!
//! Only the command itself is killed. What it has started may go on and keep its output open: nobody waits for that.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::mem;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long to read what is in the pipes, when their end isn't waited for any longer.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a command printed and how it ended, with the text already decoded. Two are equal whatever the command was.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The command line, for whoever reads why a test failed.
    pub command: String,
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Runs a command to its end, without standard input; panics when it doesn't end.
    #[track_caller]
    pub fn of(command: &mut Command) -> Ran {
        match Ran::within(PATIENCE, command) {
            Ok(ran) => ran,
            // Not in a closure: it would forget the caller.
            Err(why) => panic!("{why}"),
        }
    }

    /// The same for who must not panic; the error says everything.
    pub fn within(patience: Duration, command: &mut Command) -> Result<Ran, String> {
        let line = words(command);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Ran::end_of(patience, line, child.map_err(|why| format!("run {}: {why}", words(command)))?)
    }

    /// Waits for the end of one that is under way, whose input is closed now; panics when it doesn't come.
    #[track_caller]
    pub fn to_end(child: Child) -> Ran {
        let line = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap_or_default();
        match Ran::end_of(PATIENCE, String::from_utf8_lossy(&line).replace('\0', " "), child) {
            Ok(ran) => ran,
            Err(why) => panic!("{why}"),
        }
    }

    fn end_of(patience: Duration, command: String, mut child: Child) -> Result<Ran, String> {
        let deadline = Instant::now() + patience;
        drop(child.stdin.take());
        let (open, closed) = mpsc::channel();
        let stdout = child.stdout.take().map(|pipe| collect(pipe, open.clone())).unwrap_or_default();
        let stderr = child.stderr.take().map(|pipe| collect(pipe, open)).unwrap_or_default();
        // Nobody sends: what is waited for is that both have been read to their ends.
        let all_read = |patience| closed.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected);
        let whole = all_read(patience);
        let status = end(&mut child, deadline);
        if !whole {
            all_read(LAST_WORDS);
        }
        let (stdout, stderr) = (text(&stdout), text(&stderr));
        match status {
            Some(status) if whole => Ok(Ran { command, code: status.code().unwrap_or(-1), stdout, stderr }),
            Some(status) => Err(format!(
                "{command}: ended with {status}, and something it started keeps its output open after {patience:?}\n\
                 stdout: {stdout}\nstderr: {stderr}"
            )),
            None => Err(format!(
                "{command}: not at its end after {patience:?}, killed\nstdout: {stdout}\nstderr: {stderr}"
            )),
        }
    }

    /// Standard output without white space at its ends; panics unless the command succeeded.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "{}\nstdout: {}\nstderr: {}", self.command, self.stdout, self.stderr);
        self.stdout.trim()
    }
}

impl PartialEq for Ran {
    fn eq(&self, other: &Ran) -> bool {
        (self.code, &self.stdout, &self.stderr) == (other.code, &other.stdout, &other.stderr)
    }
}

/// Waits for the end of a child until `deadline`; then it is killed, and there is no status.
pub fn end(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        let ended = child.try_wait().expect("look at a child");
        if ended.is_some() {
            return ended;
        }
        if Instant::now() >= deadline {
            child.kill().expect("kill a child");
            child.wait().expect("reap a child");
            return None;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

type Bytes = Arc<Mutex<Vec<u8>>>;

/// Reads a pipe on a thread, which drops `open` at the pipe's end.
fn collect(mut pipe: impl Read + Send + 'static, open: Sender<()>) -> Bytes {
    let bytes = Bytes::default();
    let shared = bytes.clone();
    thread::spawn(move || {
        let _open = open;
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            shared.lock().expect("nobody panics with it").extend(&buffer[..count]);
        }
    });
    bytes
}

fn text(bytes: &Bytes) -> String {
    let bytes = mem::take(&mut *bytes.lock().expect("nobody panics with it"));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_was_printed_and_how_it_ended() {
        let ran = Ran::of(&mut shell("cat; echo out; echo err >&2; exit 3"));
        assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (3, "out\n", "err\n"));
        assert_eq!(Ran::of(&mut shell("kill -9 $$")).code, -1);
        let much = Ran::of(&mut shell("yes | head -c 3000000; yes | head -c 3000000 >&2"));
        assert_eq!((much.stdout.len(), much.stderr.len()), (3_000_000, 3_000_000));
        assert!(
            Ran::within(PATIENCE, &mut Command::new("/nosuch")).unwrap_err().starts_with("run /nosuch: ")
        );
    }

    #[test]
    fn one_that_hangs_is_killed_and_tells_what_it_has_printed() {
        let folder = tempfile::tempdir().unwrap();
        for (script, how) in [
            ("echo out; echo err >&2; touch printed; exec sleep 1000", "killed\n"),
            (
                "sleep 1000 & echo out; echo err >&2; echo $! > other; mv other printed; exec sleep 1000",
                "killed\n",
            ),
            (
                "sleep 1000 & echo out; echo err >&2; echo $! > other; mv other printed",
                "keeps its output open",
            ),
        ] {
            let mut command = shell(script);
            command.current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.stdin(Stdio::null()).spawn().unwrap();
            let pid = child.id();
            let printed = folder.path().join("printed");
            while !printed.exists() {
                thread::sleep(Duration::from_millis(1));
            }
            if !how.starts_with("killed") {
                child.wait().unwrap();
            }
            let why = Ran::end_of(Duration::ZERO, words(&command), child).unwrap_err();
            for text in [script, how, "stdout: out\n", "stderr: err\n"] {
                assert!(why.contains(text), "{why}");
            }
            assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
            let other = std::fs::read_to_string(&printed).unwrap();
            std::fs::remove_file(printed).unwrap();
            if !other.is_empty() {
                assert_eq!(Ran::of(&mut shell(&format!("kill {other}"))).code, 0);
            }
        }
    }
}
