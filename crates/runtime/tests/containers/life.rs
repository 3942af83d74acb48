//! From creation to nothing left behind.

use std::os::fd::AsFd;
use std::time::Instant;

use boxship_oci::runtime::{Resources, Status};
use boxship_runtime::{Error, list};
use boxship_sys::process::{self, Exit};
use boxship_sys::signal::Signal;

use crate::Test;
use crate::bundle::Bundle;

pub const TESTS: &[Test] = &[
    ("life::exit_code_and_output", exit_code_and_output),
    ("life::states", states),
    ("life::an_id_is_taken", an_id_is_taken),
    ("life::created_is_killed_by_delete", created_is_killed_by_delete),
    ("life::started_once", started_once),
    ("life::pause_and_resume", pause_and_resume),
    ("life::kill_all_and_pids", kill_all_and_pids),
    ("life::force", force),
    ("life::lists", lists),
    ("life::pid_file", pid_file),
    ("life::quick", quick),
    ("life::overlay_root", overlay_root),
    ("life::many_leave_nothing", many_leave_nothing),
    ("life::without_pivot", without_pivot),
    ("life::many_at_once", many_at_once),
    ("life::a_dead_makers_remains", a_dead_makers_remains),
];

fn exit_code_and_output() {
    let outcome = Bundle::new("echo out; echo err >&2; exit 7").run();
    assert_eq!((outcome.exit, outcome.out.as_str(), outcome.err.as_str()), (Exit::Code(7), "out\n", "err\n"));
}

fn states() {
    let bundle = Bundle::new("sleep 100");
    let (started, ..) = bundle.create().unwrap();
    let state = bundle.container().state().unwrap();
    assert_eq!((state.status, state.pid), (Status::Created, started.pid));
    assert_eq!(state.bundle, bundle.folder.path());
    bundle.container().start().unwrap();
    assert_eq!(bundle.container().status().unwrap(), Status::Running);
    assert!(matches!(bundle.container().delete(false), Err(Error::Status { status: Status::Running, .. })));
    bundle.container().kill(Signal::KILL, false).unwrap();
    assert_eq!(process::wait(started.pidfd.as_fd()).unwrap(), Exit::Signal(9));
    let state = bundle.container().state().unwrap();
    assert_eq!((state.status, state.pid), (Status::Stopped, 0));
    assert!(matches!(bundle.container().kill(Signal::TERM, false), Err(Error::Status { .. })));
    bundle.container().delete(false).unwrap();
    bundle.assert_clean();
}

fn an_id_is_taken() {
    let bundle = Bundle::new("sleep 100");
    let (started, ..) = bundle.start();
    assert!(matches!(bundle.create(), Err(Error::Exists { .. })));
    assert_eq!(bundle.container().status().unwrap(), Status::Running);
    bundle.stop(&started);
}

fn created_is_killed_by_delete() {
    let bundle = Bundle::new("sleep 100");
    let (started, ..) = bundle.create().unwrap();
    bundle.container().delete(false).unwrap();
    assert_eq!(process::wait(started.pidfd.as_fd()).unwrap(), Exit::Signal(9));
    bundle.assert_clean();
}

fn started_once() {
    let bundle = Bundle::new("sleep 100");
    let (started, ..) = bundle.start();
    assert!(matches!(bundle.container().start(), Err(Error::Status { operation: "start", .. })));
    bundle.stop(&started);
    // And not at all when its process died before.
    let (started, ..) = bundle.create().unwrap();
    bundle.container().kill(Signal::KILL, false).unwrap();
    process::wait(started.pidfd.as_fd()).unwrap();
    assert!(matches!(bundle.container().start(), Err(Error::Status { status: Status::Stopped, .. })));
    bundle.container().delete(false).unwrap();
}

fn pause_and_resume() {
    let bundle = Bundle::new("sleep 100");
    let (started, ..) = bundle.start();
    bundle.container().pause().unwrap();
    assert_eq!(bundle.container().status().unwrap(), Status::Paused);
    assert!(bundle.container().pause().is_err());
    bundle.container().resume().unwrap();
    assert_eq!(bundle.container().status().unwrap(), Status::Running);
    bundle.container().update(&Resources::default()).unwrap();
    bundle.container().pause().unwrap();
    // A frozen container can be removed by force.
    bundle.container().delete(true).unwrap();
    process::wait(started.pidfd.as_fd()).unwrap();
    bundle.assert_clean();
}

fn kill_all_and_pids() {
    let bundle = Bundle::new("trap 'echo term; exit 3' TERM; sleep 100 & echo ready; wait");
    let (started, out, _err) = bundle.start();
    let mut buffer = [0; 6];
    assert_eq!(rustix::io::read(&out, &mut buffer).unwrap(), 6);
    assert_eq!(bundle.container().pids().unwrap().len(), 2);
    bundle.container().kill(Signal::TERM, true).unwrap();
    assert_eq!(process::wait(started.pidfd.as_fd()).unwrap(), Exit::Code(3));
    bundle.container().delete(false).unwrap();
}

fn force() {
    let bundle = Bundle::new("sleep 100");
    let (started, ..) = bundle.start();
    bundle.container().delete(true).unwrap();
    assert_eq!(process::wait(started.pidfd.as_fd()).unwrap(), Exit::Signal(9));
    bundle.assert_clean();
}

fn lists() {
    let bundle = Bundle::new("sleep 100");
    assert!(list(&bundle.state_root()).unwrap().is_empty());
    let (started, ..) = bundle.start();
    std::fs::create_dir(bundle.state_root().join("stray")).unwrap();
    let found = list(&bundle.state_root()).unwrap();
    assert_eq!(found.iter().map(|container| container.id()).collect::<Vec<_>>(), [bundle.id.as_str()]);
    bundle.stop(&started);
}

fn pid_file() {
    let bundle = Bundle::new("true");
    let path = bundle.folder.path().join("pid");
    let options = boxship_runtime::CreateOptions { pid_file: Some(path.clone()), ..bundle.options() };
    let started = boxship_runtime::create(options).unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), started.pid.to_string());
    bundle.container().delete(true).unwrap();
    process::wait(started.pidfd.as_fd()).unwrap();
}

/// No assertion on time (machines differ): the figure is for people.
fn quick() {
    let mut bundle = Bundle::new("");
    bundle.process().args = vec!["true".to_owned()];
    let mut times = Vec::new();
    for _ in 0..20 {
        let begin = Instant::now();
        let (started, ..) = bundle.create().unwrap();
        bundle.container().start().unwrap();
        process::wait(started.pidfd.as_fd()).unwrap();
        times.push(begin.elapsed());
        bundle.container().delete(false).unwrap();
    }
    times.sort();
    println!("create, start, run true, exit: median {:?}, best {:?}", times[10], times[0]);
}

fn overlay_root() {
    let bundle = Bundle::new("echo new > /written; cat /written /etc/passwd");
    let folder = bundle.folder.path();
    for name in ["upper", "work", "extra", "merged"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    let option = |key: &str, path: &str| format!("{key}={}", folder.join(path).display());
    let rootfs = boxship_oci::runtime::Mount {
        destination: "/".into(),
        kind: Some("overlay".into()),
        source: Some("overlay".into()),
        options: vec![
            format!("{}:{}", option("lowerdir", "extra"), folder.join("rootfs").display()),
            option("upperdir", "upper"),
            option("workdir", "work"),
        ],
        ..Default::default()
    };
    let (out, stdout) = boxship_sys::fd::pipe().unwrap();
    let stdio = boxship_runtime::Stdio::Files { stdin: None, stdout: Some(stdout), stderr: None };
    let options = boxship_runtime::CreateOptions { rootfs: Some(rootfs), stdio, ..bundle.options() };
    let started = boxship_runtime::create(options).unwrap();
    bundle.container().start().unwrap();
    assert!(crate::bundle::read(out).starts_with("new\nroot:"));
    process::wait(started.pidfd.as_fd()).unwrap();
    bundle.container().delete(false).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("upper/written")).unwrap(), "new\n");
    assert!(!folder.join("rootfs/written").exists());
    bundle.assert_clean();
}

fn many_leave_nothing() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = count();
    let bundle = Bundle::new("exit 0");
    for _ in 0..20 {
        bundle.run();
    }
    let mut broken = Bundle::new("");
    broken.process().args = vec!["nothing-such".to_owned()];
    for _ in 0..20 {
        broken.refusal();
    }
    assert_eq!(count(), before, "descriptors are left");
    assert!(process::wait(process::open(std::process::id() as i32).unwrap().as_fd()).is_err());
}

fn without_pivot() {
    let bundle = Bundle::new("ls -A /; sleep 100");
    let (out, stdout) = boxship_sys::fd::pipe().unwrap();
    let stdio = boxship_runtime::Stdio::Files { stdin: None, stdout: Some(stdout), stderr: None };
    let options = boxship_runtime::CreateOptions { no_pivot: true, stdio, ..bundle.options() };
    let started = boxship_runtime::create(options).unwrap();
    bundle.container().start().unwrap();
    let listed = "bin\ndev\netc\nhome\nproc\nroot\nrun\nsys\ntmp\n";
    // It must have had the time to say so before it is stopped.
    let mut said = vec![0; listed.len()];
    std::io::Read::read_exact(&mut std::fs::File::from(out), &mut said).unwrap();
    assert_eq!(String::from_utf8_lossy(&said), listed);
    assert_eq!(bundle.exec("ls -A /").out, listed);
    bundle.stop(&started);
}

fn a_dead_makers_remains() {
    let bundle = Bundle::new("true");
    std::fs::create_dir_all(bundle.state_root().join(&bundle.id)).unwrap();
    std::fs::write(bundle.state_root().join(&bundle.id).join("exec.fifo"), "").unwrap();
    bundle.output();
}

fn many_at_once() {
    let bundles: Vec<Bundle> = (0..30).map(|_| Bundle::new("sleep 100")).collect();
    let started: Vec<_> = bundles.iter().map(Bundle::start).collect();
    for bundle in &bundles {
        assert_eq!(bundle.container().status().unwrap(), Status::Running);
    }
    for (bundle, (started, ..)) in bundles.iter().zip(&started) {
        bundle.stop(started);
    }
}
