//! Speed, beside peers from Debian's packages: every engine is measured in turns in one run,
//! and what counts is the ratio. Never part of the tests: the machine is noisy.

mod engine;
mod memory;
pub mod net;
pub mod pull;
pub mod registry;
mod runtime;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use engine::Engine;

/// Rounds of each measurement unless `--rounds N` says otherwise.
const ROUNDS: usize = 25;
/// How many containers there are when `ps` is measured.
const MANY: usize = 500;
/// Lines of the log measurement; each is 100 bytes.
const LOG_LINES: usize = 500_000;

/// One way to do the thing that is measured.
struct Contender<'a> {
    name: String,
    action: Box<dyn FnMut() -> Result<(), String> + 'a>,
}

/// `cargo xtask bench run [--rounds N]`.
pub fn run(arguments: &[&str]) -> Result<(), String> {
    let rounds = match arguments {
        [] => ROUNDS,
        ["--rounds", n] => n.parse().map_err(|_| format!("--rounds takes a number, not {n}"))?,
        other => return Err(format!("bench run [--rounds N]: don't know {other:?}")),
    };
    boxship_testkit::require_root();
    let exe = release_executable()?;
    println!("{} bytes: {}", std::fs::metadata(&exe).map_err(|e| e.to_string())?.len(), exe.display());
    runtime::measure(&exe, rounds)?;
    let engines = vec![Engine::boxship(&exe)?, Engine::docker()?, Engine::podman()?];
    for engine in &engines {
        engine.load_busybox()?;
    }
    commands(&engines, rounds);
    many(&engines, rounds);
    logs(&engines);
    for engine in &engines {
        memory::report(engine);
    }
    Ok(())
}

fn release_executable() -> Result<std::path::PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(["build", "--release", "--package", "boxship-cli"]).status();
    if !status.is_ok_and(|status| status.success()) {
        return Err("the release build failed".into());
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), std::path::PathBuf::from);
    target
        .join("x86_64-unknown-linux-gnu/release/boxship")
        .canonicalize()
        .map_err(|e| format!("the executable: {e}"))
}

fn commands(engines: &[Engine], rounds: usize) {
    compare(
        "run --rm busybox true",
        rounds,
        engines.iter().map(|engine| {
            contender(engine, move || {
                engine.attempt(&["run", "--rm", "--network", "none", "busybox", "true"])
            })
        }),
    );
    for engine in engines {
        engine.quiet(&["run", "-d", "--network", "none", "--name", "bench", "busybox", "sleep", "100000"]);
    }
    compare(
        "exec true",
        rounds,
        engines.iter().map(|engine| contender(engine, move || engine.attempt(&["exec", "bench", "true"]))),
    );
    for engine in engines {
        engine.quiet(&["rm", "-f", "bench"]);
    }
    start_of_created(engines, rounds);
}

/// Only `start` is timed; creating and removing happen between.
fn start_of_created(engines: &[Engine], rounds: usize) {
    let mut times = vec![Vec::new(); engines.len()];
    for _ in 0..rounds {
        for (engine, times) in engines.iter().zip(&mut times) {
            engine.quiet(&["create", "--network", "none", "--name", "bench", "busybox", "sleep", "100000"]);
            times.push(time(|| engine.quiet(&["start", "bench"])));
            engine.quiet(&["rm", "-f", "bench"]);
        }
    }
    print("start of a created container", engines.iter().map(|e| e.name.clone()).zip(times).collect());
}

fn many(engines: &[Engine], rounds: usize) {
    for engine in engines {
        for _ in 0..MANY {
            engine.quiet(&["create", "--network", "none", "busybox", "true"]);
        }
    }
    compare(
        "ps -a with 500 containers",
        rounds,
        engines.iter().map(|engine| contender(engine, move || engine.attempt(&["ps", "-a"]))),
    );
    for engine in engines {
        engine.quiet(&["container", "prune", "-f"]);
    }
}

fn logs(engines: &[Engine]) {
    let script = format!("yes {} | head -n {LOG_LINES}", "x".repeat(99));
    compare(
        "50 MB of log, run to end",
        5,
        engines.iter().map(|engine| {
            let script = script.clone();
            contender(engine, move || {
                engine.attempt(&[
                    "run",
                    "--rm",
                    "--network",
                    "none",
                    "--log-opt",
                    "max-size=1g",
                    "busybox",
                    "sh",
                    "-c",
                    &script,
                ])
            })
        }),
    );
}

fn contender<'a>(engine: &'a Engine, action: impl FnMut() -> Result<(), String> + 'a) -> Contender<'a> {
    Contender { name: engine.name.clone(), action: Box::new(action) }
}

fn compare<'a>(title: &str, rounds: usize, contenders: impl Iterator<Item = Contender<'a>>) {
    // The first call pays for cold caches, and shows who can't do it on this machine: a peer may lack a feature.
    let mut contenders: Vec<_> = contenders
        .filter_map(|mut one| match (one.action)() {
            Ok(()) => Some(one),
            Err(why) => {
                println!("\n{title}: left out, {why}");
                None
            }
        })
        .collect();
    let mut times = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            times.push(time(|| (contender.action)().unwrap_or_else(|why| panic!("{why}"))));
        }
    }
    print(title, contenders.into_iter().map(|contender| contender.name).zip(times).collect());
}

fn time(mut action: impl FnMut()) -> Duration {
    let before = Instant::now();
    action();
    before.elapsed()
}

/// Median and 90th percentile of each, and how many times the first's median it is.
fn print(title: &str, results: Vec<(String, Vec<Duration>)>) {
    println!("\n{title}");
    let mut first = None;
    for (name, mut times) in results {
        times.sort();
        let median = times[times.len() / 2].as_secs_f64() * 1e3;
        let slow = times[times.len() * 9 / 10].as_secs_f64() * 1e3;
        let first = *first.get_or_insert(median);
        println!("  {name:<18} median {median:>9.2} ms   p90 {slow:>9.2} ms   x {:.2}", median / first);
    }
}

/// Runs a command to its end without output; its last words when it fails.
fn attempt(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{command:?}: {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// The same for what must not fail, for then nothing was measured.
fn must(command: &mut Command) {
    attempt(command).unwrap_or_else(|why| panic!("{why}"));
}
