//! The init role in a real container.

use std::fs;

use boxship_shim::protocol::{LaunchRequest, Request};

use crate::{
    Test,
    host::{Host, until},
};

pub const TESTS: &[Test] = &[("init_reaps_and_passes_on", init_reaps_and_passes_on)];

fn init_reaps_and_passes_on() {
    let host = Host::new();
    fs::copy("/proc/self/exe", host.path("rootfs/init")).unwrap();
    for (script, code) in [("exit 7", 7), ("kill -KILL $$", 137)] {
        let container = host.run(&["/init", "init", "--", "sh", "-c", script]);
        assert_eq!(container.finish().code, code, "{script}");
    }
    assert_eq!(host.run(&["/init", "init", "--", "nothing-like-this"]).finish().code, 127);

    let script = "trap 'echo told; exit 9' TERM; (sleep 0.05 &); echo ready; while :; do sleep 0.05; done";
    let request = LaunchRequest { start: true, ..host.request(&["/init", "init", "--", "sh", "-c", script]) };
    let container = host.launch(request);
    until("readiness", || container.logged().contains("ready"));
    let children = || fs::read_to_string(format!("/proc/{0}/task/{0}/children", container.pid())).unwrap();
    until("only the program is left", || children().split_whitespace().count() == 1);
    container.ask(Request::Kill { signal: 15, all: false });
    assert_eq!(container.wait_for_exit().code, 9);
    assert_eq!(container.logged(), "ready\ntold\n");
    container.finish();
}
