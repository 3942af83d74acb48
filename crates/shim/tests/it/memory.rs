//! What a shim costs.

use std::fs;

use crate::{
    Test,
    host::{Host, OUTPUT, until},
};

pub const TESTS: &[Test] = &[("private_memory", private_memory)];

/// The budget for a container without terminal.
const MOST: u64 = 2048;

/// Private memory of a process, by the kernel's account.
pub fn private_kilobytes(pid: u32) -> u64 {
    kilobytes(pid, "Private_")
}

fn kilobytes(pid: u32, kind: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let value = |line: &str| line.split_whitespace().nth(1).and_then(|value| value.parse::<u64>().ok());
    text.lines().filter(|line| line.starts_with(kind)).filter_map(value).sum()
}

fn private_memory() {
    let host = Host::new();
    let container = host.run(&["/bin/sleep", "1000"]);
    // A debug build carries its stack frames and unshared code along; the budget is the release build's.
    let most = if cfg!(debug_assertions) { 2 * MOST } else { MOST };
    // This test shares the shim's executable. Alone, its code would be private too, so all that is resident counts.
    let idle = || kilobytes(container.shim(), "Rss:");
    until("little memory when idle", || idle() <= most);
    let busy = host.launch(host.request(&["/bin/sh", "-c", "yes | head -c 50000000; sleep 1000"]));
    let stream = busy.attach(OUTPUT);
    busy.start();
    let reader = std::thread::spawn(move || {
        let mut stream = stream;
        let mut buffer = vec![0; 100_000];
        let mut left = 50_000_000_usize;
        while left > 0 {
            left = left.saturating_sub(std::io::Read::read(&mut stream.socket, &mut buffer).unwrap());
        }
    });
    reader.join().unwrap();
    let (idle, after) = (idle(), private_kilobytes(busy.shim()));
    println!("memory of a shim: {idle} kB resident when idle, {after} kB private after 50 MB of output");
    assert!(after <= most, "{after} kB");
}
