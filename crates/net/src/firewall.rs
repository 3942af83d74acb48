//! The house's one nftables table: isolation, outgoing NAT and published ports.
//!
//! The rules are fixed ([`table`]); networks and ports are elements of its sets and maps ([`elements`]), so a change
//! costs what the change is and not what is there. Every change is one transaction. What should be there is kept here
//! too: when the kernel's table turns out to be another's work, it is made anew as a whole. Until then programs on the
//! bridges keep networks closed ([`last_resort`]).
//!
//! Nobody else's table, chain or rule is ever touched.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use crate::netlink::{Connection, Protocol};
use crate::nft::batch::Batch;
use crate::nft::object::{Change, TableFamily};
use crate::nft::rule::Family;
use crate::nft::set::Element;
use crate::ports::Published;
use crate::{Error, Result};

mod elements;
mod endings;
mod flows;
mod former;
mod honest;
mod last_resort;
mod others;
mod pair;
mod program;
mod surroundings;
mod table;
#[cfg(test)]
mod tests;
mod wanted;
mod watch;

use elements::Route;
use endings::Endings;
use last_resort::LastResort;
use others::Others;
use pair::Pair;
use wanted::{Regard, Shape, Wanted, elements_of};

/// How published ports meet the host's own input rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// As Docker: they bypass them.
    #[default]
    Docker,
    /// A new connection has to pass the host's input rules first.
    Honest,
}

/// What the table has to know of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// The bridge's interface name.
    pub bridge: String,
    /// Its subnets.
    pub subnets: Vec<IpNet>,
    /// Cut off: nothing goes in or out, only among its members.
    pub internal: bool,
    /// Members may talk to each other.
    pub icc: bool,
    /// Outgoing packets take the host's address, per family.
    pub masquerade4: bool,
    /// See `masquerade4`.
    pub masquerade6: bool,
    /// What others may reach without publishing (`gateway_mode` routed / nat-unprotected).
    pub unprotected: bool,
    /// The bridge is the administrator's (`--bridge`): other machines may be on it, so any source may come from it.
    pub foreign: bool,
}

/// The table as it should be: every change is one transaction.
#[derive(Debug)]
pub struct Firewall {
    table: String,
    mode: Mode,
    connection: Connection,
    /// For the pair of links, and what links and addresses others have.
    links: Connection,
    last_resort: LastResort,
    endings: Endings,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    wanted: Wanted,
    /// Whether the table was made by us since we began.
    made: bool,
    /// Its chains and rules as the kernel told them then: what they should still be.
    fixed: Vec<Option<Vec<Vec<u8>>>>,
}

/// Addresses that no network can have: the table drops them everywhere but on the private pair of links by which `[::1]`
/// leads to published ports.
pub const RESERVED: ipnet::Ipv6Net = pair::NET;

/// Room for a transaction of about 200,000 elements.
const SEND_BUFFER: usize = 32 << 20;

impl Firewall {
    /// Looks for the kernel's nftables; touches nothing yet but what a former version left. `table` names the table
    /// (one for each daemon).
    pub fn open(table: &str, mode: Mode) -> Result<Self> {
        let connection = Connection::open(Protocol::Netfilter)?;
        // Without the right to it the buffers stay small; what is asked later is refused with a better word.
        let _ = connection.socket().set_buffers(SEND_BUFFER);
        // What an earlier daemon knew of the time before it is in its table.
        let wanted = Wanted { others: Others::read(&connection, table)?, ..Wanted::default() };
        let state = State { wanted, made: false, fixed: Vec::new() };
        let last_resort = LastResort::open(table)?;
        if let Err(error) = former::remove_policies(table) {
            tracing::warn!(%error, "IPsec policies of a former version are left");
        }
        let links = Connection::open(Protocol::Route)?;
        Ok(Self {
            table: table.to_owned(),
            mode,
            connection,
            links,
            last_resort,
            endings: Endings::open()?,
            state: Mutex::new(state),
        })
    }

    /// How published ports meet the host's own rules.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Makes the table anew, with these networks and ports and nothing else. One transaction: what is published before
    /// and after is so without a gap.
    pub fn replace(&self, networks: &[Network], ports: &[Published]) -> Result<()> {
        let networks = networks.iter().map(|network| (network.bridge.clone(), network.clone())).collect();
        let mut wanted = Wanted { networks, ..Wanted::default() };
        wanted.add(ports)?;
        let mut state = self.state();
        wanted.others = state.wanted.others.clone();
        wanted.regard = state.wanted.regard;
        let before = std::mem::replace(&mut state.wanted, wanted);
        match self.rebuild(&mut state) {
            Ok(()) => {
                self.last_resort.set(state.wanted.networks.values());
                if let Err(error) = self.last_resort.forget_others(state.wanted.networks.values()) {
                    tracing::warn!(%error, "programs of an earlier daemon are left on bridges");
                }
                Ok(())
            }
            Err(error) => {
                state.wanted = before;
                Err(error)
            }
        }
    }

    /// Adds or changes a network.
    pub fn set_network(&self, network: &Network) -> Result<()> {
        self.turn_network(&network.bridge, Some(network))
    }

    /// Sees to it that what keeps networks closed while the table is missing is on their bridges: to be called when a
    /// bridge was made, before anything is plugged in.
    pub fn secure(&self) {
        let state = self.state();
        if state.made {
            self.last_resort.set(state.wanted.networks.values());
        }
    }

    /// Takes a network away.
    pub fn remove_network(&self, bridge: &str) -> Result<()> {
        self.turn_network(bridge, None)
    }

    /// Drops from here on what is forwarded between interfaces that are there now and none of ours: for hosts that
    /// forwarded nothing before we had them forward for containers. Lasts as long as the table, also over restarts of
    /// the daemon.
    pub fn guard_others(&self, v6: bool) -> Result<()> {
        let mut state = self.state();
        let before = state.wanted.others.clone();
        let mut others = before.clone();
        let pair = Pair::of(&self.table);
        others.guard(if v6 { Family::V6 } else { Family::V4 }, &self.links, |link| {
            state.wanted.networks.contains_key(link) || link == pair.out || link == pair.back
        })?;
        if others == before {
            return Ok(());
        }
        state.wanted.others = others;
        if !state.made {
            return Ok(());
        }
        self.rebuild(&mut state).inspect_err(|_| state.wanted.others = before)
    }

    /// Whether it drops what is forwarded between interfaces that are none of ours: then it must not go while the host
    /// forwards.
    pub fn guards(&self) -> bool {
        self.state().wanted.others.any()
    }

    /// Publishes ports, all or none. A port that is published already to the same place is fine. What leads from IPv6 to
    /// IPv4 is not carried, a program relays it; containers of internal networks are kept from it.
    pub fn publish(&self, ports: &[Published]) -> Result<()> {
        self.endings.wait();
        self.turn_routes(ports, |wanted| wanted.add(ports))?;
        flows::give_way(&self.connection, &translated(ports))
    }

    /// Takes published ports away; those that are gone already are fine. Flows of them (conntrack) end soon after.
    pub fn unpublish(&self, ports: &[Published]) -> Result<()> {
        self.turn_routes(ports, |wanted| {
            wanted.remove(ports);
            Ok(())
        })?;
        self.endings.begin(&translated(ports));
        Ok(())
    }

    /// Takes the whole table away (the daemon's last act when nothing runs any more).
    pub fn clear(&self) -> Result<()> {
        let mut state = self.state();
        let mut batch = self.batch();
        batch.change(&Change::AddTable);
        batch.change(&Change::DeleteTable);
        let pair = Pair::of(&self.table);
        let honest = pair.exists(&self.links)?;
        if honest {
            honest::tables(&mut batch, None);
        }
        batch.commit(&self.connection)?;
        state.wanted = Wanted::default();
        state.made = false;
        if honest {
            pair.remove(&self.links)?;
        }
        self.last_resort.set([]);
        self.last_resort.forget_others([])
    }

    /// Changes the routes of these ports, or nothing. Costs what they are, however many others there are.
    fn turn_routes(&self, ports: &[Published], change: impl FnOnce(&mut Wanted) -> Result<()>) -> Result<()> {
        let mut state = self.state();
        let routes: BTreeSet<Route> = ports.iter().map(Route::from).collect();
        let before = state.wanted.only(&routes);
        let shape = self.shape(&state.wanted);
        let done = change(&mut state.wanted).and_then(|()| {
            let after = elements_of(&shape, &state.wanted, &routes);
            self.turn(&mut state, elements_of(&shape, &before, &routes), after)
        });
        if done.is_err() {
            state.wanted.routes.retain(|route, _| !routes.contains(route));
            state.wanted.routes.extend(before.routes);
        }
        done
    }

    /// Changes the network of a bridge, or nothing.
    fn turn_network(&self, bridge: &str, network: Option<&Network>) -> Result<()> {
        let mut state = self.state();
        let of = |network: Option<&Network>| network.map(elements::of_network).unwrap_or_default();
        let shape = self.shape(&state.wanted);
        let before = state.wanted.networks.remove(bridge);
        if let Some(network) = network {
            state.wanted.networks.insert(bridge.to_owned(), network.clone());
        }
        let done = if self.shape(&state.wanted) == shape {
            self.turn(&mut state, of(before.as_ref()), of(network))
        } else {
            // The first or the last network with IPv6, or with a subnet of such a length.
            self.rebuild(&mut state)
        };
        if done.is_err() {
            state.wanted.networks.remove(bridge);
            state.wanted.networks.extend(before.map(|network| (bridge.to_owned(), network)));
        }
        self.last_resort.set(state.wanted.networks.values());
        done
    }

    /// Has the kernel exchange elements; when its table isn't what we think it is, it gets the whole that is wanted.
    fn turn(&self, state: &mut State, before: Vec<Element>, after: Vec<Element>) -> Result<()> {
        if !state.made {
            return self.rebuild(state);
        }
        let before: BTreeSet<Element> = before.into_iter().collect();
        let after: BTreeSet<Element> = after.into_iter().collect();
        let mut batch = self.batch();
        batch.elements(&before.difference(&after).cloned().collect::<Vec<_>>(), false);
        batch.elements(&after.difference(&before).cloned().collect::<Vec<_>>(), true);
        match batch.commit(&self.connection) {
            // Somebody changed the table; ours is the last word on it.
            Err(error) if is_surprise(&error) => self.rebuild(state),
            done => done,
        }
    }

    /// The whole table in one transaction.
    fn rebuild(&self, state: &mut State) -> Result<()> {
        let pair = Pair::of(&self.table);
        let regard = self.regard().unwrap_or(Regard { marked: true, prioritized: true });
        state.wanted.regard = state.wanted.regard.and(regard);
        let shape = self.shape(&state.wanted);
        let was_there = pair.exists(&self.links)?;
        let out = shape.pair.as_ref().map(|pair| pair.ensure(&self.links, shape.localhost6)).transpose()?;
        let mut batch = self.whole(&state.wanted);
        if shape.honest || was_there {
            // A daemon before this one may have been honest.
            honest::tables(&mut batch, out.filter(|_| shape.honest));
        }
        batch.commit(&self.connection)?;
        state.made = true;
        state.fixed = self.fixed_parts()?;
        if was_there && shape.pair.is_none() { pair.remove(&self.links) } else { Ok(()) }
    }

    fn whole(&self, wanted: &Wanted) -> Batch<'_> {
        let mut batch = self.batch();
        let shape = self.shape(wanted);
        for change in [Change::AddTable, Change::DeleteTable, Change::AddTable] {
            batch.change(&change);
        }
        for (set, id) in table::sets(&shape).iter().zip(1..) {
            batch.change(&Change::AddSet(set, id));
        }
        let chains = table::chains(&shape);
        for chain in &chains {
            batch.change(&Change::AddChain(chain));
            for rule in &chain.rules {
                batch.change(&Change::AddRule(chain.name, rule));
            }
        }
        batch.elements(&self.all_elements(wanted), true);
        batch
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A change that fails puts `wanted` back itself; a panic ends the released daemon (`panic = "abort"`).
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shape(&self, wanted: &Wanted) -> Shape {
        let honest = self.mode == Mode::Honest;
        wanted.shape(honest, Pair::of(&self.table))
    }

    /// Every element that the table should have, those of a set together.
    fn all_elements(&self, wanted: &Wanted) -> Vec<Element> {
        let mut elements: Vec<Element> = wanted.networks.values().flat_map(elements::of_network).collect();
        elements.extend(wanted.others.elements());
        elements.extend(elements_of(&self.shape(wanted), wanted, &wanted.routes.keys().copied().collect()));
        elements.sort();
        elements
    }

    fn batch(&self) -> Batch<'_> {
        Batch::new(TableFamily::Inet, &self.table)
    }
}

/// Those whose packets the table carries: only they have flows of its making.
fn translated(ports: &[Published]) -> Vec<Published> {
    ports.iter().filter(|port| !Route::from(*port).is_relayed()).cloned().collect()
}

/// The kernel's table isn't what it was when we left it.
fn is_surprise(error: &Error) -> bool {
    use boxship_sys::error::Errno;
    matches!(error.errno(), Some(Errno::NOENT | Errno::EXIST))
}
