//! The daemon may be killed at any moment: containers run on, logs have no gap, what ended
//! in between is known.

use crate::{eventually, format, host};

#[test]
fn containers_outlive_a_killed_daemon() {
    let mut host = host();
    let script = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); echo $i; usleep 1000; done";
    host.boxship(["run", "-d", "--name", "counter", "busybox", "sh", "-c", script]).ok();
    let pid = format(&host, "counter", "{{.State.Pid}}");
    for _ in 0..3 {
        host.kill_daemon();
        host.start_daemon();
        assert_eq!(format(&host, "counter", "{{.State.Pid}} {{.State.Running}}"), format!("{pid} true"));
        let before = host.boxship(["logs", "counter"]).stdout.lines().count();
        eventually("the log grows", || {
            host.boxship(["logs", "counter"]).stdout.lines().count() > before + 10
        });
    }
    host.boxship(["stop", "-t", "0", "counter"]).ok();
    let log = host.boxship(["logs", "counter"]).stdout;
    let numbers: Vec<usize> = log.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>(), "the log has a gap");
}

#[test]
fn an_exit_while_the_daemon_was_away_is_known() {
    let mut host = host();
    host.boxship(["run", "-d", "--name", "box", "busybox", "sh", "-c", "sleep 1; echo last; exit 42"]).ok();
    let pid = format(&host, "box", "{{.State.Pid}}");
    host.kill_daemon();
    eventually("the container ends", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
    host.start_daemon();
    // Its shim may be just about to write it down.
    eventually("its end is known", || format(&host, "box", "{{.State.Status}}") == "exited");
    assert_eq!(format(&host, "box", "{{.State.ExitCode}}"), "42");
    assert_eq!(host.boxship(["logs", "box"]).ok(), "last");
    assert_ne!(format(&host, "box", "{{.State.FinishedAt}}"), "0001-01-01T00:00:00Z");
}

#[test]
fn a_container_with_a_terminal_can_be_attached_again() {
    let mut host = host();
    host.boxship(["run", "-dit", "--name", "box", "busybox", "sh"]).ok();
    host.kill_daemon();
    host.start_daemon();
    assert_eq!(host.docker(["exec", "box", "echo", "here"]).ok(), "here");
    host.boxship(["rm", "-f", "box"]).ok();
}

#[test]
fn restart_policies_hold_across_a_killed_daemon() {
    let mut host = host();
    host.boxship(["run", "-d", "--name", "box", "--restart", "always", "busybox", "sleep", "1000"]).ok();
    let pid = format(&host, "box", "{{.State.Pid}}");
    host.kill_daemon();
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    eventually("the container's process is gone", || rustix::process::test_kill_process(pid).is_err());
    host.start_daemon();
    eventually("it runs again", || format(&host, "box", "{{.State.Running}}") == "true");
    assert_ne!(format(&host, "box", "{{.State.Pid}}"), pid.to_string());
}

#[test]
fn a_graceful_stop_leaves_containers_running() {
    let mut host = host();
    host.boxship(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let pid = format(&host, "box", "{{.State.Pid}}");
    host.stop_daemon();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    host.start_daemon();
    assert_eq!(format(&host, "box", "{{.State.Pid}}"), pid);
}
