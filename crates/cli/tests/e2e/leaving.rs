//! Ways out: signals that the container ignores, a daemon that dies under a command, what is not there, a no to a
//! question. The stock client does the same beside ours where it is a matter of the client alone.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use boxship_testkit::host::{Host, Ran};

use crate::{eventually, format, host};

fn clients(host: &Host) -> [Command; 2] {
    [host.boxship_command(), host.docker_command()]
}

fn spawned(mut command: Command, line: &str) -> Child {
    command.args(line.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn said(child: Child) -> (i32, String) {
    let ran = Ran::to_end(child);
    (ran.code, ran.stderr)
}

fn running(host: &Host, name: &str) {
    eventually("it runs", || host.boxship(["ps", "-q", "-f", &format!("name={name}")]).stdout.len() > 1);
}

#[test]
fn the_third_ctrl_c_leaves_a_container_that_ignores_it() {
    let host = host();
    for command in clients(&host) {
        // A first process without a handler does not get the signal at all.
        let mut child = spawned(command, "run --name box busybox sleep 100000");
        running(&host, "box");
        eventually("it ends", || {
            let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(status.is_ok());
            child.try_wait().unwrap().is_some()
        });
        assert_eq!(said(child), (1, "\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n".into()));
        assert_eq!(format(&host, "box", "{{.State.Running}}"), "true");
        host.boxship(["rm", "-f", "box"]).ok();
    }
}

#[test]
fn a_daemon_that_dies_is_an_unexpected_end() {
    // It tells which requests it has begun to answer.
    let mut host = Host::start_with(env!("CARGO_BIN_EXE_boxship"), &["--debug"]);
    host.load_busybox();
    host.boxship(["run", "-d", "--name", "box", "busybox", "sleep", "100000"]).ok();
    for docker in [false, true] {
        let command = |host: &Host| if docker { host.docker_command() } else { host.boxship_command() };
        let run = spawned(command(&host), "run --name other busybox sleep 100000");
        running(&host, "other");
        let others = [
            ("wait box", "/wait"),
            ("logs -f box", "/logs"),
            ("events", "/events"),
            ("attach box", "/attach"),
        ];
        let others = others.map(|(line, path)| {
            let answered = || host.daemon_log().matches(&format!("{path} status=")).count();
            let before = answered();
            let child = spawned(command(&host), line);
            eventually(line, || answered() > before);
            child
        });
        // The first bytes of the last answer are on their way.
        std::thread::sleep(std::time::Duration::from_millis(500));
        host.kill_daemon();
        let (code, text) = said(run);
        assert_eq!(
            (code, text.contains("error waiting for container: unexpected EOF")),
            (125, true),
            "{text}"
        );
        for child in others {
            assert_eq!(said(child), (1, "unexpected EOF\n".into()));
        }
        host.start_daemon();
        host.boxship(["rm", "-f", "other"]).ok();
    }
    host.boxship(["rm", "-f", "box"]).ok();
}

#[test]
fn what_is_not_there_can_be_removed_by_force_and_a_no_is_no_error() {
    let host = host();
    for command in clients(&host) {
        let child = spawned(command, "rm -f nosuch");
        assert_eq!(said(child), (0, "Error response from daemon: No such container: nosuch\n".into()));
    }
    for line in ["container prune", "image prune", "system prune"] {
        for command in clients(&host) {
            let mut child = spawned(command, line);
            child.stdin.take().unwrap().write_all(b"n\n").unwrap();
            let ran = Ran::to_end(child);
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{line}");
            assert!(ran.stdout.ends_with("[y/N] "), "{line}");
        }
    }
}

#[test]
fn words_for_what_is_wrong() {
    let host = host();
    for (line, words) in [
        ("volume ls", "'volume' is not offered by this version: "),
        ("swarm init", "Kubernetes"),
        ("container cp a b", "'container cp' is not offered"),
        ("ps --format {{.Bogus}}", "can't evaluate field Bogus in type *formatter.ContainerContext"),
        ("-l bogus ps", "Unable to parse logging level: bogus\n"),
        ("-H tcp://127.0.0.1:1 ps", "at tcp://127.0.0.1:1. Is the daemon running? (connection refused)\n"),
    ] {
        let ran = host.boxship(line.split(' '));
        assert_eq!(ran.code, 1, "{line}");
        assert!(ran.stderr.contains(words), "{line}: {}", ran.stderr);
    }
    assert_eq!(host.boxship(["run", "--rm", "-P", "busybox", "echo", "fine"]).ok(), "fine");
}

#[test]
fn a_container_becomes_an_image() {
    let host = host();
    host.boxship(["run", "--name", "box", "busybox", "sh", "-c", "echo kept > /file"]).ok();
    let change = "CMD [\"cat\", \"/file\"]";
    let id =
        host.boxship(["commit", "-a", "me", "-m", "a file", "-c", change, "box", "made:1"]).ok().to_string();
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(format(&host, "made:1", "{{.Id}} {{.Author}} {{.Comment}}"), format!("{id} me a file"));
    assert_eq!(host.boxship(["run", "--rm", "made:1"]).ok(), "kept");
    host.boxship(["rm", "box"]).ok();
}
