//! Control groups against the kernel that runs: every limit is read back from the file it must end up in.
//!
//! Needs root. The same binary runs on whatever the machine has: v1 and hybrid here, v2 in `tests/vm/cgroup2-vm`.

#![allow(clippy::unwrap_used)] // Clippy sees no test in the functions that tests share.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use boxship_oci::runtime::{
    BlockIo, Cpu, DeviceKind, DeviceRule, Linux, Memory, Pids, Resources, ThrottleDevice,
};
use boxship_runtime::cgroup::{Cgroup, Error, Freezer, Options, View};

/// A cgroup of this test's own that is gone afterwards, with all its processes.
struct Scratch {
    cgroup: Cgroup,
    children: Vec<Child>,
}

impl Scratch {
    fn new(name: &str) -> Self {
        // A parent of its own: the end of one test would take a common one away while another makes its cgroup there.
        let linux = linux(&format!("/boxship-test-{}-{name}/{name}", std::process::id()));
        let cgroup = Cgroup::for_spec(&linux, name, Options::default()).unwrap();
        cgroup.create().unwrap();
        Self { cgroup, children: Vec::new() }
    }

    /// A process inside; answers its number.
    fn run(&mut self, script: &str) -> i32 {
        // It waits for a line, so that nothing happens before it is in its cgroup.
        let child = Command::new("sh")
            .args(["-c", &format!("read line; {script}")])
            .stdin(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let pid = child.id() as i32;
        self.children.push(child);
        self.cgroup.add(pid).unwrap();
        let input = self.children.last_mut().unwrap().stdin.take();
        drop(input);
        pid
    }

    fn wait(&mut self) -> std::process::ExitStatus {
        self.children.pop().unwrap().wait().unwrap()
    }

    fn read(&self, controller: &str, file: &str) -> String {
        let path = self.directory(controller).join(file);
        std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            .trim()
            .to_owned()
    }

    fn directory(&self, controller: &str) -> PathBuf {
        let key = if self.cgroup.is_unified() { "" } else { controller };
        self.cgroup.paths()[key].clone()
    }

    /// The content of the v1 file or the v2 file, whichever machine this is.
    fn expect(&self, controller: &str, v1: (&str, &str), v2: (&str, &str)) {
        let (file, value) = if self.cgroup.is_unified() { v2 } else { v1 };
        assert_eq!(self.read(controller, file), value, "{file}");
    }

    /// The limit of swap.
    fn swap_file(&self) -> &'static str {
        if self.cgroup.is_unified() { "memory.swap.max" } else { "memory.memsw.limit_in_bytes" }
    }

    fn accounts_swap(&self) -> bool {
        self.directory("memory").join(self.swap_file()).exists()
    }

    fn has(&self, controller: &str) -> bool {
        if !self.cgroup.is_unified() {
            return self.cgroup.paths().contains_key(controller);
        }
        self.read("", "cgroup.controllers").split_whitespace().any(|name| name == controller)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.cgroup.thaw();
        let _ = self.cgroup.kill_all();
        for child in &mut self.children {
            let _ = child.wait();
        }
        let removed = self.cgroup.remove();
        for path in self.cgroup.paths().values() {
            if let Some(parent) = path.parent() {
                let _ = std::fs::remove_dir(parent);
            }
        }
        if !std::thread::panicking() {
            removed.unwrap();
            assert!(!self.cgroup.exists());
        }
    }
}

fn linux(path: &str) -> Linux {
    Linux { cgroups_path: Some(path.into()), ..Linux::default() }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(120), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn processes_are_put_in_listed_and_killed() {
    let mut scratch = Scratch::new("processes");
    let pid = scratch.run("sleep 1000 & sleep 1000");
    until("two processes", || scratch.cgroup.pids().unwrap().len() >= 2);
    assert!(scratch.cgroup.pids().unwrap().contains(&pid));
    for path in scratch.cgroup.paths().values() {
        let inside = std::fs::read_to_string(path.join("cgroup.procs")).unwrap();
        assert!(inside.lines().any(|line| line == pid.to_string()), "{}", path.display());
    }
    scratch.cgroup.kill_all().unwrap();
    scratch.wait();
    until("death", || scratch.cgroup.pids().unwrap().is_empty());
}

/// Killing reaches cgroups that the container made below its own.
#[test]
fn nested_cgroups_are_killed_and_removed() {
    let mut scratch = Scratch::new("nested");
    let pid = scratch.run("exec sleep 1000");
    for path in scratch.cgroup.paths().values() {
        let below = path.join("below/further");
        std::fs::create_dir_all(&below).unwrap();
        if path.to_string_lossy().contains("cpuset") {
            for level in [path.join("below"), below.clone()] {
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    let value = std::fs::read_to_string(path.join(file)).unwrap();
                    std::fs::write(level.join(file), value).unwrap();
                }
            }
        }
        std::fs::write(below.join("cgroup.procs"), pid.to_string()).unwrap();
    }
    assert_eq!(scratch.cgroup.pids().unwrap(), [pid]);
    scratch.cgroup.kill_all().unwrap();
    scratch.wait();
}

#[test]
fn limits_are_set() {
    let scratch = Scratch::new("limits");
    // The small virtual machine's kernel has one processor and no cpuset.
    let set = |list: &str| scratch.has("cpuset").then(|| list.to_owned());
    let resources = Resources {
        memory: Some(Memory { limit: Some(64 << 20), reservation: Some(32 << 20), ..Memory::default() }),
        cpu: Some(Cpu {
            shares: Some(512),
            quota: Some(50_000),
            period: Some(100_000),
            cpus: set("0"),
            mems: set("0"),
            ..Cpu::default()
        }),
        pids: Some(Pids { limit: Some(77) }),
        ..Resources::default()
    };
    scratch.cgroup.apply(&resources).unwrap();
    let bytes = (64_u64 << 20).to_string();
    scratch.expect("memory", ("memory.limit_in_bytes", &bytes), ("memory.max", &bytes));
    let soft = (32_u64 << 20).to_string();
    scratch.expect("memory", ("memory.soft_limit_in_bytes", &soft), ("memory.low", &soft));
    scratch.expect("cpu", ("cpu.shares", "512"), ("cpu.weight", "59"));
    scratch.expect("cpu", ("cpu.cfs_quota_us", "50000"), ("cpu.max", "50000 100000"));
    if scratch.has("cpuset") {
        scratch.expect("cpuset", ("cpuset.cpus", "0"), ("cpuset.cpus", "0"));
    }
    scratch.expect("pids", ("pids.max", "77"), ("pids.max", "77"));
    let nothing = Resources { pids: Some(Pids { limit: Some(-1) }), ..Resources::default() };
    scratch.cgroup.update(&nothing).unwrap();
    scratch.expect("pids", ("pids.max", "max"), ("pids.max", "max"));
    scratch.expect("memory", ("memory.limit_in_bytes", &bytes), ("memory.max", &bytes));
}

/// Memory and memory+swap constrain each other: whichever way they move, the right one goes first.
#[test]
fn memory_and_swap_move_in_both_directions() {
    let scratch = Scratch::new("swap");
    const MIB: i64 = 1 << 20;
    let (swap_file, accounted) = (scratch.swap_file(), scratch.accounts_swap());
    for (limit, swap) in [(64, 128), (256, 512), (32, 32), (512, -1), (-1, -1), (16, 64)] {
        let bytes = |value: i64| if value < 0 { value } else { value * MIB };
        let memory =
            Memory { limit: Some(bytes(limit)), swap: accounted.then(|| bytes(swap)), ..Memory::default() };
        let resources = Resources { memory: Some(memory), ..Resources::default() };
        scratch.cgroup.update(&resources).unwrap_or_else(|error| panic!("{limit} {swap}: {error:?}"));
        if limit > 0 {
            let bytes = bytes(limit).to_string();
            scratch.expect("memory", ("memory.limit_in_bytes", &bytes), ("memory.max", &bytes));
        }
        if accounted && swap > 0 {
            let (both, alone) = ((swap * MIB).to_string(), ((swap - limit) * MIB).to_string());
            scratch.expect("memory", (swap_file, &both), (swap_file, &alone));
        }
    }
}

#[test]
fn impossible_limits_are_refused() {
    let scratch = Scratch::new("refused");
    let cpu = |cpu| Resources { cpu: Some(cpu), ..Resources::default() };
    let memory = |memory| Resources { memory: Some(memory), ..Resources::default() };
    let mut bad = vec![
        cpu(Cpu { quota: Some(10), ..Cpu::default() }),
        cpu(Cpu { cpus: Some("900".into()), ..Cpu::default() }),
        Resources {
            block_io: Some(BlockIo {
                throttle_read_bps_device: vec![ThrottleDevice { major: 4000, minor: 0, rate: 1 }],
                ..BlockIo::default()
            }),
            ..Resources::default()
        },
    ];
    if !scratch.cgroup.is_unified() {
        bad.push(cpu(Cpu { shares: Some(1), ..Cpu::default() }));
        bad.push(memory(Memory { swappiness: Some(101), ..Memory::default() }));
        bad.push(Resources {
            unified: [("memory.high".to_owned(), "1".to_owned())].into_iter().collect(),
            ..Resources::default()
        });
    } else {
        bad.push(memory(Memory { limit: Some(2 << 20), swap: Some(1 << 20), ..Memory::default() }));
        bad.push(Resources {
            unified: [("../cgroup.procs".to_owned(), "1".to_owned())].into_iter().collect(),
            ..Resources::default()
        });
    }
    for resources in bad {
        assert!(scratch.cgroup.update(&resources).is_err(), "{resources:?}");
    }
}

#[test]
fn unified_files_are_written_as_they_are() {
    let scratch = Scratch::new("unified");
    if !scratch.cgroup.is_unified() {
        return;
    }
    let set = |file: &str, value: &str| {
        let unified = [(file.to_owned(), value.to_owned())].into_iter().collect();
        scratch.cgroup.update(&Resources { unified, ..Resources::default() })
    };
    set("memory.high", "33554432").unwrap();
    assert_eq!(scratch.read("", "memory.high"), "33554432");
    assert!(matches!(set("hugetlbx.max", "1"), Err(Error::NoController { .. })));
}

#[test]
fn freezing_and_thawing() {
    let mut scratch = Scratch::new("freezer");
    let pid = scratch.run("while :; do :; done");
    assert_eq!(scratch.cgroup.freezer().unwrap(), Freezer::Thawed);
    scratch.cgroup.freeze().unwrap();
    assert_eq!(scratch.cgroup.freezer().unwrap(), Freezer::Frozen);
    let used = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(11).unwrap().to_owned()
    };
    // What it had used up to the freeze may be counted a moment later.
    until("standstill", || {
        let before = used(pid);
        std::thread::sleep(Duration::from_millis(50));
        used(pid) == before
    });
    // A frozen cgroup must not be taken for a new container.
    scratch.cgroup.thaw().unwrap();
    assert_eq!(scratch.cgroup.freezer().unwrap(), Freezer::Thawed);
    scratch.cgroup.freeze().unwrap();
    scratch.cgroup.kill_all().unwrap();
    scratch.wait();
}

#[test]
fn an_existing_cgroup_is_taken_only_when_empty() {
    let mut scratch = Scratch::new("taken");
    scratch.cgroup.create().unwrap();
    scratch.run("sleep 1000");
    assert!(matches!(scratch.cgroup.create(), Err(Error::NotEmpty { count: 1.., .. })));
}

#[test]
fn counting() {
    let mut scratch = Scratch::new("stats");
    scratch
        .cgroup
        .update(&Resources { pids: Some(Pids { limit: Some(50) }), ..Resources::default() })
        .unwrap();
    // Pages it had before it entered are not counted here, and a tick may be before the first page: the text it holds is
    // its own.
    scratch.run("text=x; while [ ${#text} -lt 1000000 ]; do text=$text$text; done; sleep 1000");
    until("processor time and memory", || {
        let stats = scratch.cgroup.stats().unwrap();
        stats.cpu.usage.total > 0 && stats.memory.usage.usage > 1_000_000
    });
    let stats = scratch.cgroup.stats().unwrap();
    assert!(!stats.memory.raw.is_empty(), "{stats:?}");
    assert!(stats.pids.current >= 1 && stats.pids.limit == 50, "{stats:?}");
    assert_eq!(stats.unified, scratch.cgroup.is_unified());
    assert_eq!(stats.oom_kills, 0);
    if !stats.unified {
        assert!(!stats.cpu.usage.percpu.is_empty());
        assert_eq!(stats.memory.swap.limit > 0, scratch.accounts_swap());
    }
}

#[test]
fn running_out_of_memory_is_heard_of() {
    let mut scratch = Scratch::new("oom");
    let mut memory = Memory { limit: Some(16 << 20), ..Memory::default() };
    // A machine's swap would only draw it out.
    memory.swap = scratch.accounts_swap().then_some(16 << 20);
    scratch.cgroup.update(&Resources { memory: Some(memory), ..Resources::default() }).unwrap();
    let events = scratch.cgroup.oom_event_fd().unwrap();
    assert_eq!(scratch.cgroup.oom_kill_count().unwrap(), 0);
    // tail keeps a line without end in memory.
    scratch.run("exec tail /dev/zero");
    let mut polled = [rustix::event::PollFd::new(&events, rustix::event::PollFlags::IN)];
    let timeout = rustix::event::Timespec { tv_sec: 120, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut polled, Some(&timeout)).unwrap(), 1);
    events.drain().unwrap();
    until("the killer", || scratch.cgroup.oom_kill_count().unwrap() > 0);
    assert!(!scratch.wait().success());
    assert!(scratch.cgroup.stats().unwrap().oom_kills > 0);
}

/// Device rules hold: null may be opened, kmsg (1:11) may not, unless a rule says so, and the last rule counts.
#[test]
fn device_rules() {
    let mut scratch = Scratch::new("devices");
    let rule = |allow, minor| DeviceRule {
        allow,
        kind: Some(DeviceKind::Char),
        major: Some(1),
        minor: Some(minor),
        access: Some("rwm".into()),
    };
    let everything = DeviceRule { allow: true, ..DeviceRule::default() };
    let nothing = DeviceRule { allow: false, ..DeviceRule::default() };
    for (devices, expected) in [
        (vec![], [true, false]),
        (vec![nothing.clone(), rule(true, 11)], [true, true]),
        (vec![nothing, rule(true, 11), rule(false, 11)], [true, false]),
        (vec![everything], [true, true]),
    ] {
        scratch.cgroup.apply(&Resources { devices, ..Resources::default() }).unwrap();
        for (device, expected) in ["/dev/null", "/dev/kmsg"].iter().zip(expected) {
            scratch.run(&format!("exec 9<>{device}"));
            assert_eq!(scratch.wait().success(), expected, "{device}");
        }
    }
}

#[test]
fn an_additional_process_enters_below() {
    let mut scratch = Scratch::new("subgroup");
    let first = scratch.run("exec sleep 1000");
    let controller = if scratch.cgroup.is_unified() { "" } else { "pids" };
    std::fs::create_dir(scratch.directory(controller).join("sub")).unwrap();
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = child.id() as i32;
    scratch.children.push(child);
    let below = BTreeMap::from([(controller.to_owned(), "sub".to_owned())]);
    scratch.cgroup.add_exec(pid, &below, first).unwrap();
    let inside = std::fs::read_to_string(scratch.directory(controller).join("sub/cgroup.procs")).unwrap();
    assert_eq!(inside.trim(), pid.to_string());
    let outside = BTreeMap::from([(controller.to_owned(), "../..".to_owned())]);
    scratch.cgroup.add_exec(pid, &outside, first).unwrap();
    let inside = std::fs::read_to_string(scratch.directory(controller).join("cgroup.procs")).unwrap();
    assert!(inside.lines().any(|line| line == pid.to_string()));
    let missing = BTreeMap::from([(controller.to_owned(), "nothing".to_owned())]);
    assert!(scratch.cgroup.add_exec(pid, &missing, first).is_err());
}

#[test]
fn found_again_from_its_record() {
    let scratch = Scratch::new("record");
    let text = serde_json::to_string(scratch.cgroup.record()).unwrap();
    let again = Cgroup::load(serde_json::from_str(&text).unwrap());
    assert_eq!(again, scratch.cgroup);
    assert!(again.exists());
    match again.view().unwrap() {
        View::Unified { source } => assert!(source.join("cgroup.procs").exists()),
        View::Split { hierarchies, .. } => {
            assert!(hierarchies.iter().any(|it| it.name == "memory" && it.options == "memory"));
            assert!(hierarchies.iter().all(|it| it.source.join("cgroup.procs").exists()));
        }
    }
    if let Some(fd) = again.directory_fd() {
        assert!(rustix::fs::fstat(fd.as_fd()).is_ok());
    }
}

#[test]
fn entering_by_oneself() {
    let scratch = Scratch::new("entrances");
    let count = scratch.cgroup.entrances().unwrap().len();
    let v1 = scratch.cgroup.paths().keys().filter(|name| !name.is_empty()).count();
    assert!(count <= v1 && (count > 0) == (v1 > 0));
}

#[test]
fn the_systemd_driver_is_refused_with_words() {
    let options = Options { systemd: true, ..Options::default() };
    let error = Cgroup::for_spec(&linux("user.slice:boxship:x"), "x", options).unwrap_err();
    assert!(error.to_string().contains("--systemd-cgroup"), "{error}");
    assert!(!Path::new("/sys/fs/cgroup/user.slice:boxship:x").exists());
}
