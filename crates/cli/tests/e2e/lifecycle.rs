//! States of a container and what leads from one to the next.

use boxship_testkit::host::Ran;

use crate::{eventually, format, host};

#[test]
fn create_start_stop_start_remove() {
    let host = host();
    let id = host.boxship(["create", "--name", "box", "busybox", "sleep", "1000"]).ok().to_string();
    assert_eq!(id.len(), 64);
    assert_eq!(format(&host, "box", "{{.State.Status}}"), "created");
    for _ in 0..2 {
        assert_eq!(host.boxship(["start", "box"]).ok(), "box");
        assert_eq!(format(&host, "box", "{{.State.Status}}"), "running");
        assert_eq!(host.boxship(["stop", "-t", "0", "box"]).ok(), "box");
        assert_eq!(format(&host, "box", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    }
    assert_eq!(host.boxship(["rm", &id[..12]]).ok(), &id[..12]);
}

#[test]
fn the_writable_layer_stays_over_a_restart() {
    let host = host();
    host.boxship(["run", "--name", "box", "busybox", "sh", "-c", "echo a >> /file; cat /file"]).ok();
    assert_eq!(host.boxship(["start", "-a", "box"]).ok(), "a\na");
    assert_eq!(host.boxship(["diff", "box"]).ok(), "A /file");
}

#[test]
fn restart_policy_on_failure_counts() {
    let host = host();
    host.boxship(["run", "-d", "--name", "box", "--restart", "on-failure:2", "busybox", "false"]).ok();
    eventually("the restarts are used up", || {
        format(&host, "box", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}") == "2 exited 1"
    });
}

#[test]
fn pause_freezes_and_unpause_thaws() {
    let host = host();
    host.boxship(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    host.boxship(["pause", "box"]).ok();
    assert_eq!(format(&host, "box", "{{.State.Status}} {{.State.Paused}}"), "paused true");
    let ran = host.boxship(["exec", "box", "true"]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("is paused, unpause the container before exec"), "{}", ran.stderr);
    host.boxship(["unpause", "box"]).ok();
    host.boxship(["exec", "box", "true"]).ok();
    host.boxship(["pause", "box"]).ok();
    host.boxship(["rm", "-f", "box"]).ok();
}

#[test]
fn rm_removes_itself_and_wait_tells_the_code() {
    let host = host();
    let ran = host.boxship(["run", "--rm", "--name", "box", "busybox", "sh", "-c", "exit 9"]);
    assert_eq!(ran.code, 9);
    eventually("it is removed", || host.boxship(["ps", "-aq"]).ok().is_empty());
    host.boxship(["run", "-d", "--rm", "--name", "box", "busybox", "sleep", "1000"]).ok();
    host.boxship(["kill", "box"]).ok();
    eventually("it is removed", || host.boxship(["ps", "-aq"]).ok().is_empty());
}

#[test]
fn a_stopped_one_that_removes_itself_leaves_its_name() {
    let host = host();
    for end in [&["stop", "-t", "0", "box"][..], &["kill", "box"], &["stop", "-t", "0", "box"]] {
        host.boxship(["run", "-d", "--rm", "--name", "box", "busybox", "sleep", "1000"]).ok();
        host.boxship(end).ok();
    }
    assert_eq!(host.boxship(["ps", "-aq"]).ok(), "");
}

#[test]
fn what_is_being_started_can_be_removed_and_stopped() {
    let host = host();
    for end in [&["rm", "-f", "box"][..], &["rm", "-f", "box"], &["stop", "-t", "0", "box"]] {
        host.boxship(["create", "--name", "box", "busybox", "sleep", "1000"]).ok();
        let mut start = host.boxship_command();
        start.args(["start", "box"]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let start = start.spawn().unwrap();
        host.boxship(end).ok();
        // Whoever came first, nothing is refused.
        Ran::to_end(start);
        host.boxship(["rm", "-f", "box"]);
    }
    assert_eq!(host.boxship(["ps", "-aq"]).ok(), "");
}

#[test]
fn standard_input_reaches_the_container() {
    let host = host();
    let mut child = host.boxship_command();
    child.args(["run", "-i", "--rm", "busybox", "wc", "-c"]);
    child.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, &vec![b'x'; 3_000_000]).unwrap();
    drop(input);
    assert_eq!(Ran::to_end(child).ok(), "3000000");
}

#[test]
fn events_tell_a_life() {
    let host = host();
    host.boxship(["run", "--rm", "--name", "box", "busybox", "true"]).ok();
    eventually("it is removed", || host.boxship(["ps", "-aq"]).ok().is_empty());
    // Both clients cut "until" to whole seconds: ask up to the next second but one, which the daemon waits for.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (since, until) = ((now - 3600).to_string(), (now + 2).to_string());
    let line = [
        "events",
        "--since",
        &since,
        "--until",
        &until,
        "--filter",
        "type=container",
        "--format",
        "{{.Action}}",
    ];
    let ours = host.boxship(line);
    assert_eq!(ours.ok(), "create\nattach\nstart\ndie\ndestroy");
    assert_eq!(ours.stdout, host.docker(line).stdout);
}
