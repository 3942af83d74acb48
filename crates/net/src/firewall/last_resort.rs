//! What keeps networks closed when the table is missing, also while no daemon runs: two small programs on each bridge
//! ([`super::program`]). They stay with the link, and no firewall tool flushes them.
//!
//! The kernel takes such programs by two ways: as programs of the link itself (since Linux 6.6), which costs a packet
//! little, and as classifiers of traffic control, which every kernel of the last ten years knows.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use boxship_sys::bpf::{self, Name, Side};
use boxship_sys::namespace::{self, Kind};

use super::{Network, program};
use crate::netlink::{Connection, Protocol};
use crate::rtnetlink::{classifier, link};
use crate::{Error, Result, sysctl};

const SIDES: [Side; 2] = [Side::Ingress, Side::Egress];

/// What stands for the programs of a bridge that could not be given any.
const REFUSED: [u32; 2] = [0; 2];

/// This thread's network namespace.
const HERE: &str = "/proc/thread-self/ns/net";

/// How programs get on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As the link's own.
    Link,
    /// By traffic control.
    Classifier,
}

/// The programs of one table's bridges.
#[derive(Debug)]
pub(super) struct LastResort {
    links: Connection,
    /// The network namespace of the bridges: the numbers of links mean others elsewhere.
    home: OwnedFd,
    way: Way,
    /// What distinguishes this table's programs from another's.
    hash: u32,
    /// What was attached by us, for each bridge.
    attached: Mutex<BTreeMap<String, Attached>>,
}

/// What a bridge was given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attached {
    network: Network,
    link: u32,
    /// The kernel's numbers of the programs.
    programs: [u32; 2],
}

impl LastResort {
    /// For the table of a name.
    pub(super) fn open(table: &str) -> Result<Self> {
        const LOOPBACK: u32 = 1;
        let way = match bpf::attached_to_link(LOOPBACK, Side::Ingress) {
            Ok(_) => Way::Link,
            Err(_) => Way::Classifier,
        };
        Self::open_by(table, way)
    }

    pub(super) fn open_by(table: &str, way: Way) -> Result<Self> {
        let links = Connection::open(Protocol::Route)?;
        let home = namespace::open(Path::new(HERE)).map_err(at_namespace)?;
        Ok(Self { links, home, way, hash: hash_of(table), attached: Mutex::default() })
    }

    /// Has programs on the bridges of these networks, of which those that aren't there yet are passed over, and takes
    /// them off others that had them from us. Tells the bridges that lacked theirs. Networks work without them: that a
    /// kernel refuses them is told in the log.
    pub(super) fn set<'a>(&self, networks: impl IntoIterator<Item = &'a Network> + Send) -> Vec<String> {
        self.at_home(|| self.set_here(networks)).unwrap_or_else(|error| {
            tracing::warn!(%error, "networks are open while the firewall's table is missing");
            Vec::new()
        })
    }

    fn set_here<'a>(&self, networks: impl IntoIterator<Item = &'a Network>) -> Vec<String> {
        let mut attached = self.attached.lock().unwrap_or_else(PoisonError::into_inner);
        let networks: BTreeMap<&String, &Network> =
            networks.into_iter().map(|network| (&network.bridge, network)).collect();
        let gone: Vec<String> =
            attached.keys().filter(|bridge| !networks.contains_key(bridge)).cloned().collect();
        for bridge in gone {
            attached.remove(&bridge);
            if let Err(error) = self.release(&bridge) {
                tracing::debug!(%error, bridge, "programs not taken off");
            }
        }
        let mut lacking = Vec::new();
        for (bridge, network) in networks {
            match self.ensure(network, attached.get(bridge)) {
                Ok(Some(now)) if attached.get(bridge) == Some(&now) => {}
                Ok(Some(now)) => {
                    if attached.insert(bridge.clone(), now).is_some_and(|before| before.network == *network) {
                        lacking.push(bridge.clone());
                    }
                }
                Ok(None) => {
                    attached.remove(bridge);
                }
                Err(error) => {
                    tracing::warn!(%error, bridge, "the network is open while the firewall's table is missing");
                    // Once is enough until something changes.
                    let link = link::by_name(&self.links, bridge).ok().flatten();
                    let link = link.map_or(0, |link| link.index);
                    attached.insert(
                        bridge.clone(),
                        Attached { network: network.clone(), link, programs: REFUSED },
                    );
                }
            }
        }
        lacking
    }

    /// Takes the programs of this table off all bridges but those of these networks: an earlier daemon's.
    pub(super) fn forget_others<'a>(
        &self,
        networks: impl IntoIterator<Item = &'a Network> + Send,
    ) -> Result<()> {
        self.at_home(|| self.forget_others_here(networks))?
    }

    /// Does something in the network namespace of the bridges, on a thread of its own if this one is elsewhere.
    fn at_home<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let here = namespace::open(Path::new(HERE)).map_err(at_namespace)?;
        let number =
            |descriptor: &OwnedFd| rustix::fs::fstat(descriptor).map(|stat| (stat.st_dev, stat.st_ino));
        if number(&here) == number(&self.home) {
            return Ok(work());
        }
        std::thread::scope(|scope| {
            let visit = scope.spawn(|| {
                namespace::join(self.home.as_fd(), Kind::Network).map_err(at_namespace)?;
                Ok(work())
            });
            visit.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn forget_others_here<'a>(&self, networks: impl IntoIterator<Item = &'a Network>) -> Result<()> {
        let kept: Vec<&String> = networks.into_iter().map(|network| &network.bridge).collect();
        let bridges = link::list(&self.links, false)?.into_iter().filter(|link| link.kind == "bridge");
        for bridge in bridges.filter(|link| !kept.contains(&&link.name)) {
            self.release(&bridge.name)?;
        }
        Ok(())
    }

    /// What the bridge has now; `None` when there is no such link.
    fn ensure(&self, network: &Network, before: Option<&Attached>) -> Result<Option<Attached>> {
        let Some(link) = link::by_name(&self.links, &network.bridge)? else { return Ok(None) };
        if let Some(before) = before.filter(|before| before.network == *network && before.link == link.index)
            && (before.programs == REFUSED || self.numbers(link.index)? == before.programs)
        {
            return Ok(Some(before.clone()));
        }
        // What is for elsewhere has the type of a multicast until the table has seen it.
        sysctl::set(&["ipv6", "conf", &network.bridge, "drop_unicast_in_l2_multicast"], "0")?;
        for side in SIDES {
            self.attach(link.index, network, side)?;
        }
        let programs = self.numbers(link.index)?;
        Ok(Some(Attached { network: network.clone(), link: link.index, programs }))
    }

    fn attach(&self, link: u32, network: &Network, side: Side) -> Result<()> {
        let object = || format!("program on {}", network.bridge);
        let too_many = || Error::Invalid(format!("{} has too many subnets for a program", network.bridge));
        let instructions = program::of(network, side).ok_or_else(too_many)?;
        let failed = |source| Error::Kernel { operation: "attach", object: object(), source };
        let name = self.name(side);
        let program = bpf::load_packet_filter(name, &instructions).map_err(failed)?;
        match self.way {
            Way::Link => {
                let there = bpf::attached_to_link(link, side).map_err(failed)?;
                let ours = there.iter().find(|there| there.name == name);
                let replaced = ours.map(|there| there.program.as_fd());
                bpf::attach_to_link(link, side, program.as_fd(), replaced).map_err(failed)
            }
            Way::Classifier => {
                classifier::prepare(&self.links, link)?;
                self.links.order(classifier::set(link, side, program.as_fd(), &text_of(name)))
            }
        }
    }

    /// The kernel's numbers of the programs that a link has from us; 0 for none.
    fn numbers(&self, link: u32) -> Result<[u32; 2]> {
        let mut numbers = [0; 2];
        for (number, side) in numbers.iter_mut().zip(SIDES) {
            *number = match self.way {
                Way::Link => {
                    let failed = |source| Error::Kernel {
                        operation: "look at",
                        object: format!("programs of link {link}"),
                        source,
                    };
                    let there = bpf::attached_to_link(link, side).map_err(failed)?;
                    there.iter().find(|there| there.name == self.name(side)).map_or(0, |there| there.id)
                }
                Way::Classifier => {
                    classifier::get(&self.links, link, side, &text_of(self.name(side)))?.unwrap_or_default()
                }
            };
        }
        Ok(numbers)
    }

    /// Takes our programs off a bridge, if it is there and has them.
    fn release(&self, bridge: &str) -> Result<()> {
        let Some(link) = link::by_name(&self.links, bridge)? else { return Ok(()) };
        let failed =
            |source| Error::Kernel { operation: "detach", object: format!("program from {bridge}"), source };
        for side in SIDES {
            match self.way {
                Way::Link => {
                    let there = bpf::attached_to_link(link.index, side).map_err(failed)?;
                    for ours in there.iter().filter(|there| there.name == self.name(side)) {
                        bpf::detach_from_link(link.index, side, ours.program.as_fd()).map_err(failed)?;
                    }
                }
                Way::Classifier => {
                    let name = text_of(self.name(side));
                    if classifier::get(&self.links, link.index, side, &name)?.is_some() {
                        self.links.order(classifier::remove(link.index, side))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn name(&self, side: Side) -> Name {
        let mut name = [0; 16];
        let text = format!("boxs_{}_{:08x}", if side == Side::Ingress { 'i' } else { 'e' }, self.hash);
        for (to, from) in name.iter_mut().take(15).zip(text.bytes()) {
            *to = from;
        }
        name
    }
}

fn at_namespace(source: boxship_sys::Error) -> Error {
    Error::Kernel { operation: "enter", object: "the network namespace of the bridges".into(), source }
}

fn text_of(name: Name) -> String {
    name.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
}

/// Different for each table (FNV-1a).
pub(super) fn hash_of(table: &str) -> u32 {
    table.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
