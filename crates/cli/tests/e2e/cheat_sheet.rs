//! The container commands of a Docker cheat sheet, through `boxship` and through the stock
//! `docker` client: the same words must give the same text and the same exit code.

use boxship_testkit::host::{Host, Ran};

use crate::{eventually, host};

/// Runs `line` with both clients and compares; each time on a fresh state made by `prepare`.
#[track_caller]
fn same(host: &Host, prepare: &[&str], line: &str) -> Ran {
    let mut results = Vec::new();
    for docker in [false, true] {
        for step in prepare {
            host.boxship(words(step)).ok();
        }
        let words = words(line);
        let ran = if docker { host.docker(&words) } else { host.boxship(&words) };
        results.push(plain(ran));
        let ids = host.boxship(["ps", "-aq"]);
        let ids: Vec<&str> = ids.stdout.split_whitespace().collect();
        if !ids.is_empty() {
            host.boxship(["rm", "-f"].iter().chain(ids.iter())).ok();
        }
    }
    assert_eq!(results[0], results[1], "boxship (left) and docker (right) differ: {line}");
    results.remove(0)
}

/// Splits at spaces; a non-breaking space stands for a space inside one argument.
fn words(line: &str) -> Vec<String> {
    line.split(' ').map(|word| word.replace('\u{a0}', " ")).collect()
}

/// What may differ: the program's own name, ids, and times.
fn plain(mut ran: Ran) -> Ran {
    for text in [&mut ran.stdout, &mut ran.stderr] {
        let words: Vec<String> = text.split(' ').map(mask).collect();
        *text = words.join(" ").replace("boxship", "docker");
    }
    ran
}

/// Replaces every run of 12 or more hexadecimal digits, wherever it stands in the word.
fn mask(word: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for c in word.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() && !c.is_ascii_uppercase() {
            digits.push(c);
            continue;
        }
        out.push_str(if digits.len() >= 12 { "<id>" } else { &digits });
        digits.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

const NAMED: &str = "create --name box busybox sleep 1000";
const RUNNING: &str = "run -d --name box busybox sleep 1000";

#[test]
fn running_and_exit_codes() {
    let host = host();
    for line in [
        "run --rm busybox echo hello",
        "run --rm busybox true",
        "run --rm busybox false",
        "run --rm --name x busybox true",
        "run --rm busybox nosuchprogram",
        "run --rm busybox /etc/passwd",
        "run --rm busybox /etc",
        "run --rm -u nosuch busybox true",
        "run --rm -u 33:nosuch busybox true",
        "run --rm -u www-data busybox id",
        "run --rm -u 1000:1000 --group-add 29 busybox id",
        "run --rm -w /not/there busybox pwd",
        "run --rm -e A=1 -e B busybox env",
        "run --rm --entrypoint echo busybox a b",
        "run --rm -h box busybox hostname",
        "run --rm --read-only busybox touch /x",
        "run --rm --tmpfs /scratch busybox df -h /scratch",
        "run --rm --init busybox ps",
        "run --rm --cap-drop ALL busybox chown 1 /tmp",
        "run --rm --ulimit nofile=100:200 busybox sh -c ulimit\u{a0}-n",
        "run --rm --sysctl kernel.msgmax=9000 busybox cat /proc/sys/kernel/msgmax",
        "run --rm --shm-size 1m busybox df /dev/shm",
        "run -d --name box busybox true",
        "run --rm --network host busybox true",
        "run --rm --pid host busybox true",
        "run --rm -v /etc/hostname:/x:ro busybox touch /x",
        "run --rm --mount type=bind,source=/not/there,target=/x busybox true",
        "run --rm nosuchimage:1 true",
        "run --rm BadName true",
        "run",
        "run --nosuchflag busybox",
        "run --rm -m 1 busybox true",
        "run --rm --cpus 1000 busybox true",
        "run --rm --restart always busybox true",
        "run --rm --cap-add NOSUCH busybox true",
    ] {
        same(&host, &[], line);
    }
}

#[test]
fn commands_on_a_container_that_exists() {
    let host = host();
    for line in [
        "ps -a --format {{.Names}}\u{a0}{{.Image}}\u{a0}{{.Status}}\u{a0}{{.Command}}",
        "ps -aq",
        "ps -a --filter name=box --filter status=created -q",
        "inspect --format {{.Name}}{{.State.Status}}{{.Config.Image}}{{json\u{a0}.Config.Cmd}} box",
        "start box",
        "start -a nosuch",
        "rm box",
        "rm nosuch",
        "rm box nosuch",
        "rename box y",
        "kill box",
        "stop box",
        "pause box",
        "exec box true",
        "logs box",
        "top box",
        "wait nosuch",
        "port box",
        "container ls -a --format {{.Names}}",
        "container prune -f",
        "create --name box busybox",
        "create --name -x busybox",
        "diff box",
    ] {
        same(&host, &[NAMED], line);
    }
}

#[test]
fn commands_on_a_container_that_runs() {
    let host = host();
    for line in [
        "ps --format {{.Names}}\u{a0}{{.Image}}\u{a0}{{.State}}",
        "exec box echo hello",
        "exec box false",
        "exec box nosuchprogram",
        "exec -u nosuch box true",
        "exec -w /tmp box pwd",
        "exec -e A=1 box env",
        "kill box",
        "kill -s NOSUCH box",
        "stop -t 0 box",
        "restart -t 0 box",
        "pause box",
        "unpause box",
        "rm box",
        "rm -f box",
        "top box -o args",
        "inspect --format {{.State.Running}}{{.State.ExitCode}} box",
        "logs box",
        "rename box box",
        "update --memory 64m box",
        "container inspect --format {{.HostConfig.NetworkMode}} box",
    ] {
        same(&host, &[RUNNING], line);
    }
}

#[test]
fn stop_asks_and_kill_does_not() {
    let host = host();
    let script = "trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.1; done";
    for (command, code, log) in [("stop", "7", "ready\nasked"), ("kill", "137", "ready")] {
        host.boxship(["run", "-d", "--name", "box", "busybox", "sh", "-c", script]).ok();
        eventually("the script is ready", || host.boxship(["logs", "box"]).stdout.contains("ready"));
        let ids = host.boxship(["ps", "-q"]).ok().to_string();
        host.boxship([command, &ids]).ok();
        assert_eq!(host.boxship(["wait", "box"]).ok(), code);
        assert_eq!(host.boxship(["logs", "box"]).ok(), log);
        let all = host.boxship(["ps", "-aq"]).ok().to_string();
        host.boxship(["rm", &all]).ok();
        assert_eq!(host.boxship(["ps", "-aq"]).ok(), "");
    }
}
