//! A daemon in a network namespace of its own, with another host beside it.

use std::path::Path;

use boxship_testkit::host::{HOME, OUTSIDE};
use boxship_testkit::images;
use boxship_testkit::netns::Namespace;

use crate::bench::engine::Engine;

/// The network that measurements with names use.
pub const NETWORK: &str = "bench";

/// An engine and its two hosts.
pub struct Peer {
    /// The engine. Declared first: it stops before its network goes.
    pub engine: Engine,
    /// Where its daemon runs.
    pub home: Namespace,
    /// The other host.
    pub outside: Namespace,
}

impl Peer {
    /// Our own.
    pub fn boxship(exe: &Path) -> Result<Peer, String> {
        let (home, outside) = hosts();
        Ok(Peer { engine: Engine::boxship_in(exe, &home)?, home, outside })
    }

    /// Debian's docker with its default bridge, its firewall and its proxy.
    pub fn docker() -> Result<Peer, String> {
        let (home, outside) = hosts();
        Ok(Peer { engine: Engine::docker_in(&home)?, home, outside })
    }

    /// What the tables call it.
    pub fn name(&self) -> String {
        self.engine.name.clone()
    }

    /// Loads the images and makes the network.
    pub fn prepare(&self) {
        for archive in [images::busybox(), images::nginx()] {
            self.engine.quiet(&["load", "-i", &archive.display().to_string()]);
        }
        self.engine.quiet(&["network", "create", NETWORK]);
    }
}

fn hosts() -> (Namespace, Namespace) {
    let (home, outside) = (Namespace::new(), Namespace::new());
    home.cable("eth0", &[&format!("{}/24", HOME[0])], &outside, &[&format!("{}/24", OUTSIDE[0])]);
    home.run(&format!("ip route add default via {}", OUTSIDE[0])).ok();
    (home, outside)
}
