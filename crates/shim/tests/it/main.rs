//! Real containers under real shims. The test binary is also the executable that shims and inits are started from, so
//! it brings its own main.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod attach;
mod exec;
mod host;
mod init;
mod life;
mod logs;
mod memory;
mod relay;
mod terminal;

use std::{panic, process::ExitCode};

use boxship_sys::namespace;

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(|role| role.to_str()) {
        Some("shim") => return boxship_shim::main(),
        Some("launch-and-hang") => host::launch_and_hang(args.next().unwrap().as_ref()),
        Some("init") => return boxship_shim::init::main(args),
        _ => {}
    }
    assert!(rustix::process::geteuid().is_root(), "containers are made by root: run these tests as root");
    // A port that was given back stays free: nobody else is in this network.
    namespace::unshare(namespace::Kind::Network.flag()).unwrap();
    namespace::bring_loopback_up().unwrap();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let tests = [
        life::TESTS,
        logs::TESTS,
        attach::TESTS,
        exec::TESTS,
        terminal::TESTS,
        init::TESTS,
        memory::TESTS,
        relay::TESTS,
    ]
    .concat();
    let mut failed = 0;
    for (name, test) in
        tests.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| name.contains(w)))
    {
        let passed = panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    println!("{} tests, {failed} failed", tests.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
