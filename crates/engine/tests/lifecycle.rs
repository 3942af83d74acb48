//! Containers from create to remove with real shims, as root. This executable is the shim too (its own `main` looks
//! at the first argument), so that nothing but this crate need be built. Each test has folders of its own, and fails
//! if it leaves anything behind.

#![allow(clippy::print_stdout, clippy::exit, clippy::unwrap_used)]

#[path = "lifecycle/again.rs"]
mod again;
#[path = "lifecycle/bench.rs"]
mod bench;
#[path = "lifecycle/life.rs"]
mod life;
#[path = "lifecycle/networks.rs"]
mod networks;
#[path = "lifecycle/streams.rs"]
mod streams;
#[path = "lifecycle/told.rs"]
mod told;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use boxship_api as api;
use boxship_engine::container::{
    AttachOptions, CreateOptions, ListOptions, LogsOptions, RemoveOptions, StatsOptions, StopOptions,
    WaitCondition,
};
use boxship_engine::events::EventsOptions;
use boxship_engine::{Engine, EngineConfig, Kind};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use again::*;
use bench::*;
use life::*;
use networks::{events_of_networks, names_and_networks, networks_survive_the_engine, published_ports};
use streams::*;
use told::*;

type Test = fn(Bench) -> Pin<Box<dyn Future<Output = Bench> + Send>>;

macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        &[$((stringify!($name), (|bench| Box::pin($name(bench))) as Test)),*]
    };
}

const TESTS: &[(&str, Test)] = tests![
    run_and_remove,
    output_exit_code_and_logs,
    attach_before_start_misses_nothing,
    start_failures,
    stop_kill_and_wait,
    what_comes_during_a_start_waits_for_it,
    restart_policies,
    pause_and_freeze,
    exec_and_its_code,
    names_and_conflicts,
    events_of_a_life,
    daemon_gone_and_back,
    top_stats_changes,
    auto_remove,
    many_at_once,
    published_ports,
    names_and_networks,
    events_of_networks,
    networks_survive_the_engine,
];

fn main() {
    let mut arguments = std::env::args_os();
    let _name = arguments.next();
    match arguments.next().and_then(|word| word.into_string().ok()).as_deref() {
        Some("shim") => {
            let code = boxship_shim::main();
            std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
        }
        Some("--list") => TESTS.iter().for_each(|(name, _)| println!("{name}: test")),
        wanted => run(wanted.filter(|word| !word.starts_with('-')).unwrap_or_default()),
    }
}

fn run(wanted: &str) {
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(wanted)) {
        // A network of its own: bridges and rules of engines stay out of the host's, and out of each other's.
        boxship_sys::namespace::unshare(boxship_sys::namespace::Kind::Network.flag()).expect("a namespace");
        boxship_sys::namespace::bring_loopback_up().expect("loopback");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let began = Instant::now();
        let folder = tempfile::tempdir().expect("a folder");
        let before = boxship_testkit::leaks::Snapshot::take();
        let path = folder.path().to_owned();
        runtime.block_on(async {
            let bench = Bench { engine: open(&path).await, path: path.clone() };
            load(&bench.engine).await;
            let Bench { engine, .. } = test(bench).await;
            clear(&engine).await;
            engine.shutdown().await.expect("shut down");
        });
        let left = before.left_behind(folder.path());
        assert!(left.is_empty(), "{name} left behind: {left:#?}");
        println!("test {name} ... ok ({} ms)", began.elapsed().as_millis());
    }
}
