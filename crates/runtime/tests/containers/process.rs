//! What the program is given: user, rights, limits, streams, terminal.

use std::os::fd::AsFd;

use boxship_oci::runtime::{ConsoleSize, Rlimit};
use boxship_runtime::{CreateOptions, Stdio, create};
use boxship_sys::process;

use crate::Test;
use crate::bundle::{Bundle, read};

pub const TESTS: &[Test] = &[
    ("process::user_by_number", user_by_number),
    ("process::user_by_name", user_by_name),
    ("process::capabilities", capabilities),
    ("process::no_new_privileges", no_new_privileges),
    ("process::limits", limits),
    ("process::working_directory", working_directory),
    ("process::environment", environment),
    ("process::umask", umask),
    ("process::terminal", terminal),
    ("process::console_socket", console_socket),
    ("process::streams_belong_to_the_user", streams_belong_to_the_user),
    ("process::only_wanted_descriptors", only_wanted_descriptors),
    ("process::preserved_descriptors", preserved_descriptors),
    ("process::oom_score", oom_score),
    ("process::personality_and_priority", personality_and_priority),
    ("process::signals_are_default", signals_are_default),
    ("process::seccomp_denies", seccomp_denies),
];

fn user_by_number() {
    let mut bundle = Bundle::new("id; echo $HOME");
    bundle.process().user.uid = 1000;
    bundle.process().user.gid = 1001;
    bundle.process().user.additional_gids = vec![63, 77];
    let out = bundle.output();
    assert!(out.starts_with("uid=1000(ann) gid=1001(ann) groups=63(audio),77"), "{out}");
    assert!(out.ends_with("/home/ann\n"), "{out}");
}

fn user_by_name() {
    let mut bundle = Bundle::new("id -u; id -g; id -G; echo $HOME");
    bundle.process().user.username = Some("ann:video".to_owned());
    bundle.process().user.additional_groups = vec!["audio".to_owned()];
    assert_eq!(bundle.output(), "1000\n64\n64 63\n/home/ann\n");
}

fn capabilities() {
    let mut bundle = Bundle::new("grep Cap /proc/self/status");
    let names = vec!["CAP_CHOWN".to_owned(), "CAP_KILL".to_owned(), "CAP_NO_SUCH".to_owned()];
    let sets = bundle.process().capabilities.as_mut().unwrap();
    sets.bounding = names.clone();
    sets.permitted = names.clone();
    sets.effective = vec!["CAP_CHOWN".to_owned()];
    sets.inheritable = names.clone();
    sets.ambient = vec!["CAP_KILL".to_owned()];
    let user = &mut bundle.process().user;
    (user.uid, user.gid) = (1000, 1000);
    let fields: Vec<String> = bundle
        .output()
        .lines()
        .map(|line| line.split_whitespace().last().unwrap().trim_start_matches('0').to_owned())
        .collect();
    // An ordinary user's exec keeps what is ambient.
    assert_eq!(fields, ["21", "20", "20", "21", "20"]);
    let (started, ..) = bundle.create().unwrap();
    assert!(started.warnings[0].contains("CAP_NO_SUCH"), "{:?}", started.warnings);
    bundle.container().delete(true).unwrap();
    process::wait(started.pidfd.as_fd()).unwrap();
}

fn no_new_privileges() {
    let mut bundle = Bundle::new("grep NoNewPrivs /proc/self/status");
    assert_eq!(bundle.output(), "NoNewPrivs:\t1\n");
    bundle.process().no_new_privileges = false;
    assert_eq!(bundle.output(), "NoNewPrivs:\t0\n");
}

fn limits() {
    let mut bundle = Bundle::new("ulimit -n; ulimit -Hn; ulimit -c");
    bundle.process().rlimits = vec![
        Rlimit { kind: "RLIMIT_NOFILE".into(), soft: 100, hard: 200 },
        Rlimit { kind: "RLIMIT_CORE".into(), soft: 0, hard: 0 },
    ];
    assert_eq!(bundle.output(), "100\n200\n0\n");
}

fn working_directory() {
    let mut bundle = Bundle::new("pwd");
    bundle.process().cwd = "/made/on/demand".into();
    assert_eq!(bundle.output(), "/made/on/demand\n");
    assert!(bundle.rootfs().join("made/on/demand").is_dir());
    // Inside the root, whatever links say.
    std::os::unix::fs::symlink("/../../../../tmp", bundle.rootfs().join("link")).unwrap();
    bundle.process().cwd = "/link".into();
    assert_eq!(bundle.output(), "/tmp\n");
}

fn environment() {
    let mut bundle = Bundle::new("env");
    bundle.process().env.push("HOME=/x".to_owned());
    bundle.process().env.push("A=b c=d".to_owned());
    let out = bundle.output();
    assert!(out.contains("A=b c=d\n") && out.contains("HOME=/x\n"), "{out}");
    assert!(!out.contains("CARGO"), "{out}");
}

fn umask() {
    let mut bundle = Bundle::new("umask");
    assert_eq!(bundle.output(), "0022\n");
    bundle.process().user.umask = Some(0o077);
    assert_eq!(bundle.output(), "0077\n");
}

fn terminal() {
    let mut bundle = Bundle::new(
        "tty; stty size; stat -c %t:%T /dev/console; test -t 0 && echo yes; echo hello > /dev/tty",
    );
    bundle.process().terminal = true;
    bundle.process().console_size = Some(ConsoleSize { height: 31, width: 97 });
    let mut started = create(CreateOptions { stdio: Stdio::Console, ..bundle.options() }).unwrap();
    let master = started.console.take().unwrap();
    bundle.container().start().unwrap();
    assert_eq!(read(master), "/dev/pts/0\r\n31 97\r\n88:0\r\nyes\r\nhello\r\n");
    process::wait(started.pidfd.as_fd()).unwrap();
    bundle.container().delete(false).unwrap();
    // A terminal needs somebody who takes it, and the other way round.
    create(bundle.options()).unwrap_err();
    bundle.process().terminal = false;
    create(CreateOptions { stdio: Stdio::Console, ..bundle.options() }).unwrap_err();
    bundle.assert_clean();
}

fn console_socket() {
    let mut bundle = Bundle::new("tty");
    bundle.process().terminal = true;
    let path = bundle.folder.path().join("console.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let started = create(CreateOptions { stdio: Stdio::ConsoleSocket(path), ..bundle.options() }).unwrap();
    assert!(started.console.is_none());
    let (socket, _) = listener.accept().unwrap();
    let mut buffer = [0; 64];
    let (_, mut passed) = boxship_sys::fd::receive(socket.as_fd(), &mut buffer).unwrap();
    bundle.container().start().unwrap();
    assert_eq!(read(passed.pop().unwrap()), "/dev/pts/0\r\n");
    process::wait(started.pidfd.as_fd()).unwrap();
    bundle.container().delete(false).unwrap();
}

fn streams_belong_to_the_user() {
    let mut bundle = Bundle::new("echo one > /dev/stdout; echo two > /dev/stderr");
    bundle.process().user.uid = 1000;
    let outcome = bundle.run();
    assert_eq!((outcome.out.as_str(), outcome.err.as_str()), ("one\n", "two\n"));
}

fn only_wanted_descriptors() {
    let leaky = std::fs::File::open("/etc/passwd").unwrap();
    boxship_sys::fd::keep_on_exec(leaky.as_fd()).unwrap();
    let out = Bundle::new("ls /proc/self/fd").output();
    // The fourth is the folder being listed.
    assert_eq!(out, "0\n1\n2\n3\n");
}

fn preserved_descriptors() {
    // Descriptors up to a high number are kept: some of them exist only for this test.
    let bundle = Bundle::new("cat <&9; ls /proc/self/fd | wc -l");
    let file = bundle.folder.path().join("given");
    std::fs::write(&file, "given\n").unwrap();
    let mut held = Vec::new();
    for number in 3..10 {
        if !boxship_sys::fd::is_open(number) || number == 9 {
            let open = boxship_sys::fd::raise(std::fs::File::open(&file).unwrap().into(), 100).unwrap();
            boxship_sys::fd::place(open.as_fd(), number).unwrap();
            held.push(number);
        }
    }
    let (out, stdout) = boxship_sys::fd::pipe().unwrap();
    let stdio = Stdio::Files { stdin: None, stdout: Some(stdout), stderr: None };
    let started = create(CreateOptions { preserve_fds: 7, stdio, ..bundle.options() }).unwrap();
    bundle.container().start().unwrap();
    assert_eq!(read(out), "given\n11\n");
    process::wait(started.pidfd.as_fd()).unwrap();
    bundle.container().delete(false).unwrap();
    for number in held {
        drop(boxship_sys::fd::adopt_number(number).unwrap());
    }
    create(CreateOptions { preserve_fds: 300, ..bundle.options() }).unwrap_err();
}

fn oom_score() {
    let mut bundle = Bundle::new("cat /proc/self/oom_score_adj");
    bundle.process().oom_score_adj = Some(333);
    assert_eq!(bundle.output(), "333\n");
}

fn personality_and_priority() {
    let mut bundle = Bundle::new("busybox uname -m");
    bundle.linux().personality = serde_json::from_str(r#"{"domain":"LINUX32"}"#).unwrap();
    bundle.process().io_priority =
        serde_json::from_str(r#"{"class":"IOPRIO_CLASS_BE","priority":5}"#).unwrap();
    bundle.process().scheduler = serde_json::from_str(r#"{"policy":"SCHED_BATCH","nice":7}"#).unwrap();
    assert_eq!(bundle.output(), "i686\n");
}

fn signals_are_default() {
    // Rust ignores SIGPIPE; the program must not inherit that.
    let mut bundle = Bundle::new("");
    bundle.process().args = ["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"].map(str::to_owned).to_vec();
    assert_eq!(bundle.output(), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

fn seccomp_denies() {
    let mut bundle = Bundle::new(
        "mkdir /new && echo made; chmod 700 /tmp || echo denied; grep Seccomp: /proc/self/status",
    );
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["chmod","fchmodat","fchmodat2"],"action":"SCMP_ACT_ERRNO"}]}"#;
    bundle.linux().seccomp = serde_json::from_str(profile).unwrap();
    assert_eq!(bundle.output(), "made\ndenied\nSeccomp:\t2\n");
    std::fs::remove_dir(bundle.rootfs().join("new")).unwrap();
    bundle.process().no_new_privileges = false;
    assert_eq!(bundle.output(), "made\ndenied\nSeccomp:\t2\n");
}
