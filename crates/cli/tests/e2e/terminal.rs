//! A real terminal: prompt, resize, ctrl-c, detach keys. The terminal is tmux's.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use boxship_testkit::host::{Host, Ran};
use boxship_testkit::require_program;

use crate::{eventually, host};

/// A terminal of 100×30 in which one command runs.
struct Terminal {
    socket: String,
}

impl Terminal {
    fn open(host: &Host, name: &str, line: &str) -> Terminal {
        // A socket of its own: the server before may still be on its way out.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let socket = format!("tmux-{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let terminal = Terminal { socket: host.dir().join(socket).display().to_string() };
        let command = format!(
            "env DOCKER_HOST={} BOXSHIP_NO_AUTOSTART=1 {line}; echo ended:$?; exec sleep 1000",
            host.address()
        );
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", &command]);
        terminal
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut tmux = Command::new(require_program("tmux", "tmux"));
        let ran = Ran::of(tmux.arg("-S").arg(&self.socket).args(words));
        ran.ok();
        ran.stdout
    }

    fn send(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    #[track_caller]
    fn expect(&self, text: &str) {
        self.type_until(&[], text);
    }

    /// Types this again and again until the text is on the screen: what is typed before a client has taken the
    /// terminal over may be lost, and a new size takes a moment to arrive.
    #[track_caller]
    fn type_until(&self, keys: &[&str], text: &str) {
        let (deadline, mut typed) = (Instant::now() + Duration::from_secs(120), None);
        while !self.screen().contains(text) {
            assert!(Instant::now() < deadline, "{text} never comes on the screen:\n{}", self.screen());
            if !keys.is_empty() && typed.is_none_or(|at: Instant| at.elapsed() > Duration::from_secs(1)) {
                self.send(keys);
                typed = Some(Instant::now());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").status();
    }
}

#[test]
fn a_shell_in_a_terminal() {
    let host = host();
    for client in [env!("CARGO_BIN_EXE_boxship"), "docker"] {
        let terminal =
            Terminal::open(&host, "shell", &format!("{client} run -it --rm --name box busybox sh"));
        terminal.expect("/ #");
        terminal.send(&["stty size; tty", "Enter"]);
        terminal.expect("30 100");
        terminal.tmux(&["resize-window", "-x", "80", "-y", "20"]);
        terminal.type_until(&["clear; stty size", "Enter"], "20 80");
        terminal.send(&["sleep 1000", "Enter"]);
        eventually("it sleeps", || host.boxship(["top", "box"]).stdout.contains("sleep 1000"));
        terminal.send(&["C-c"]);
        terminal.send(&["echo code:$?", "Enter"]);
        terminal.expect("code:130");
        terminal.send(&["exit 3", "Enter"]);
        terminal.expect("ended:3");
        eventually("it is removed", || host.boxship(["ps", "-aq"]).ok().is_empty());
    }
}

#[test]
fn exec_and_detach_and_attach() {
    let host = host();
    for client in [env!("CARGO_BIN_EXE_boxship"), "docker"] {
        let terminal = Terminal::open(&host, "run", &format!("{client} run -it --name box busybox sh"));
        terminal.expect("/ #");
        terminal.send(&["C-p", "C-q"]);
        terminal.expect("ended:0");
        assert_eq!(crate::format(&host, "box", "{{.State.Running}}"), "true");
        drop(terminal);
        let terminal = Terminal::open(&host, "exec", &format!("{client} exec -it box sh"));
        terminal.expect("/ #");
        terminal.send(&["tty; echo in:$((1+1))", "Enter"]);
        terminal.expect("in:2");
        terminal.send(&["exit 4", "Enter"]);
        terminal.expect("ended:4");
        drop(terminal);
        for line in ["exec -it box sh", "attach box"] {
            let terminal = Terminal::open(&host, "leave", &format!("{client} {line}"));
            terminal.type_until(&["Enter"], "/ #");
            terminal.send(&["C-p", "C-q"]);
            terminal.expect("read escape sequence");
            terminal.expect("ended:1");
        }
        let terminal = Terminal::open(&host, "attach", &format!("{client} attach box"));
        // Without a key: the shell draws its prompt again, for whoever comes.
        terminal.expect("/ #");
        terminal.send(&["exit 5", "Enter"]);
        terminal.expect("ended:5");
        host.boxship(["rm", "box"]).ok();
    }
}

#[test]
fn ctrl_c_reaches_a_container_without_terminal() {
    let host = host();
    let script = "trap 'echo caught; exit 8' INT; echo ready; while :; do sleep 0.1; done";
    for client in [env!("CARGO_BIN_EXE_boxship"), "docker"] {
        let terminal = Terminal::open(&host, "int", &format!("{client} run --rm busybox sh -c \"{script}\""));
        terminal.expect("ready");
        terminal.send(&["C-c"]);
        terminal.expect("caught");
        terminal.expect("ended:8");
    }
}
