//! End to end: the real executable, the stock `docker` client and docker-py, on real images.
//!
//! Each test has a host of its own (a daemon with temporary folders) which at its end checks
//! that nothing is left. Every file of this folder must be named below: `no_file_is_forgotten`.
#![allow(clippy::unwrap_used, clippy::print_stderr)] // Helpers of tests: a panic is their way to fail.

mod accounts;
mod cheat_sheet;
mod errors;
mod exec;
mod images;
mod isolation;
mod leaving;
mod lifecycle;
mod limits;
mod logs;
mod many;
mod networks;
mod ports;
mod registry;
mod relaying;
mod repair;
mod resolving;
mod sdk;
mod server;
mod survive;
mod terminal;
mod transfer;
mod tutorials;
mod wire;

use boxship_testkit::host::Host;

/// A host with busybox loaded.
fn host() -> Host {
    let host = Host::start(env!("CARGO_BIN_EXE_boxship"));
    host.load_busybox();
    host
}

/// The id of a container or image as the engine's templates print it.
fn format(host: &Host, object: &str, template: &str) -> String {
    host.boxship(["inspect", "--format", template, object]).ok().to_string()
}

/// Waits until `ready` holds; panics with `what` when it does not within two minutes.
#[track_caller]
fn eventually(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while !ready() {
        assert!(std::time::Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn no_file_is_forgotten() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e");
    let text = std::fs::read_to_string(format!("{dir}/main.rs")).unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let known = name == "main" || text.contains(&format!("mod {name};"));
        assert!(
            known || path.extension().is_some_and(|e| e == "py"),
            "{name} is in no `mod` line of main.rs"
        );
    }
}
