//! The host's other networks: what of them lies inside a network of ours is cut off, for the host and its containers
//! take those addresses for containers'. It can't be helped where it comes later than the network; it is told: in the
//! log when it comes, and in `info` and `network why` as long as it is so.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use boxship_net::link::{Claim, Links, News};
use ipnet::IpNet;

use super::{Network, Networks, subnets};

/// What was told last, so that each is told once.
pub(super) type Told = Arc<Mutex<BTreeSet<String>>>;

impl Networks {
    /// What of the host's surroundings lies inside a network of ours, in sentences. Asks the kernel: blocking.
    pub(crate) fn cut_off(&self) -> Vec<String> {
        let claims = self.links().ok().and_then(|links| links.claims().ok()).unwrap_or_default();
        sentences(&self.made()().unwrap_or_default(), &claims)
    }

    /// Warns of what is inside networks of ours now and was not told yet.
    pub(super) fn tell_neighbourhood(&self) {
        tell(&self.told, self.cut_off());
    }

    /// Warns of what is inside networks of ours now, and from now on of what comes.
    pub(super) fn watch_neighbourhood(&self) {
        if self.kernel.links.is_err() {
            return;
        }
        self.tell_neighbourhood();
        // It must not keep the networks alive.
        let (networks, told) = (self.made(), Arc::downgrade(&self.told));
        let links = Links::open();
        let watched = links.and_then(|links| {
            Links::watch(move |news| {
                let (Some(networks), Some(told)) = (networks(), told.upgrade()) else { return false };
                let concerns = match news {
                    News::Claimed(net) => networks.iter().any(|network| touches(network, net)),
                    News::Unknown => true,
                    News::Nothing => false,
                };
                if let Some(claims) = concerns.then(|| links.claims().ok()).flatten() {
                    tell(&told, sentences(&networks, &claims));
                }
                true
            })
        });
        if let Err(error) = watched {
            tracing::debug!(%error, "the host's addresses are not watched");
        }
    }
}

/// Warns of what was not told before.
fn tell(told: &Told, sentences: Vec<String>) {
    let sentences: BTreeSet<_> = sentences.into_iter().collect();
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    sentences.difference(&told).for_each(|sentence| tracing::warn!("{sentence}"));
    *told = sentences;
}

/// Whether something of the host's may be inside a network. Only bridges have subnets of their own: what macvlan and
/// ipvlan sit on has theirs.
fn touches(network: &Network, net: IpNet) -> bool {
    let own = network.bridge().is_some_and(|bridge| !bridge.foreign);
    own && network.subnets.iter().any(|subnet| subnets::overlaps(&subnet.subnet, &net))
}

fn sentences(networks: &[Arc<Network>], claims: &[Claim]) -> Vec<String> {
    let mut sentences = Vec::new();
    for network in networks {
        let Some(bridge) = network.bridge().filter(|bridge| !bridge.foreign) else { continue };
        for claim in claims.iter().filter(|claim| claim.link != bridge.link) {
            // A wider route is none of the network's business: what is asked for inside goes to the containers.
            let inside = |subnet: &IpNet| match claim.is_route {
                true => subnet.contains(&claim.net),
                false => subnet.contains(&claim.net.addr()),
            };
            let mut subnets = network.subnets.iter().map(|subnet| subnet.subnet);
            if let Some(subnet) = subnets.find(inside) {
                sentences.push(sentence(&network.name, subnet, claim));
            }
        }
    }
    sentences
}

fn sentence(name: &str, subnet: IpNet, claim: &Claim) -> String {
    let what = match (claim.is_route, claim.link.as_str()) {
        (false, link) => format!("the host has the address {} on {link}", claim.net),
        (true, "") => format!("the host has a route that shuts off {}", claim.net),
        (true, link) => format!("the host has a route to {} through {link}", claim.net),
    };
    format!(
        "{what}, inside network {name} ({subnet}): packets from there are dropped, for they might be forged \
         containers'; give the network another subnet"
    )
}

#[cfg(test)]
mod tests {
    use super::super::endpoint::tests::network;
    use super::*;

    #[test]
    fn what_lies_inside_is_told() {
        let ours = network("mine", false);
        let subnet = ours.subnets[0].subnet;
        assert_eq!(subnet.to_string(), "10.0.0.0/24");
        let bridge = ours.bridge().unwrap().link.clone();
        for (net, link, is_route, expect) in [
            ("10.0.0.7/24", "eth1", false, "the host has the address 10.0.0.7/24 on eth1"),
            ("10.0.0.7/8", "eth1", false, "the host has the address 10.0.0.7/8 on eth1"),
            ("10.0.0.128/25", "tun0", true, "the host has a route to 10.0.0.128/25 through tun0"),
            ("10.0.0.0/24", "", true, "the host has a route that shuts off 10.0.0.0/24"),
            ("10.0.0.1/24", bridge.as_str(), false, ""),
            ("10.0.0.128/25", bridge.as_str(), true, ""),
            ("10.9.0.7/8", "eth1", false, ""),
            ("10.0.0.0/8", "tun0", true, ""),
            ("10.1.0.0/24", "tun0", true, ""),
        ] {
            let claim = Claim { net: net.parse().unwrap(), link: link.into(), is_route };
            let told = sentences(std::slice::from_ref(&ours), &[claim]);
            let expect = match expect {
                "" => Vec::new(),
                what => vec![format!(
                    "{what}, inside network mine (10.0.0.0/24): packets from there are dropped, for they might be \
                     forged containers'; give the network another subnet"
                )],
            };
            assert_eq!(told, expect, "{net} {link}");
        }
    }
}
