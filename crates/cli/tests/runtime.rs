//! `boxship runtime` as other engines use it: the real executable, a bundle on disk, exit codes, output and log lines.

#![allow(clippy::unwrap_used)] // Clippy sees no test in the functions that tests share.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use boxship_testkit::{images, require_root};
use serde_json::{Value, json};

// The standard output of a command that leaves a process behind must not be a pipe: its reader would wait for that one.

/// A bundle with busybox and a folder of containers of its own.
struct Bench {
    folder: tempfile::TempDir,
    id: String,
}

/// What a command left.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Bench {
    fn new(name: &str, arguments: &[&str]) -> Self {
        require_root();
        let folder = tempfile::tempdir().unwrap();
        let bench = Self { folder, id: format!("cli-{name}-{}", std::process::id()) };
        images::busybox_root(&bench.bundle().join("rootfs"));
        let bundle = bench.bundle();
        assert_eq!(bench.run(&["spec", "--bundle", bundle.to_str().unwrap()]).code, 0);
        bench.change(|spec| {
            spec["process"]["terminal"] = json!(false);
            spec["process"]["args"] = json!(arguments);
            spec["root"]["readonly"] = json!(false);
            spec["linux"]["cgroupsPath"] = json!(format!("/boxship-test/{}", bench.id));
            // Root of some machines may not raise limits.
            spec["process"]["rlimits"] = json!([]);
        });
        bench
    }

    fn bundle(&self) -> PathBuf {
        self.folder.path().join("bundle")
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        let path = self.bundle().join("config.json");
        let mut spec = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut spec);
        std::fs::write(path, spec.to_string()).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_boxship"));
        command.arg("runtime").arg("--root").arg(self.folder.path().join("state")).args(arguments);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let ran = boxship_testkit::ran::Ran::of(&mut self.command(arguments));
        Ran { code: ran.code, out: ran.stdout, err: ran.stderr }
    }

    /// Creates the container; what it prints goes to a file, since it outlives the command.
    fn create(&self) -> PathBuf {
        let output = self.folder.path().join("output");
        let file = File::create(&output).unwrap();
        let mut command = self.command(&["create", "--bundle", "bundle", "--pid-file", "pid", &self.id]);
        let status = command.stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
        assert!(status.success(), "{}", std::fs::read_to_string(&output).unwrap());
        output
    }

    fn state(&self) -> Value {
        let ran = self.run(&["state", &self.id]);
        serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"))
    }

    fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let ran = self.run(&["delete", "--force", &self.id]);
        if !std::thread::panicking() {
            assert_eq!(ran.code, 0, "{ran:?}");
            assert!(!self.folder.path().join("state").join(&self.id).exists());
            for entry in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
                let left = entry.path().join("boxship-test").join(&self.id);
                assert!(!left.exists(), "{} is left", left.display());
            }
        }
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(120), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_whole_life() {
    let bench = Bench::new("life", &["sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done"]);
    let output = bench.create();
    let state = bench.state();
    assert_eq!(state["status"], "created");
    assert_eq!(state["bundle"].as_str().unwrap(), bench.bundle().to_str().unwrap());
    assert_eq!(state["pid"].to_string(), std::fs::read_to_string(bench.folder.path().join("pid")).unwrap());
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "");
    assert_eq!(bench.run(&["start", &bench.id]).code, 0);
    until("its output", || std::fs::read_to_string(&output).unwrap() == "up\n");

    let listed = bench.run(&["list", "--format", "json"]).out;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((listed[0]["status"].as_str(), listed[0]["owner"].as_str()), (Some("running"), Some("root")));
    assert_eq!(bench.run(&["list", "-q"]).out, format!("{}\n", bench.id));
    let table = bench.run(&["list"]).out;
    assert!(table.starts_with("ID "), "{table}");
    let shown = bench.run(&["ps", &bench.id]).out;
    assert!(shown.contains("trap 'exit 0' TERM"), "{shown}");

    assert_eq!(bench.run(&["pause", &bench.id]).code, 0);
    assert_eq!(bench.status(), "paused");
    let refused = bench.run(&["exec", &bench.id, "true"]);
    assert!(refused.code == 255 && refused.err.contains("--ignore-paused"), "{refused:?}");
    assert_eq!(bench.run(&["resume", &bench.id]).code, 0);

    assert_eq!(bench.run(&["update", "--memory", "64m", "--pids-limit", "30", &bench.id]).code, 0);
    let event: Value = serde_json::from_str(&bench.run(&["events", "--stats", &bench.id]).out).unwrap();
    assert_eq!((event["type"].as_str(), event["data"]["pids"]["limit"].as_u64()), (Some("stats"), Some(30)));
    assert_eq!(event["data"]["memory"]["usage"]["limit"].as_u64(), Some(64 << 20));

    let refused = bench.run(&["delete", &bench.id]);
    assert!(refused.code == 1 && refused.err.contains("that is not stopped: running"), "{refused:?}");
    assert_eq!(bench.run(&["kill", &bench.id, "TERM"]).code, 0);
    until("its end", || bench.status() == "stopped");
    assert_eq!(bench.state()["pid"], 0);
    assert_eq!(
        bench.run(&["kill", &bench.id]).err.trim_end().rsplit("msg=").next(),
        Some("\"container not running\"")
    );
    assert_eq!(bench.run(&["kill", "--all", &bench.id, "KILL"]).code, 0);
    assert_eq!(bench.run(&["delete", &bench.id]).code, 0);
}

#[test]
fn further_processes() {
    let bench = Bench::new("exec", &["sleep", "1000"]);
    bench.create();
    assert_eq!(bench.run(&["start", &bench.id]).code, 0);
    let exec = |arguments: &[&str]| bench.run(&[&["exec"], arguments].concat());
    assert_eq!(exec(&[&bench.id, "sh", "-c", "exit 9"]).code, 9);
    assert_eq!(exec(&[&bench.id, "sh", "-c", "kill -TERM $$"]).code, 128 + 15);
    let changed = exec(&[
        "-e",
        "A=b",
        "--cwd",
        "/bin",
        "-u",
        "5:6",
        "-g",
        "7",
        &bench.id,
        "sh",
        "-c",
        "echo $A $(pwd) $(id -u) $(id -G)",
    ]);
    assert_eq!(changed.out, "b /bin 5 6 7\n", "{changed:?}");
    let missing = exec(&[&bench.id, "nope"]);
    assert!(missing.code == 255 && missing.err.contains("executable file not found in $PATH"), "{missing:?}");
    let process = json!({"cwd": "/", "args": ["sh", "-c", "echo from file"], "env": ["PATH=/bin"]});
    std::fs::write(bench.folder.path().join("process.json"), process.to_string()).unwrap();
    assert_eq!(exec(&["--process", "process.json", &bench.id]).out, "from file\n");
    // It keeps the streams it is given: none of ours.
    let mut detached =
        bench.command(&["exec", "--detach", "--pid-file", "exec.pid", &bench.id, "sleep", "1000"]);
    assert!(detached.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    let pid = std::fs::read_to_string(bench.folder.path().join("exec.pid")).unwrap();
    let pids: Vec<i32> = serde_json::from_str(&bench.run(&["ps", "-f", "json", &bench.id]).out).unwrap();
    assert!(pids.contains(&pid.parse().unwrap()));
}

#[test]
fn run_ends_as_its_program() {
    let bench = Bench::new("run", &["sh", "-c", "echo out; echo err >&2; exit 7"]);
    let ran = bench.run(&["run", "--bundle", "bundle", &bench.id]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (7, "out\n", "err\n"));
    assert_eq!(bench.run(&["state", &bench.id]).code, 1);
    let kept = bench.run(&["run", "--keep", "--bundle", "bundle", &bench.id]);
    assert_eq!(kept.code, 7);
    assert_eq!(bench.status(), "stopped");
}

/// Signals to the foreground command are the container's.
#[test]
fn run_passes_signals_on() {
    let bench =
        Bench::new("signal", &["sh", "-c", "trap 'exit 3' USR1; echo up; while :; do sleep 0.1; done"]);
    let mut child =
        bench.command(&["run", "--bundle", "bundle", &bench.id]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
    assert_eq!(boxship_testkit::ran::Ran::to_end(child).code, 3);
}

#[test]
fn run_joins_our_terminal() {
    let bench = Bench::new("tty", &["sh", "-c", "tty; stty size; read x; echo got $x; exit 4"]);
    bench.change(|spec| spec["process"]["terminal"] = json!(true));
    let pair = boxship_sys::pty::open().unwrap();
    boxship_sys::pty::resize(pair.master.as_fd(), 33, 77).unwrap();
    let end = || Stdio::from(pair.terminal.try_clone().unwrap());
    let mut command = bench.command(&["run", "--bundle", "bundle", &bench.id]);
    let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    drop(command);
    drop(pair.terminal);
    let mut master = File::from(pair.master);
    let mut seen = String::new();
    while !seen.contains("33 77\r\n") {
        let mut polled = [rustix::event::PollFd::new(&master, rustix::event::PollFlags::IN)];
        let patience = rustix::event::Timespec { tv_sec: 120, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut polled, Some(&patience)).unwrap(), 1, "{seen:?}");
        let mut buffer = [0; 256];
        let count = master.read(&mut buffer).unwrap_or_else(|error| panic!("{error}: {seen:?}"));
        seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    master.write_all(b"hello\r").unwrap();
    assert_eq!(boxship_testkit::ran::Ran::to_end(child).code, 4);
    let mut rest = Vec::new();
    // The far side has gone: that is an error at its end, not before.
    let _ = master.read_to_end(&mut rest);
    seen.push_str(std::str::from_utf8(&rest).unwrap());
    assert_eq!(seen, "/dev/pts/0\r\n33 77\r\nhello\r\ngot hello\r\n");
}

#[test]
fn mistakes_are_explained() {
    let bench = Bench::new("mistakes", &["true"]);
    for (arguments, code, message) in [
        (&["state", "nothing"][..], 1, "container does not exist: nothing"),
        (&["delete", "--force", "nothing"], 0, ""),
        (&["create"], 1, "\\\"create\\\" requires exactly 1 argument(s)"),
        (&["start", "a", "b"], 1, "requires exactly 1 argument(s)"),
        (&["create", "--nope", "x"], 1, "flag provided but not defined: -nope"),
        (&["create", "../x"], 1, "config.json not found"),
        (&["create", "--bundle", "bundle", "../x"], 1, "invalid container id"),
        (&["create", "--bundle", "bundle", "--console-socket", "s", "x"], 1, "cannot use console socket"),
        (&["create", "--bundle", "bundle", "--preserve-fds", "5", "x"], 1, "unable to stat preserved-fd"),
        (&["run", "--bundle", "nowhere", "x"], 1, "config.json not found"),
        (&["checkpoint", "--image-path", "x", "y"], 1, "checkpoint is not supported"),
        (&["frobnicate"], 1, "no such command: frobnicate"),
        (&["list", "-f", "yaml"], 1, ""),
    ] {
        let ran = bench.run(arguments);
        assert!(ran.code == code && ran.err.contains(message), "{arguments:?}: {ran:?}");
    }
    let systemd = bench.run(&["--systemd-cgroup", "create", "--bundle", "bundle", "x"]);
    assert!(systemd.code == 1 && systemd.err.contains("leave out --systemd-cgroup"), "{systemd:?}");
    assert_eq!(bench.run(&["spec", "-b", "bundle"]).code, 1);
}

/// What containerd reads after a failure: the last line of the JSON log.
#[test]
fn the_log_is_what_engines_parse() {
    let bench = Bench::new("log", &["true"]);
    let ran = bench.run(&["--log", "log.json", "--log-format", "json", "start", "nothing"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, "container does not exist: nothing\n"));
    let log = std::fs::read_to_string(bench.folder.path().join("log.json")).unwrap();
    let line: Value = serde_json::from_str(log.trim_end()).unwrap();
    assert_eq!(
        (line["level"].as_str(), line["msg"].as_str()),
        (Some("error"), Some("container does not exist: nothing"))
    );
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn features_are_told() {
    let bench = Bench::new("features", &["true"]);
    let features: Value = serde_json::from_str(&bench.run(&["features"]).out).unwrap();
    assert_eq!(features["linux"]["cgroup"]["v2"], true);
    assert_eq!(features["linux"]["cgroup"]["systemd"], false);
    assert!(features["linux"]["seccomp"]["archs"].as_array().unwrap().contains(&json!("SCMP_ARCH_X86")));
    assert!(bench.run(&["--version"]).out.starts_with("boxship-runtime version "));
    assert!(bench.run(&["exec", "--help"]).out.contains("--ignore-paused"));
}

/// Docker's profile lets 32-bit programs run under rules of their own: AF_INET is allowed, AF_ALG is not
/// (CVE-2026-31431), and 64-bit garbage above the family changes nothing.
#[cfg(target_arch = "x86_64")]
#[test]
fn thirty_two_bit_programs_under_the_default_profile() {
    const AF_INET: u64 = 2;
    const AF_ALG: u64 = 38;
    const EPERM: i32 = 1;
    let allowed = 256 - 3; // The program exits with the negative of its descriptor, 3.
    for (program, family, expected) in [
        (socket_32 as fn(u64) -> Vec<u8>, AF_INET, allowed),
        (socket_32, AF_ALG, EPERM),
        (socket_64, AF_INET, allowed),
        (socket_64, AF_ALG, EPERM),
        (socket_64, 1 << 32 | AF_ALG, EPERM),
    ] {
        let bench = Bench::new("seccomp", &["/program"]);
        let (path, made) = (bench.bundle().join("rootfs/program"), bench.folder.path().join("made"));
        std::fs::write(&made, program(family)).unwrap();
        images::place_program(&made, &path);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        bench.change(|spec| spec["linux"]["seccomp"] = default_profile());
        let ran = bench.run(&["run", "--bundle", "bundle", &bench.id]);
        assert_eq!(ran.code, expected, "family {family:#x}: {ran:?}");
    }
}

fn default_profile() -> Value {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/tests/data/docker-seccomp-default.json");
    let profile: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let general =
        |rule: &&Value| rule.get("includes").is_none() && rule["excludes"]["caps"].as_array().is_none();
    let rules: Vec<&Value> = profile["syscalls"].as_array().unwrap().iter().filter(general).collect();
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    })
}

/// `exit(-socket(family, SOCK_STREAM, 0))` by int 0x80.
#[cfg(target_arch = "x86_64")]
fn socket_32(family: u64) -> Vec<u8> {
    const BASE: u32 = 0x0804_8000;
    const HEADERS: u32 = 52 + 32;
    let mut code = vec![0xb8];
    code.extend(359_u32.to_le_bytes()); // mov eax, socket
    code.push(0xbb);
    code.extend((family as u32).to_le_bytes()); // mov ebx, family
    code.extend([0xb9, 1, 0, 0, 0, 0x31, 0xd2, 0xcd, 0x80]); // mov ecx, 1; xor edx, edx; int 0x80
    code.extend([0xf7, 0xd8, 0x89, 0xc3, 0xb8, 1, 0, 0, 0, 0xcd, 0x80]); // neg eax; mov ebx, eax; mov eax, exit; int
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2, 0, 3, 0]);
    for word in [1, BASE + HEADERS, 52, 0, 0] {
        file.extend(word.to_le_bytes());
    }
    for half in [52_u16, 32, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let size = HEADERS + code.len() as u32;
    for word in [1, 0, BASE, BASE, size, size, 5, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}

/// The same by the native calls.
#[cfg(target_arch = "x86_64")]
fn socket_64(family: u64) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let mut code = vec![0x48, 0xbf];
    code.extend(family.to_le_bytes()); // mov rdi, family
    code.extend([0xbe, 1, 0, 0, 0, 0x31, 0xd2, 0xb8, 41, 0, 0, 0, 0x0f, 0x05]); // esi 1, edx 0, eax socket; syscall
    code.extend([0xf7, 0xd8, 0x89, 0xc7, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]); // neg eax; mov edi, eax; exit; syscall
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [BASE + HEADERS, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0; 4]);
    for half in [64_u16, 56, 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let size = HEADERS + code.len() as u64;
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for word in [0, BASE, BASE, size, size, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}
