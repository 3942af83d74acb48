//! What else is in the host's firewall, and what the table's owner should know of it: an accept of ours ends our own
//! chains only, so another program's chain that drops by default still drops.

use boxship_sys::Errno;

use super::Firewall;
use super::table::OURS;
use super::wanted::Regard;
use crate::nft::object::TableFamily;
use crate::nft::read::{self, BaseChain};
use crate::nft::rule::META_PRIORITY;
use crate::ports::Published;
use crate::rtnetlink::address;
use crate::why::{self, Answer, Facts, Foreign, Hook, Question};
use crate::{Result, sysctl};

const INPUT: u32 = 1;
const FORWARD: u32 = 2;
const POSTROUTING: u32 = 4;
const FRAMES4: [&str; 2] = ["bridge", "bridge-nf-call-iptables"];
const FRAMES6: [&str; 2] = ["bridge", "bridge-nf-call-ip6tables"];

impl Firewall {
    /// What keeps packets of containers from being forwarded although this table lets them: sentences with what to do.
    pub fn obstacles(&self) -> Result<Vec<String>> {
        let dropping =
            self.foreign_chains()?.into_iter().filter(|chain| chain.hook == FORWARD && chain.drops);
        let sentence = |chain: BaseChain| {
            let remedy = self.remedy(&chain)?;
            Ok(format!("{} drops forwarded packets by default, containers' too: {remedy}", describe(&chain)))
        };
        dropping.map(sentence).collect()
    }

    /// Whether rules beside a chain already speak of what is forwarded for containers: of its mark, or of each bridge.
    /// What they say is their author's business.
    fn is_settled(&self, chain: &BaseChain) -> Result<bool> {
        let Some(family) = family_of(chain) else { return Ok(false) };
        let rules = read::rules(&self.connection, family, &chain.table)?;
        let bridges: Vec<String> = self.state().wanted.networks.keys().cloned().collect();
        let named = |bridge: &String| rules.iter().any(|rule| tells(rule, bridge.as_bytes(), 1));
        let marked = rules.iter().any(|rule| asks_for_mark(rule));
        Ok(marked || (!bridges.is_empty() && bridges.iter().all(named)))
    }

    /// What to do about a chain that drops.
    fn remedy(&self, chain: &BaseChain) -> Result<String> {
        let has = |name| match family_of(chain) {
            Some(family) => read::has_chain(&self.connection, family, &chain.table, name),
            None => Ok(false),
        };
        let command = if has("DOCKER-USER")? {
            let program = if chain.family == "ip6" { "ip6tables" } else { "iptables" };
            format!("{program} -I DOCKER-USER -m mark --mark {OURS:#x}/{OURS:#x} -j ACCEPT")
        } else {
            format!(
                "nft insert rule {} {} {} meta mark and {OURS:#x} == {OURS:#x} accept",
                chain.family, chain.table, chain.name
            )
        };
        let ufw = if has("ufw-user-forward")? {
            "; with ufw: `ufw route allow in on BRIDGE` and `out on`"
        } else {
            ""
        };
        Ok(format!(
            "accept there what bears this daemon's mark; its own rules still hold (`{command}`{ufw}); \
             what leaves by another's bridge bears none"
        ))
    }

    /// What rules beside chains for what is forwarded make necessary. Rules of the older iptables can't be read: where
    /// it is in use they may ask for the mark, and set priorities where one of its tables is the one for that.
    pub(super) fn regard(&self) -> Result<Regard> {
        let mut regard = Regard::default();
        for names in ["ip_tables_names", "ip6_tables_names"] {
            let names = std::fs::read_to_string(format!("/proc/thread-self/net/{names}")).unwrap_or_default();
            regard.marked |= !names.is_empty();
            regard.prioritized |= names.lines().any(|name| name == "mangle");
        }
        let mut tables: Vec<(TableFamily, String)> = Vec::new();
        for chain in self.filters()?.into_iter().filter(|chain| [FORWARD, POSTROUTING].contains(&chain.hook))
        {
            let table = family_of(&chain).map(|family| (family, chain.table));
            tables.extend(table.filter(|table| !tables.contains(table)));
        }
        for (family, table) in tables {
            for rule in read::rules(&self.connection, family, &table)? {
                regard.marked |= asks_for_mark(&rule);
                regard.prioritized |= sets_priority(&rule);
            }
        }
        Ok(regard)
    }

    /// Tells the way of a packet on this host. `relayed`: the ports that programs listen for and relay.
    pub fn why(&self, question: &Question, relayed: Vec<Published>) -> Result<Answer> {
        Ok(why::explain(question, &Facts { relayed, ..self.facts(question)? }))
    }

    fn facts(&self, question: &Question) -> Result<Facts> {
        let v4 = question.address.is_ipv4();
        let (networks, ports) = {
            let state = self.state();
            (state.wanted.networks.values().cloned().collect(), state.wanted.published())
        };
        let forwarding: &[&str] =
            if v4 { &["ipv4", "ip_forward"] } else { &["ipv6", "conf", "all", "forwarding"] };
        Ok(Facts {
            table: self.table.clone(),
            table_is_there: read::fixed_parts(&self.connection, TableFamily::Inet, &self.table)?.is_some(),
            mode: self.mode,
            networks,
            ports,
            relayed: Vec::new(),
            addresses: address::list(&self.links, None)?.iter().map(|found| found.net.addr()).collect(),
            forwards: sysctl::read(forwarding)?.is_some_and(|value| value != "0"),
            foreign: self.foreign(v4)?,
            listener: why::Listening::ask(question),
            takes_frames: sysctl::read(if v4 { &FRAMES4 } else { &FRAMES6 })?
                .is_some_and(|value| value != "0"),
        })
    }

    /// Filtering base chains of others.
    fn filters(&self) -> Result<Vec<BaseChain>> {
        let mut chains = match read::base_chains(&self.connection) {
            // No nftables, no chains.
            Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => Vec::new(),
            done => done?,
        };
        chains.retain(|chain| chain.table != self.table && chain.kind == "filter");
        Ok(chains)
    }

    /// The same in the order in which packets meet them; they don't drop where that is settled.
    fn foreign_chains(&self) -> Result<Vec<BaseChain>> {
        let mut chains = self.filters()?;
        chains.sort_by_key(|chain| chain.priority);
        for chain in chains.iter_mut().filter(|chain| chain.hook == FORWARD && chain.drops) {
            chain.drops = !self.is_settled(chain)?;
        }
        Ok(chains)
    }

    /// Those of them that see packets of a family.
    fn foreign(&self, v4: bool) -> Result<Vec<Foreign>> {
        let mut found = Vec::new();
        for chain in self.foreign_chains()? {
            let Some(mut foreign) = foreign(&chain, v4) else { continue };
            if foreign.drops && foreign.hook == Hook::Forward {
                foreign.remedy = self.remedy(&chain)?;
            }
            found.push(foreign);
        }
        Ok(found)
    }
}

fn foreign(chain: &BaseChain, v4: bool) -> Option<Foreign> {
    let hook = match chain.hook {
        INPUT => Hook::Input,
        FORWARD => Hook::Forward,
        _ => return None,
    };
    let sees = matches!((chain.family, v4), ("inet", _) | ("ip", true) | ("ip6", false));
    sees.then(|| Foreign { name: describe(chain), hook, drops: chain.drops, remedy: String::new() })
}

fn describe(chain: &BaseChain) -> String {
    format!("chain {} of table {} {} (priority {})", chain.name, chain.family, chain.table, chain.priority)
}

fn family_of(chain: &BaseChain) -> Option<TableFamily> {
    match chain.family {
        "inet" => Some(TableFamily::Inet),
        "ip" => Some(TableFamily::Ip),
        "ip6" => Some(TableFamily::Ip6),
        _ => None,
    }
}

/// Whether a rule of another program is one that the table has to regard.
pub(super) fn needs_regard(rule: &[u8]) -> bool {
    asks_for_mark(rule) || sets_priority(rule)
}

/// Whether a rule sets priorities: by an expression `meta` with the key `priority` and then a source register (nf_tables
/// netlink), or by the target that iptables has for it.
fn sets_priority(rule: &[u8]) -> bool {
    let attribute = |kind: u16| [8u16.to_ne_bytes(), kind.to_ne_bytes()].concat();
    let expression = [attribute(2), META_PRIORITY.to_be_bytes().to_vec(), attribute(3)].concat();
    tells(rule, &expression, 1) || tells(rule, b"CLASSIFY\0", 1)
}

/// Whether a rule looks for our mark: once as what is looked for, once as the bits that count.
fn asks_for_mark(rule: &[u8]) -> bool {
    tells(rule, &OURS.to_ne_bytes(), 2)
}

/// Whether a rule contains a value so many times.
fn tells(rule: &[u8], value: &[u8], times: usize) -> bool {
    rule.windows(value.len()).filter(|window| *window == value).count() >= times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_for_their_family() {
        let chain = BaseChain {
            family: "ip",
            table: "filter".into(),
            name: "FORWARD".into(),
            kind: "filter".into(),
            hook: FORWARD,
            priority: 0,
            drops: true,
        };
        assert_eq!(describe(&chain), "chain FORWARD of table ip filter (priority 0)");
        assert_eq!(foreign(&chain, false), None);
        assert!(foreign(&chain, true).is_some());
    }
}
