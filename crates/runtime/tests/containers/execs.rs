//! Additional processes.

use std::os::fd::AsFd;

use boxship_runtime::{Error, ExecOptions, Stdio};
use boxship_sys::process::{self, Exit};

use crate::Test;
use crate::bundle::{Bundle, read};

pub const TESTS: &[Test] = &[
    ("execs::same_namespaces_and_groups", same_namespaces_and_groups),
    ("execs::own_user_and_rights", own_user_and_rights),
    ("execs::errors", errors),
    ("execs::terminal", terminal),
    ("execs::in_a_user_namespace", in_a_user_namespace),
    ("execs::filter_applies", filter_applies),
    ("execs::only_while_it_runs", only_while_it_runs),
    ("execs::no_descriptors", no_descriptors),
    ("execs::quick", quick),
];

fn same_namespaces_and_groups() {
    let bundle = Bundle::new("sleep 100");
    let (started, ..) = bundle.start();
    let own = "for kind in pid net ipc uts mnt cgroup; do readlink /proc/self/ns/$kind; done; cat /proc/self/cgroup; exit 5";
    let outcome = bundle.exec(own);
    assert_eq!(outcome.exit, Exit::Code(5), "{outcome:?}");
    let mut lines = outcome.out.lines();
    for kind in ["pid", "net", "ipc", "uts", "mnt", "cgroup"] {
        let expected = std::fs::read_link(format!("/proc/{}/ns/{kind}", started.pid)).unwrap();
        assert_eq!(lines.next(), expected.to_str());
    }
    assert!(lines.all(|line| line.ends_with(":/")), "{}", outcome.out);
    bundle.stop(&started);
}

fn own_user_and_rights() {
    let bundle = Bundle::new("sleep 100");
    let (started, ..) = bundle.start();
    let mut process = bundle.container().process().unwrap();
    process.args = ["sh", "-c", "id -un; pwd; grep CapEff /proc/self/status; cat /proc/1/environ | wc -c"]
        .map(str::to_owned)
        .to_vec();
    process.user.username = Some("ann".to_owned());
    process.cwd = "/home/ann".into();
    process.capabilities = None;
    let outcome = bundle.exec_process(process).unwrap();
    assert!(outcome.out.starts_with("ann\n/home/ann\nCapEff:\t0000000000000000\n"), "{outcome:?}");
    bundle.stop(&started);
}

fn errors() {
    let bundle = Bundle::new("sleep 100");
    let (started, ..) = bundle.start();
    let refused = |args: &[&str], cwd: &str, user: Option<&str>| {
        let mut process = bundle.container().process().unwrap();
        process.args = args.iter().map(|text| (*text).to_owned()).collect();
        process.cwd = cwd.into();
        process.user.username = user.map(str::to_owned);
        bundle.exec_process(process).unwrap_err()
    };
    assert!(matches!(refused(&["nope"], "/", None), Error::CommandNotFound { .. }));
    assert!(matches!(refused(&["/etc/passwd"], "/", None), Error::CommandNotExecutable { .. }));
    assert!(matches!(refused(&["true"], "/nowhere", None), Error::WorkingDirectory { .. }));
    assert!(matches!(refused(&["true"], "/", Some("bob")), Error::NoSuchUser { .. }));
    std::fs::write(bundle.rootfs().join("bin/rubbish"), [0_u8; 100]).unwrap();
    std::fs::set_permissions(
        bundle.rootfs().join("bin/rubbish"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    assert_eq!(refused(&["rubbish"], "/", None).to_string(), r#"exec: "/bin/rubbish": exec format error"#);
    bundle.stop(&started);
}

fn terminal() {
    let bundle = Bundle::new("sleep 100");
    let (started, ..) = bundle.start();
    let mut process = bundle.container().process().unwrap();
    process.terminal = true;
    process.args = ["sh", "-c", "tty; stty size"].map(str::to_owned).to_vec();
    process.console_size = Some(boxship_oci::runtime::ConsoleSize { height: 11, width: 22 });
    let options = ExecOptions { process, stdio: Stdio::Console, ..ExecOptions::default() };
    let mut exec = bundle.container().exec(options).unwrap();
    assert_eq!(read(exec.console.take().unwrap()), "/dev/pts/0\r\n11 22\r\n");
    process::wait(exec.pidfd.as_fd()).unwrap();
    bundle.stop(&started);
}

fn in_a_user_namespace() {
    let mut bundle = Bundle::new("sleep 100");
    let mapping = serde_json::from_str(r#"[{"containerID":0,"hostID":100000,"size":65536}]"#).unwrap();
    bundle.linux().gid_mappings =
        serde_json::from_str(r#"[{"containerID":0,"hostID":100000,"size":65536}]"#).unwrap();
    bundle.linux().uid_mappings = mapping;
    bundle.linux().namespaces.push(serde_json::from_str(r#"{"type":"user"}"#).unwrap());
    let (started, ..) = bundle.start();
    let outcome = bundle.exec("id -u; readlink /proc/self/ns/user; grep CapBnd /proc/self/status");
    let users = std::fs::read_link(format!("/proc/{}/ns/user", started.pid)).unwrap();
    assert!(
        outcome.out.starts_with(&format!("0\n{}\nCapBnd:\t00000000a80425fb\n", users.display())),
        "{outcome:?}"
    );
    bundle.stop(&started);
}

fn filter_applies() {
    let mut bundle = Bundle::new("sleep 100");
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#;
    bundle.linux().seccomp = serde_json::from_str(profile).unwrap();
    let (started, ..) = bundle.start();
    assert_eq!(bundle.exec("mkdir /new 2>/dev/null || echo denied").out, "denied\n");
    bundle.stop(&started);
}

fn only_while_it_runs() {
    let bundle = Bundle::new("true");
    let (started, ..) = bundle.start();
    process::wait(started.pidfd.as_fd()).unwrap();
    let process = bundle.container().process().unwrap();
    assert!(matches!(bundle.exec_process(process), Err(Error::Status { .. })));
    bundle.container().delete(false).unwrap();
}

fn no_descriptors() {
    let bundle = Bundle::new("sleep 100");
    let (started, ..) = bundle.start();
    assert_eq!(bundle.exec("ls /proc/self/fd").out, "0\n1\n2\n3\n");
    assert_eq!(bundle.exec("readlink /proc/self/cwd").out, "/\n");
    bundle.stop(&started);
}

fn quick() {
    let bundle = Bundle::new("sleep 100");
    let (started, ..) = bundle.start();
    let mut times = Vec::new();
    for _ in 0..20 {
        let begin = std::time::Instant::now();
        let mut process = bundle.container().process().unwrap();
        process.args = vec!["true".to_owned()];
        bundle.exec_process(process).unwrap();
        times.push(begin.elapsed());
    }
    times.sort();
    println!("exec true: median {:?}, best {:?}", times[10], times[0]);
    bundle.stop(&started);
}
