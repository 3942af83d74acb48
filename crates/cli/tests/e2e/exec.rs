//! Commands in a running container.

use crate::{eventually, host};

#[test]
fn exec_in_every_form() {
    let host = host();
    host.boxship(["run", "-d", "--name", "x", "-e", "A=1", "-w", "/tmp", "busybox", "sleep", "1000"]).ok();
    for (line, out) in [
        ("exec x pwd", "/tmp"),
        ("exec -w /etc x pwd", "/etc"),
        ("exec -u www-data x id -un", "www-data"),
        ("exec -u 12:34 x id -g", "34"),
        ("exec -e B=2 x printenv A B", "1\n2"),
        ("exec x sh -c echo\u{a0}$0", "sh"),
    ] {
        let words: Vec<String> = line.split(' ').map(|w| w.replace('\u{a0}', " ")).collect();
        assert_eq!(host.boxship(&words).ok(), out, "{line}");
        assert_eq!(host.docker(&words).ok(), out, "{line}");
    }
    assert_eq!(host.boxship(["exec", "x", "sh", "-c", "exit 5"]).code, 5);
    assert_eq!(host.boxship(["exec", "x", "sh", "-c", "kill -9 $$"]).code, 137);
}

#[test]
fn a_detached_exec_runs_on() {
    let host = host();
    host.boxship(["run", "-d", "--name", "x", "busybox", "sleep", "1000"]).ok();
    assert_eq!(host.boxship(["exec", "-d", "x", "sh", "-c", "echo done > /flag"]).ok(), "");
    eventually("the flag is there", || host.boxship(["exec", "x", "cat", "/flag"]).stdout == "done\n");
}

#[test]
fn a_container_without_privileges_gives_none_to_its_execs() {
    let host = host();
    host.boxship(["run", "-d", "--name", "x", "busybox", "sleep", "1000"]).ok();
    let capabilities = |words: &[&str]| {
        let status = host.boxship(words).ok().to_string();
        status.lines().find(|line| line.starts_with("CapEff")).unwrap().to_string()
    };
    let init = capabilities(&["exec", "x", "cat", "/proc/1/status"]);
    assert_eq!(capabilities(&["exec", "x", "cat", "/proc/self/status"]), init);
    assert_ne!(capabilities(&["exec", "--privileged", "x", "cat", "/proc/self/status"]), init);
    assert!(host.boxship(["exec", "x", "cat", "/proc/self/status"]).ok().contains("Seccomp:\t2"));
}
