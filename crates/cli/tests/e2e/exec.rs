//! Commands in a running container.

use crate::{eventually, host};

#[test]
fn exec_in_every_form() {
    let host = host();
    host.boxship(["run", "-d", "--name", "box", "-e", "A=1", "-w", "/tmp", "busybox", "sleep", "1000"]).ok();
    for (line, out) in [
        ("exec box pwd", "/tmp"),
        ("exec -w /etc box pwd", "/etc"),
        ("exec -u www-data box id -un", "www-data"),
        ("exec -u 12:34 box id -g", "34"),
        ("exec -e B=2 box sh -c echo\u{a0}$A$B", "12"),
        ("exec box sh -c echo\u{a0}$0", "sh"),
    ] {
        let words: Vec<String> = line.split(' ').map(|w| w.replace('\u{a0}', " ")).collect();
        assert_eq!(host.boxship(&words).ok(), out, "{line}");
        assert_eq!(host.docker(&words).ok(), out, "{line}");
    }
    assert_eq!(host.boxship(["exec", "box", "sh", "-c", "exit 5"]).code, 5);
    assert_eq!(host.boxship(["exec", "box", "sh", "-c", "kill -9 $$"]).code, 137);
}

#[test]
fn a_detached_exec_runs_on() {
    let host = host();
    host.boxship(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    assert_eq!(host.boxship(["exec", "-d", "box", "sh", "-c", "echo done > /flag"]).ok(), "");
    eventually("the flag is there", || host.boxship(["exec", "box", "cat", "/flag"]).stdout == "done\n");
}

#[test]
fn a_container_without_privileges_gives_none_to_its_execs() {
    let host = host();
    host.boxship(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let capabilities = |words: &[&str]| {
        let status = host.boxship(words).ok().to_string();
        status.lines().find(|line| line.starts_with("CapEff")).unwrap().to_string()
    };
    let init = capabilities(&["exec", "box", "cat", "/proc/1/status"]);
    assert_eq!(capabilities(&["exec", "box", "cat", "/proc/self/status"]), init);
    assert_ne!(capabilities(&["exec", "--privileged", "box", "cat", "/proc/self/status"]), init);
    assert!(host.boxship(["exec", "box", "cat", "/proc/self/status"]).ok().contains("Seccomp:\t2"));
}
