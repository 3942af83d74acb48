//! How long `start` of a created container takes: without a network, with one, with many ports.

use std::time::Instant;

use super::Peer;
use super::peer::NETWORK;

/// What is measured: a title, the flags of `create`, and how many rounds at most.
const CASES: &[(&str, &[&str], usize)] = &[
    ("no network", &["--network", "none"], usize::MAX),
    ("default bridge", &[], usize::MAX),
    ("a user's network", &["--network", NETWORK], usize::MAX),
    ("default bridge, 1 port", &["-p", "20000:80"], usize::MAX),
    ("default bridge, 32 ports", &["-p", "20000-20031:80-111"], usize::MAX),
    ("default bridge, 200 ports", &["-p", "20000-20199:80-279"], 3),
];

/// Only `start` is timed; creating and removing happen between.
pub fn measure(peers: &[Peer], rounds: usize) {
    for (what, flags, most) in CASES {
        let title = format!("start of a created container: {what}");
        super::in_turns(&title, "ms", rounds.min(*most), peers, |peer| {
            let create = [&["create", "--name", "bench"], *flags, &["busybox", "sleep", "100000"]].concat();
            peer.engine.attempt(&create)?;
            let before = Instant::now();
            let started = peer.engine.attempt(&["start", "bench"]);
            let took = before.elapsed();
            peer.engine.quiet(&["rm", "-f", "bench"]);
            started.map(|()| took.as_secs_f64() * 1e3)
        });
    }
}
