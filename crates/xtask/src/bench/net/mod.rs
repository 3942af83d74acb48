//! Speed of networks, beside Debian's docker: how long networks and ports take at a start, requests through published
//! ports, bulk throughput, names. Each daemon has a network namespace of its own with another host beside it; they are
//! measured in turns in one run, and what counts is the ratio.

mod peer;
mod starts;
mod traffic;

use peer::Peer;

/// Rounds of each measurement unless `--rounds N` says otherwise.
const ROUNDS: usize = 7;

/// `cargo xtask bench net [--rounds N]`.
pub fn run(arguments: &[&str]) -> Result<(), String> {
    let rounds = match arguments {
        [] => ROUNDS,
        ["--rounds", n] => n.parse().map_err(|_| format!("--rounds takes a number, not {n}"))?,
        other => return Err(format!("bench net [--rounds N]: don't know {other:?}")),
    };
    boxship_testkit::require_root();
    let exe = super::release_executable()?;
    let mut peers = vec![Peer::boxship(&exe)?];
    match Peer::docker() {
        Ok(docker) => peers.push(docker),
        Err(why) => println!("docker: left out, {why}"),
    }
    for peer in &peers {
        peer.prepare();
    }
    starts::measure(&peers, rounds);
    traffic::measure(&peers, rounds.min(3));
    Ok(())
}

/// Prints medians of values of which more is better (or less, with `less`), and each one's ratio to the first's.
fn print(title: &str, unit: &str, results: &[(String, Vec<f64>)]) {
    println!("\n{title}");
    let mut first = None;
    for (name, values) in results {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(median) = sorted.get(sorted.len() / 2) else {
            println!("  {name:<10} nothing measured");
            continue;
        };
        let first = *first.get_or_insert(*median);
        let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
        println!(
            "  {name:<10} median {median:>12.2} {unit:<8} ({low:.2} to {high:.2})   x {:.2}",
            median / first
        );
    }
}

/// Measures all peers in turns; who can't do it is left out with its words.
fn in_turns(
    title: &str,
    unit: &str,
    rounds: usize,
    peers: &[Peer],
    mut measure: impl FnMut(&Peer) -> Result<f64, String>,
) {
    let mut results: Vec<(String, Vec<f64>)> = peers.iter().map(|peer| (peer.name(), Vec::new())).collect();
    for _ in 0..rounds {
        for (peer, (_, values)) in peers.iter().zip(&mut results) {
            match measure(peer) {
                Ok(value) => values.push(value),
                Err(why) => println!("\n{title}: {}: {why}", peer.name()),
            }
        }
    }
    print(title, unit, &results);
}
