//! Logs: what was printed comes back, bounded.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::host;

#[test]
fn logs_select_and_split_streams() {
    let host = host();
    host.boxship([
        "run",
        "--name",
        "box",
        "busybox",
        "sh",
        "-c",
        "for i in 1 2 3; do echo o$i; echo e$i >&2; done",
    ]);
    for words in [
        vec!["logs", "box"],
        vec!["logs", "--tail", "2", "box"],
        vec!["logs", "-n", "0", "box"],
        vec!["logs", "--since", "1h", "box"],
    ] {
        assert_eq!(host.boxship(&words), host.docker(&words), "{words:?}");
    }
    let all = host.boxship(["logs", "box"]);
    assert_eq!((all.stdout.as_str(), all.stderr.as_str()), ("o1\no2\no3\n", "e1\ne2\ne3\n"));
    let stamped = host.boxship(["logs", "-t", "box"]);
    assert!(
        stamped.stdout.lines().all(|line| line.split(' ').next().unwrap().ends_with('Z')),
        "{}",
        stamped.stdout
    );
}

#[test]
fn following_ends_with_the_container() {
    let host = host();
    host.boxship([
        "run",
        "-d",
        "--name",
        "box",
        "busybox",
        "sh",
        "-c",
        "for i in 1 2 3; do echo $i; sleep 0.3; done",
    ])
    .ok();
    assert_eq!(host.boxship(["logs", "-f", "box"]).ok(), "1\n2\n3");
}

#[test]
fn a_follower_sees_lines_as_they_come() {
    let host = host();
    host.boxship([
        "run",
        "-d",
        "--name",
        "box",
        "busybox",
        "sh",
        "-c",
        "while :; do echo tick; sleep 0.05; done",
    ])
    .ok();
    let mut command = host.docker_command();
    let mut child = command.args(["logs", "-f", "box"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.take(20).map(Result::unwrap).filter(|line| line == "tick").count(), 20);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_container_that_prints_for_ever_does_not_fill_the_disk() {
    let host = host();
    let words = ["run", "--name", "box", "--log-opt", "max-size=100k", "--log-opt", "max-file=3", "busybox"];
    let script = ["sh", "-c", "yes 0123456789 | head -n 200000"];
    host.boxship(words.iter().chain(script.iter())).ok();
    let path = crate::format(&host, "box", "{{.LogPath}}");
    let folder = std::path::Path::new(&path).parent().unwrap();
    let sizes = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().contains("json.log"));
    let total: u64 = sizes.map(|entry| entry.metadata().unwrap().len()).sum();
    assert!(total < 400_000, "{total} bytes of log");
    let kept = host.boxship(["logs", "box"]);
    assert!(kept.ok().lines().count() > 1000);
}

#[test]
fn other_drivers() {
    let host = host();
    host.boxship(["run", "--name", "local", "--log-driver", "local", "busybox", "echo", "hello"]).ok();
    assert_eq!(host.boxship(["logs", "local"]).ok(), "hello");
    assert_eq!(
        host.boxship(["run", "--name", "none", "--log-driver", "none", "busybox", "echo", "hello"]).ok(),
        "hello"
    );
    let ran = host.boxship(["logs", "none"]);
    assert_eq!(
        (ran.code, ran.stderr.contains("configured logging driver does not support reading")),
        (1, true)
    );
}

#[test]
fn large_output_arrives_whole() {
    let host = host();
    let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line-$i-0123456789012345678901234567890123456789; done";
    let attached = host.boxship(["run", "--name", "box", "busybox", "sh", "-c", script]);
    assert_eq!(attached.stdout.lines().count(), 20000);
    assert_eq!(host.boxship(["logs", "box"]).stdout, attached.stdout);
    assert_eq!(host.docker(["logs", "box"]).stdout, attached.stdout);
}
