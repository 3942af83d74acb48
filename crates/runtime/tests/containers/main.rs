//! The runtime for real: containers of busybox, as root, read back from inside and from the kernel.
//!
//! Each test is a function in a table; they run one after the other in one thread, because only such a process may
//! make containers. Arguments select tests by part of their name, `--skip=` leaves some out: the kernel of
//! `cgroup2-vm` has no time namespaces, no mapped owners and no other personality.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::exit)]

mod bundle;
mod errors;
mod execs;
mod hooks;
mod hostile;
mod isolation;
mod life;
mod mounts;
mod namespaces;
mod process;

use std::panic::catch_unwind;

type Test = (&'static str, fn());

fn main() {
    boxship_sys::exe::continue_sealed().unwrap();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let unwanted: Vec<String> =
        std::env::args().filter_map(|word| word.strip_prefix("--skip=").map(str::to_owned)).collect();
    let tables: [&[Test]; 9] = [
        life::TESTS,
        process::TESTS,
        errors::TESTS,
        mounts::TESTS,
        isolation::TESTS,
        namespaces::TESTS,
        execs::TESTS,
        hooks::TESTS,
        hostile::TESTS,
    ];
    if std::env::args().any(|word| word == "--list") {
        for (name, _) in tables.into_iter().flatten() {
            println!("{name}: test");
        }
        return;
    }
    let mut failed = Vec::new();
    let mut count = 0;
    for (name, test) in tables.into_iter().flatten() {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        if unwanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        count += 1;
        let fine = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if fine { "ok" } else { "FAILED" });
        if !fine {
            failed.push(*name);
        }
    }
    println!("\n{count} tests, {} failed {failed:?}", failed.len());
    std::process::exit(i32::from(!failed.is_empty()));
}
