//! Memory of an engine at rest: its daemon with 100 containers, and each supervisor beside.

use std::fs;

use super::engine::Engine;

/// Containers that run while memory is read.
const CONTAINERS: usize = 100;

/// Starts [`CONTAINERS`], reads the kernel's figures, prints one line.
pub fn report(engine: &Engine) {
    for _ in 0..CONTAINERS {
        engine.quiet(&["run", "-d", "--network", "none", "busybox", "sleep", "100000"]);
    }
    let supervisors: Vec<u32> = processes().into_iter().filter(|pid| is_supervisor(engine, *pid)).collect();
    let daemon = engine.daemon.map_or(0, |pid| status(pid, "VmRSS:"));
    let number = supervisors.len().max(1) as u64;
    let private: u64 = supervisors.iter().map(|pid| rollup(*pid, "Private_")).sum::<u64>() / number;
    let proportional: u64 = supervisors.iter().map(|pid| rollup(*pid, "Pss:")).sum::<u64>() / number;
    println!(
        "\nmemory with {CONTAINERS} containers, {}: daemon {daemon} kB resident; per container {} supervisors of \
         {private} kB private, {proportional} kB proportional",
        engine.name,
        supervisors.len() / CONTAINERS
    );
    let ids = engine.read(&["ps", "-aq"]);
    let words: Vec<&str> = ["rm", "-f"].into_iter().chain(ids.split_whitespace()).collect();
    engine.quiet(&words);
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("read /proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok()).collect()
}

/// Our shim, containerd's shim or podman's conmon.
fn is_supervisor(engine: &Engine, pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> =
        line.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
    let first = words.first().map(String::as_str).unwrap_or_default();
    match engine.name.as_str() {
        "docker" => first.contains("containerd-shim"),
        "podman" => first.contains("conmon"),
        _ => words.iter().take(2).any(|word| word == "shim" || word.ends_with("boxship-shim")),
    }
}

fn status(pid: u32, key: &str) -> u64 {
    sum(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default(), key)
}

fn rollup(pid: u32, key: &str) -> u64 {
    sum(&fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default(), key)
}

/// The sum of the numbers of the lines that start with `key`, in kB.
fn sum(text: &str, key: &str) -> u64 {
    let lines = text.lines().filter(|line| line.starts_with(key));
    lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
}
