//! What else is in the host's firewall, and what the table's owner should know of it: an accept of ours ends our own
//! chains only, so another program's chain that drops by default still drops.

use boxship_sys::Errno;

use super::Firewall;
use crate::nft::object::TableFamily;
use crate::nft::read::{self, BaseChain};
use crate::rtnetlink::address;
use crate::why::{self, Answer, Facts, Foreign, Hook, Question};
use crate::{Result, sysctl};

const INPUT: u32 = 1;
const FORWARD: u32 = 2;

impl Firewall {
    /// What keeps packets of containers from being forwarded although this table lets them: sentences with what to do.
    pub fn obstacles(&self) -> Result<Vec<String>> {
        let bridges: Vec<String> = self.state().wanted.networks.keys().cloned().collect();
        let dropping =
            self.foreign_chains()?.into_iter().filter(|chain| chain.hook == FORWARD && chain.drops);
        Ok(dropping.map(|chain| obstacle(&chain, &bridges)).collect())
    }

    /// Tells the way of a packet on this host.
    pub fn why(&self, question: &Question) -> Result<Answer> {
        Ok(why::explain(question, &self.facts(question)?))
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
            addresses: address::list(&self.links, None)?.iter().map(|found| found.net.addr()).collect(),
            forwards: sysctl::read(forwarding)?.is_some_and(|value| value != "0"),
            foreign: self.foreign_chains()?.iter().filter_map(|chain| foreign(chain, v4)).collect(),
        })
    }

    /// Filtering base chains of others, in the order in which packets meet them.
    fn foreign_chains(&self) -> Result<Vec<BaseChain>> {
        let mut chains = match read::base_chains(&self.connection) {
            // No nftables, no chains.
            Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => Vec::new(),
            done => done?,
        };
        chains.retain(|chain| chain.table != self.table && chain.kind == "filter");
        chains.sort_by_key(|chain| chain.priority);
        Ok(chains)
    }
}

fn foreign(chain: &BaseChain, v4: bool) -> Option<Foreign> {
    let hook = match chain.hook {
        INPUT => Hook::Input,
        FORWARD => Hook::Forward,
        _ => return None,
    };
    let sees = matches!((chain.family, v4), ("inet", _) | ("ip", true) | ("ip6", false));
    sees.then(|| Foreign { name: describe(chain), hook, drops: chain.drops })
}

fn describe(chain: &BaseChain) -> String {
    format!("chain {} of table {} {} (priority {})", chain.name, chain.family, chain.table, chain.priority)
}

fn obstacle(chain: &BaseChain, bridges: &[String]) -> String {
    let bridge = bridges.first().map_or("BRIDGE", String::as_str);
    let rule = |word: &str| {
        format!("nft insert rule {} {} {} {word} {bridge} accept", chain.family, chain.table, chain.name)
    };
    format!(
        "{} drops forwarded packets by default, containers' too: accept those of each bridge there \
         (`{}` and `{}`; with ufw: `ufw route allow in on {bridge}` and `ufw route allow out on {bridge}`)",
        describe(chain),
        rule("iifname"),
        rule("oifname"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_obstacle_says_what_to_do() {
        let chain = BaseChain {
            family: "ip",
            table: "filter".into(),
            name: "FORWARD".into(),
            kind: "filter".into(),
            hook: FORWARD,
            priority: 0,
            drops: true,
        };
        let said = obstacle(&chain, &["boxship0".into()]);
        assert!(
            said.starts_with("chain FORWARD of table ip filter (priority 0) drops forwarded packets"),
            "{said}"
        );
        assert!(said.contains("`nft insert rule ip filter FORWARD iifname boxship0 accept`"), "{said}");
        assert_eq!(foreign(&chain, false), None);
        assert!(foreign(&chain, true).is_some());
    }
}
