//! Limits arrive in the kernel.

use crate::{eventually, format, host};

#[test]
fn memory_is_limited_and_the_kill_is_told() {
    let host = host();
    let script = "x=a; while :; do x=$x$x; done";
    let ran = host.boxship(["run", "--name", "box", "-m", "16m", "busybox", "sh", "-c", script]);
    assert_eq!(ran.code, 137, "{}", ran.stderr);
    assert_eq!(format(&host, "box", "{{.State.OOMKilled}} {{.HostConfig.Memory}}"), "true 16777216");
}

#[test]
fn processes_are_limited() {
    let host = host();
    let script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & done; wait";
    let ran = host.boxship(["run", "--rm", "--pids-limit", "5", "busybox", "sh", "-c", script]);
    assert!(
        ran.stderr.contains("can't fork") || ran.stderr.contains("Resource temporarily unavailable"),
        "{}",
        ran.stderr
    );
}

#[test]
fn stats_and_top_tell_what_runs() {
    let host = host();
    host.boxship(["run", "-d", "--name", "box", "-m", "64m", "busybox", "sleep", "1000"]).ok();
    let line = ["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}} {{.MemUsage}}"];
    for ran in [host.boxship(line), host.docker(line)] {
        let words: Vec<&str> = ran.ok().split(' ').collect();
        assert_eq!((words[0], words[1], words[4]), ("box", "1", "64MiB"), "{words:?}");
    }
    assert!(host.boxship(["top", "box"]).ok().contains("sleep 1000"));
}

#[test]
fn update_changes_a_running_container() {
    let host = host();
    host.boxship(["run", "-d", "--name", "box", "-m", "64m", "busybox", "sleep", "1000"]).ok();
    host.boxship(["update", "-m", "128m", "--memory-swap", "256m", "--restart", "always", "box"]).ok();
    assert_eq!(
        format(&host, "box", "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}"),
        "134217728 always"
    );
    eventually("the kernel knows", || {
        let ran = host.boxship(["stats", "--no-stream", "--format", "{{.MemUsage}}", "box"]);
        ran.stdout.contains("128MiB")
    });
}
