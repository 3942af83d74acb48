//! Launch, start, signals, pause, end: and what is left afterwards.

use boxship_oci::{
    OverlayMount,
    runtime::{Memory, Resources},
};
use boxship_shim::{
    Error, Exit, client,
    protocol::{Event, FailureKind, LaunchRequest, Phase, Request, Response},
};
use std::{
    fs,
    os::fd::AsFd,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    Test,
    host::{Container, Host, await_event, until},
};

pub const TESTS: &[Test] = &[
    ("exit_codes", exit_codes),
    ("events_tell_a_life", events_tell_a_life),
    ("failed_launch_leaves_nothing", failed_launch_leaves_nothing),
    ("pause_resume_stats_pids", pause_resume_stats_pids),
    ("killed_before_start", killed_before_start),
    ("delete_ends_all", delete_ends_all),
    ("host_pid_namespace_is_cleaned", host_pid_namespace_is_cleaned),
    ("overlay_root", overlay_root),
    ("clean_start_of_programs", clean_start_of_programs),
    ("outlives_its_launcher", outlives_its_launcher),
    ("long_paths", long_paths),
    ("many_in_a_row_and_at_once", many_in_a_row_and_at_once),
    ("out_of_memory_is_told", out_of_memory_is_told),
    ("streams_can_be_reopened_by_any_user", streams_can_be_reopened_by_any_user),
    ("secrets_stay_out_of_the_process_list", secrets_stay_out_of_the_process_list),
];

/// What a container is given is seen neither in the list of processes nor in files that others may read.
fn secrets_stay_out_of_the_process_list() {
    use std::os::unix::fs::PermissionsExt;
    const SECRET: &str = "correct-horse-battery";
    let host = Host::new();
    let mut request = host.request(&["/bin/sleep", "100"]);
    request.spec.process.as_mut().unwrap().env.push(format!("TOKEN={SECRET}"));
    let container = host.launch(request);
    container.start();
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{}/{file}", container.shim())).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{file}");
    }
    let open_to_others = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
    assert_eq!(open_to_others(&container.directory().join("shim.sock")), 0);
    let state = container.request.runtime_root.join(container.request.id.as_str());
    for name in ["state.json", "exec.fifo"].map(|name| state.join(name)).iter().filter(|path| path.exists()) {
        assert_eq!(open_to_others(name), 0, "{}", name.display());
    }
    container.ask(Request::Kill { signal: 9, all: false });
    assert_eq!(container.finish().code, 137);
}

fn exit_codes() {
    let host = Host::new();
    for (args, code) in [
        (&["/bin/true"][..], 0),
        (&["/bin/sh", "-c", "exit 42"], 42),
        (&["/bin/sh", "-c", "kill -9 $$"], 0),
        (&["/bin/sh", "-c", "sh -c 'kill -TERM $$'; exit $?"], 143),
    ] {
        let exit = host.run(args).finish();
        assert_eq!((exit.code, exit.oom_killed), (code, false), "{args:?}");
    }
    let container = host.run(&["/bin/sleep", "100"]);
    container.ask(Request::Kill { signal: 9, all: false });
    assert_eq!(container.finish().code, 137);
}

fn events_tell_a_life() {
    let host = Host::new();
    let container = host.launch(host.request(&["/bin/true"]));
    let mut events = container.connect();
    let Response::State(state) = events.ask(&Request::Events).unwrap() else { panic!() };
    assert_eq!((state.phase, state.pid, state.exit), (Phase::Created, container.pid(), None));
    container.start();
    assert_eq!(events.next_event().unwrap(), Some(Event::Started));
    let Some(Event::Exit(exit)) = events.next_event().unwrap() else { panic!() };
    assert_eq!(events.next_event().unwrap(), None);
    assert!(!container.request.runtime_root.join(container.request.id.as_str()).exists());
    assert_eq!(container.finish(), exit);
}

fn failed_launch_leaves_nothing() {
    let host = Host::new();
    for (program, kind) in [
        ("nothing-like-this", FailureKind::CommandNotFound),
        ("/nothing/like/this", FailureKind::CommandNotFound),
        ("/etc", FailureKind::CommandNotExecutable),
    ] {
        let request = host.request(&[program]);
        let executable = fs::File::open("/proc/self/exe").unwrap();
        let Err(Error::Refused(failure)) = boxship_shim::launch(executable.as_fd(), &request) else {
            panic!()
        };
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(!request.runtime_root.join(request.id.as_str()).exists());
        assert!(!request.directory.join("shim.sock").exists());
    }
}

fn pause_resume_stats_pids() {
    let host = Host::new();
    let container = host.run(&["/bin/sleep", "100"]);
    container.ask(Request::Pause);
    let refused = client::ask(container.directory(), &Request::Pause);
    assert!(matches!(refused, Err(Error::Refused(failure)) if failure.kind == FailureKind::State));
    let Response::State(state) = container.ask(Request::State) else { panic!() };
    assert_eq!(state.phase, Phase::Paused);
    container.ask(Request::Resume);
    assert_eq!(container.ask(Request::Pids), Response::Pids(vec![container.pid()]));
    let Response::Stats(stats) = container.ask(Request::Stats) else { panic!() };
    assert_eq!(stats.pids.current, 1);
    container.ask(Request::Pause);
    container.ask(Request::Kill { signal: 9, all: false });
    assert_eq!(container.finish().code, 137);
}

fn killed_before_start() {
    let host = Host::new();
    let container = host.launch(host.request(&["/bin/true"]));
    container.ask(Request::Kill { signal: 9, all: false });
    assert_eq!(container.finish().code, 137);
}

fn delete_ends_all() {
    let host = Host::new();
    let container = host.run(&["/bin/sh", "-c", "trap '' TERM; sleep 100 & sleep 100"]);
    let mut events = container.connect();
    events.ask(&Request::Events).unwrap();
    assert_eq!(container.ask(Request::Delete), Response::Done);
    await_event(&mut events, |event| matches!(event, Event::Exit(exit) if exit.code == 137));
    assert_eq!(container.finish().code, 137);
}

fn host_pid_namespace_is_cleaned() {
    let host = Host::new();
    let mut request =
        LaunchRequest { start: true, ..host.request(&["/bin/sh", "-c", "sleep 987 & echo $!"]) };
    let linux = request.spec.linux.as_mut().unwrap();
    linux.namespaces.retain(|namespace| namespace.kind != boxship_oci::runtime::NamespaceKind::Pid);
    let container = host.launch(request);
    container.wait_for_exit();
    let left: i32 = container.logged().trim().parse().unwrap();
    container.finish();
    let status = || fs::read_to_string(format!("/proc/{left}/stat")).unwrap_or_default();
    until("the sleeper's end", || !status().contains("(sleep) S") && !status().contains("(sleep) R"));
}

fn overlay_root() {
    let host = Host::new();
    for name in ["upper", "work", "merged"] {
        fs::create_dir(host.path(name)).unwrap();
    }
    // overlayfs can't have its own kind below it; the temporary folder may be on one.
    let script = "echo changed > /new; cat /new";
    let mut request = LaunchRequest { start: true, ..host.request(&["/bin/sh", "-c", script]) };
    request.rootfs = Some(OverlayMount {
        lower: vec![host.path("rootfs")],
        upper: host.path("upper"),
        work: host.path("work"),
        options: Vec::new(),
    });
    let container = host.launch(request);
    assert_eq!(container.wait_for_exit().code, 0);
    assert_eq!(container.logged(), "changed\n");
    container.finish();
    assert_eq!(fs::read_to_string(host.path("upper/new")).unwrap(), "changed\n");
    assert!(!host.path("rootfs/new").exists());
}

/// Nothing of the shim may be inherited: signals, descriptors, protection from the OOM killer, session.
fn clean_start_of_programs() {
    let host = Host::new();
    let script = "cat /proc/self/oom_score_adj; grep -E '^(SigBlk|SigIgn)' /proc/self/status; echo /proc/self/fd/*; umask";
    std::os::unix::fs::symlink("busybox", host.path("rootfs/bin/grep")).unwrap();
    let container = host.run(&["/bin/sh", "-c", script]);
    container.wait_for_exit();
    let zero = "0".repeat(16);
    let logged = container.logged();
    let expect = format!("0\nSigBlk:\t{zero}\nSigIgn:\t{zero}\n");
    assert!(logged.starts_with(&expect), "{logged}");
    // The shell itself opens the folder to expand the pattern.
    assert!(logged.contains("/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\n0022\n"), "{logged}");
    container.finish();
}

/// The daemon is killed while a container runs: nothing happens to it, and the next one finds all it needs.
fn outlives_its_launcher() {
    let host = Host::new();
    // It prints all the time, and doesn't end before the launcher is dead.
    let script =
        "i=0; while [ $i -lt 30 ] || [ ! -e /tmp/go ]; do echo $i; i=$((i+1)); sleep 0.02; done; exit 6";
    let request = LaunchRequest { start: true, ..host.request(&["/bin/sh", "-c", script]) };
    let file = host.path("request.json");
    fs::write(&file, boxship_shim::protocol::encode(&request)).unwrap();
    let mut launcher = Command::new("/proc/self/exe").arg("launch-and-hang").arg(&file).spawn().unwrap();
    let pid = loop {
        if let Ok(Response::State(state)) = client::ask(&request.directory, &Request::State) {
            break state.pid;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    let shim = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let shim: i32 = shim.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    // What `killall -HUP boxship` would do.
    let shim = rustix::process::Pid::from_raw(shim).unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::HUP).unwrap();
    fs::write(host.path("rootfs/tmp/go"), "").unwrap();
    let container = Container { request, launched: None };
    assert_eq!(container.wait_for_exit().code, 6);
    let logged = container.logged();
    let expect: String = (0..logged.lines().count()).map(|number| format!("{number}\n")).collect();
    assert!(logged == expect && logged.lines().count() >= 30, "{logged}");
    until("the shim's end", || !container.directory().join("shim.sock").exists());
    assert_eq!(Exit::read(container.directory()).unwrap().unwrap().code, 6);
}

fn out_of_memory_is_told() {
    let host = Host::new();
    let script = "yes | tr -d '\\n' | head -c 200000000 | sh -c 'read x; echo $x' >/dev/null; exit 1";
    let mut request = host.request(&["/bin/sh", "-c", script]);
    let memory = Memory { limit: Some(16 << 20), swap: Some(16 << 20), ..Memory::default() };
    let resources = Resources { memory: Some(memory), ..Resources::default() };
    request.spec.linux.as_mut().unwrap().resources = Some(resources);
    let container = host.launch(request);
    let mut events = container.connect();
    events.ask(&Request::Events).unwrap();
    container.start();
    await_event(&mut events, |event| *event == Event::Oom);
    let exit = container.finish();
    assert!(exit.oom_killed && exit.code != 0, "{exit:?}");
}

fn streams_can_be_reopened_by_any_user() {
    let host = Host::new();
    let script = "echo out > /proc/self/fd/1; echo err > /proc/self/fd/2";
    let mut request = LaunchRequest { start: true, ..host.request(&["/bin/sh", "-c", script]) };
    request.spec.process.as_mut().unwrap().user.uid = 1000;
    let container = host.launch(request);
    let exit = container.wait_for_exit();
    let mut lines: Vec<String> = container.logged().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!((exit.code, lines), (0, vec!["err".to_owned(), "out".to_owned()]));
    container.finish();
}

fn long_paths() {
    let host = Host::new();
    let mut request = LaunchRequest { start: true, ..host.request(&["/bin/true"]) };
    request.directory = host.path(&format!("run/{}/{}", "long".repeat(20), "path".repeat(20)));
    fs::create_dir_all(&request.directory).unwrap();
    assert_eq!(host.launch(request).finish().code, 0);
}

/// Prints times; each end is checked for leftovers.
fn many_in_a_row_and_at_once() {
    let host = Host::new();
    let mut times = Vec::new();
    for _ in 0..100 {
        let request = LaunchRequest { start: true, ..host.request(&["/bin/true"]) };
        let start = Instant::now();
        let container = host.launch(request);
        let launched = start.elapsed().as_micros();
        container.wait_for_exit();
        times.push((start.elapsed().as_micros(), launched));
        assert_eq!(container.finish().code, 0);
    }
    times.sort_unstable();
    println!("100 in a row: launch to exit median {} µs (launch {} µs)", times[50].0, times[50].1);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                let container = host.run(&["/bin/sh", "-c", "echo $$; sleep 0.1; exit 4"]);
                assert_eq!(container.wait_for_exit().code, 4);
                assert_eq!(container.logged(), "1\n");
                container.finish();
            });
        }
    });
    println!("40 at once: {} ms", start.elapsed().as_millis());
}
