//! Why a packet to a published port arrives, or does not: the way of the packet told step by step.
//!
//! [`explain`] is pure: it is given what is known of this host ([`Facts`]) and evaluates it as the table's rules would.
//! Other programs' rules are not evaluated: what they may do is said with their names and priorities.

use std::net::{IpAddr, SocketAddr};

use crate::firewall::{Mode, Network};
use crate::ports::{Protocol, Published};
use crate::sockets::{self, Listener};

/// Where a packet comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Another machine.
    Outside,
    /// A program of this host.
    Host,
    /// A container on the network of this bridge.
    Bridge(String),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// To which address.
    pub address: IpAddr,
    /// To which port.
    pub port: u16,
    /// By which protocol.
    pub protocol: Protocol,
    /// From where.
    pub from: Origin,
}

/// What becomes of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It reaches a container, or a program of the host that waits for it.
    Delivered,
    /// Nobody answers.
    Dropped,
    /// Nothing of ours takes it: the host refuses it, or whoever has the address answers or refuses.
    Refused,
}

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The place: a hook of the kernel, a link.
    pub place: String,
    /// What happens there.
    pub what: String,
    /// The rule or element that decides.
    pub rule: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What becomes of the packet.
    pub verdict: Verdict,
    /// In one sentence.
    pub summary: String,
    /// The way of the packet.
    pub steps: Vec<Step>,
}

/// What another program's chain may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Chain, table and priority in words.
    pub name: String,
    /// At which hook.
    pub hook: Hook,
    /// What none of its rules accepts is dropped.
    pub drops: bool,
    /// What to do about that; empty where nothing should be done.
    pub remedy: String,
}

/// Hooks at which others' chains matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Before routing.
    Prerouting,
    /// To the host itself.
    Input,
    /// Through the host.
    Forward,
    /// From the host itself.
    Output,
}

/// What is known of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The table's name.
    pub table: String,
    /// Whether the kernel has the table.
    pub table_is_there: bool,
    /// How published ports meet the host's own rules.
    pub mode: Mode,
    /// The networks.
    pub networks: Vec<Network>,
    /// The published ports that the table carries.
    pub ports: Vec<Published>,
    /// Those that a program listens for and relays.
    pub relayed: Vec<Published>,
    /// The host's own addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether the kernel forwards packets of the question's family.
    pub forwards: bool,
    /// Chains of other programs that see packets of the question's family.
    pub foreign: Vec<Foreign>,
    /// Whether a program of the host waits at the question's address.
    pub listener: Listening,
    /// Whether the kernel hands frames on bridges to the firewall (br_netfilter).
    pub takes_frames: bool,
}

/// Whether a program of the host waits at an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Listening {
    /// The kernel didn't say.
    #[default]
    Unknown,
    /// None does.
    Nobody,
    /// This one.
    By(Listener),
}

impl Listening {
    /// Asks the kernel.
    pub fn ask(question: &Question) -> Self {
        match sockets::listener(question.protocol, question.address, question.port) {
            Ok(Some(listener)) => Self::By(listener),
            Ok(None) => Self::Nobody,
            Err(_) => Self::Unknown,
        }
    }
}

/// A way being told.
struct Way<'a> {
    facts: &'a Facts,
    question: &'a Question,
    steps: Vec<Step>,
}

/// Tells the way of a packet.
pub fn explain(question: &Question, facts: &Facts) -> Answer {
    let way = Way { facts, question, steps: Vec::new() };
    way.tell()
}

impl Way<'_> {
    fn tell(mut self) -> Answer {
        self.begin();
        if !self.facts.table_is_there {
            self.step(
                "firewall",
                "the table is missing: nothing is published and nothing of a network forwarded",
                None,
            );
            return self.end(
                Verdict::Dropped,
                "the firewall's table is missing (the daemon makes it anew when it runs)",
            );
        }
        if self.is_loopback() && matches!(self.question.from, Origin::Bridge(_)) {
            let reason = "in a container this address is the container itself: the packet doesn't leave it";
            self.step("routing", reason, None);
            return self.end(Verdict::Refused, reason);
        }
        if let Some(reason) = self.dishonest() {
            let rule = self.chain("guard");
            self.step("prerouting", reason, Some(rule));
            return self.end(Verdict::Dropped, reason);
        }
        if self.facts.addresses.contains(&self.question.address) || self.is_loopback() {
            self.at_host()
        } else {
            self.past_host()
        }
    }

    fn begin(&mut self) {
        let Question { address, port, protocol, from } = self.question;
        let target = SocketAddr::new(*address, *port);
        let from = match from {
            Origin::Outside => "another machine".to_owned(),
            Origin::Host => "this host".to_owned(),
            Origin::Bridge(bridge) => format!("a container on {bridge}"),
        };
        let what = format!("a {} packet to {target} from {from}", protocol.name());
        self.step("start", &what, None);
    }

    fn is_loopback(&self) -> bool {
        self.question.address.is_loopback()
    }

    /// Loopback addresses exist on this host only.
    fn dishonest(&self) -> Option<&'static str> {
        let elsewhere = self.question.from != Origin::Host;
        (elsewhere && self.is_loopback())
            .then_some("packets for loopback addresses are dropped unless they come from this host")
    }

    /// The packet is for an address of the host: is the port published there?
    fn at_host(mut self) -> Answer {
        let found = self.published(&self.facts.ports).cloned();
        let Some(port) = found else {
            if let Some(port) = self.published(&self.facts.relayed).cloned() {
                return self.relayed(&port);
            }
            return self.unpublished();
        };
        if self.is_loopback() && self.question.address.is_ipv6() {
            let rule = self.chain("output");
            self.step("output", "[::1] takes the way round by a private pair of links", Some(rule));
        }
        let honest = self.facts.mode == Mode::Honest && self.question.from != Origin::Host;
        if honest {
            self.step("prerouting", "not translated yet: honest mode asks the host's own rules first", None);
            self.others(Hook::Input);
            let rule = self.chain("admitted");
            self.step(
                "input",
                "what the host's own rules let through is copied and comes in again",
                Some(rule),
            );
        }
        let hook = if self.question.from == Origin::Host { "output" } else { "prerouting" };
        let element = format!(
            "{}/{} -> {}",
            SocketAddr::new(port.host_address, port.host_port),
            port.protocol.name(),
            SocketAddr::new(port.address, port.port)
        );
        let what =
            format!("published: goes to {} on {}", SocketAddr::new(port.address, port.port), port.bridge);
        self.step(hook, &what, Some(format!("{} {element}", self.chain("publish"))));
        self.onward(&port)
    }

    /// Nothing is published there: what the host's own programs do is the answer.
    fn unpublished(mut self) -> Answer {
        let published = match self.elsewhere() {
            Some(port) => format!(
                "the port is published at {} only, not at this address",
                SocketAddr::new(port.host_address, port.host_port)
            ),
            None => "no published port".to_owned(),
        };
        let hook = if self.question.from == Origin::Host { "output" } else { "prerouting" };
        self.step(hook, &published, Some(self.chain("publish")));
        if let Origin::Bridge(bridge) = &self.question.from
            && self.is_cut_off(bridge)
            && self.network_of(self.question.address).is_none_or(|network| network.bridge != *bridge)
        {
            let what = "containers of an internal network reach the host by its address there only";
            let rule = self.chain("from_internal");
            self.step("input", what, Some(rule));
            return self.end(Verdict::Dropped, "the sender's network is internal");
        }
        self.others(Hook::Input);
        let (verdict, joint, what) = match &self.facts.listener {
            Listening::By(listener) => (Verdict::Delivered, "; ", told(listener)),
            Listening::Nobody => {
                (Verdict::Refused, ", and ", "no program of this host listens there".to_owned())
            }
            Listening::Unknown => {
                (Verdict::Refused, ": ", "the host's own program answers if one listens there".to_owned())
            }
        };
        self.step("input", &what, None);
        let mut summary = format!("{published}{joint}{what}");
        self.unless_dropped(verdict, &mut summary);
        self.end(verdict, &summary)
    }

    /// Others' rules may drop what would be delivered.
    fn unless_dropped(&self, verdict: Verdict, summary: &mut String) {
        let droppers = self.droppers();
        if verdict == Verdict::Delivered && !droppers.is_empty() {
            summary.push_str(&format!(", unless other programs' rules drop it: {}", droppers.join(", ")));
        }
    }

    /// A port that a program of the host listens at: its packets are the host's own.
    fn relayed(mut self, port: &Published) -> Answer {
        if self.question.from != Origin::Host {
            self.others(Hook::Input);
        }
        let what = format!(
            "the container's shim listens at {} and relays to {}, which sees this host as the client",
            SocketAddr::new(port.host_address, port.host_port),
            SocketAddr::new(port.address, port.port)
        );
        self.step("input", &what, None);
        self.delivered(port)
    }

    /// A published port on its way to the container.
    fn onward(mut self, port: &Published) -> Answer {
        if self.question.from == Origin::Host {
            self.step("output", "the host reaches its own containers without forwarding", None);
            return self.delivered(port);
        }
        if self.is_cut_off(&port.bridge)
            || matches!(&self.question.from, Origin::Bridge(bridge) if self.is_cut_off(bridge))
        {
            let rule = self.chain("ours");
            self.step("forward", "a network of this way is internal: nothing goes in or out", Some(rule));
            return self.end(Verdict::Dropped, "the network is internal");
        }
        if self.stays_on_isolated(&port.bridge) {
            let what = "translated while it is still a frame (net.bridge.bridge-nf-call-iptables), it stays on its \
                        bridge, whose ports are isolated from each other";
            self.step("bridge", what, None);
            return self.end(
                Verdict::Dropped,
                "members of this network may not talk to each other (icc is off), and this kernel doesn't let them do \
                 so by published ports either",
            );
        }
        if !self.forwards() {
            return self.not_forwarded();
        }
        let rule = self.chain("ours");
        self.step("forward", "accepted here: it was translated", Some(rule));
        self.others(Hook::Forward);
        self.delivered(port)
    }

    /// Whether it goes from one member to another of a network whose members may not talk to each other.
    fn stays_on_isolated(&self, bridge: &str) -> bool {
        let same = matches!(&self.question.from, Origin::Bridge(from) if from == bridge);
        let mut networks = self.facts.networks.iter();
        same && self.facts.takes_frames && networks.any(|network| network.bridge == bridge && !network.icc)
    }

    fn delivered(self, port: &Published) -> Answer {
        let container = SocketAddr::new(port.address, port.port);
        let mut summary = format!("the packet reaches the container at {container} on {}", port.bridge);
        self.unless_dropped(Verdict::Delivered, &mut summary);
        self.end(Verdict::Delivered, &summary)
    }

    /// The packet is for another address: one of a network, or none of ours.
    fn past_host(mut self) -> Answer {
        let Some(network) = self.network_of(self.question.address).cloned() else {
            self.step("routing", "the address is neither this host's nor of a network of containers", None);
            return self.end(Verdict::Refused, "the address is none of ours");
        };
        let place = format!("an address of the network on {}", network.bridge);
        self.step("routing", &place, None);
        let same = self.question.from == Origin::Bridge(network.bridge.clone());
        let rule = Some(self.chain("ours"));
        let (passes, what) = match &self.question.from {
            Origin::Host => (true, "the host reaches containers directly"),
            _ if same && network.icc => (true, "members of a network reach each other"),
            _ if same => (false, "members of this network may not talk to each other (icc is off)"),
            _ if network.internal => (false, "the network is internal: nothing goes in or out"),
            Origin::Bridge(bridge) if self.is_cut_off(bridge) => (false, "the sender's network is internal"),
            _ if network.unprotected => {
                (true, "the network is open to others (gateway mode nat-unprotected)")
            }
            _ if self.opened() => {
                (true, "the port is open at the container's own address (gateway mode routed)")
            }
            Origin::Bridge(_) => {
                (false, "networks are isolated from each other: only published ports are reached")
            }
            Origin::Outside => (false, "containers are reached from outside by published ports only"),
        };
        self.step("forward", what, rule);
        if !passes {
            return self.end(Verdict::Dropped, what);
        }
        if self.question.from != Origin::Host && !same {
            if !self.forwards() {
                return self.not_forwarded();
            }
            self.others(Hook::Forward);
        }
        self.end(Verdict::Delivered, what)
    }

    fn forwards(&self) -> bool {
        self.facts.forwards
    }

    fn not_forwarded(mut self) -> Answer {
        self.step("routing", "the kernel forwards no packets of this family (net.ipv4.ip_forward, net.ipv6.conf.all.forwarding)", None);
        self.end(Verdict::Dropped, "forwarding is off in the kernel")
    }

    /// The published port that takes the packet: one for this very address before one for all.
    fn published<'p>(&self, ports: &'p [Published]) -> Option<&'p Published> {
        let asked = self.question;
        let of_port = |port: &&Published| {
            (port.protocol, port.host_port) == (asked.protocol, asked.port)
                && port.host_address.is_ipv4() == asked.address.is_ipv4()
                && port.host_address != port.address
        };
        let at = |wanted: &dyn Fn(IpAddr) -> bool| {
            ports.iter().filter(of_port).find(|port| wanted(port.host_address))
        };
        at(&|address| address == asked.address).or_else(|| at(&|address| address.is_unspecified()))
    }

    /// The same port at another address of the host.
    fn elsewhere(&self) -> Option<&Published> {
        let asked = self.question;
        let mut ports = self.facts.ports.iter().chain(&self.facts.relayed);
        ports.find(|port| (port.protocol, port.host_port) == (asked.protocol, asked.port))
    }

    fn opened(&self) -> bool {
        let asked = self.question;
        self.facts.ports.iter().any(|port| {
            port.host_address == port.address
                && (port.address, port.port, port.protocol) == (asked.address, asked.port, asked.protocol)
        })
    }

    fn network_of(&self, address: IpAddr) -> Option<&Network> {
        self.facts
            .networks
            .iter()
            .find(|network| network.subnets.iter().any(|subnet| subnet.contains(&address)))
    }

    fn is_cut_off(&self, bridge: &str) -> bool {
        self.facts.networks.iter().any(|network| network.bridge == bridge && network.internal)
    }

    /// Others' chains at a hook.
    fn others(&mut self, hook: Hook) {
        let facts = self.facts;
        for chain in facts.foreign.iter().filter(|chain| chain.hook == hook) {
            let mut what = match chain.drops {
                true => "may drop it: what none of its rules accepts is dropped (policy drop)".to_owned(),
                false => "may have rules for it".to_owned(),
            };
            if !chain.remedy.is_empty() {
                what = format!("{what}; {}", chain.remedy);
            }
            let place = if hook == Hook::Input { "input" } else { "forward" };
            self.step(place, &what, Some(chain.name.clone()));
        }
    }

    /// The chains of others that were met and drop by default.
    fn droppers(&self) -> Vec<String> {
        let met = self.steps.iter().filter_map(|step| step.rule.as_ref());
        let dropping =
            |name: &&String| self.facts.foreign.iter().any(|chain| chain.drops && chain.name == **name);
        met.filter(dropping).cloned().collect()
    }

    fn chain(&self, name: &str) -> String {
        format!("table inet {} chain {name}", self.facts.table)
    }

    fn step(&mut self, place: &str, what: &str, rule: Option<String>) {
        self.steps.push(Step { place: place.to_owned(), what: what.to_owned(), rule });
    }

    fn end(self, verdict: Verdict, summary: &str) -> Answer {
        Answer { verdict, summary: summary.to_owned(), steps: self.steps }
    }
}

/// A program that waits, for a reader.
fn told(listener: &Listener) -> String {
    let program = match &listener.program {
        Some((name, process)) => format!("the host's own {name} (process {process})"),
        None => "a program of the host".to_owned(),
    };
    format!("{program} listens at {}", listener.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let network = |number: u8| Network {
            bridge: format!("br{number}"),
            subnets: vec![format!("172.2{number}.0.0/24").parse().unwrap()],
            icc: true,
            ..Network::default()
        };
        let port = |host: &str, host_port| Published {
            protocol: Protocol::Tcp,
            host_address: host.parse().unwrap(),
            host_port,
            address: "172.20.0.2".parse().unwrap(),
            port: 80,
            bridge: "br0".into(),
        };
        Facts {
            table: "boxship".into(),
            table_is_there: true,
            networks: vec![network(0), network(1), Network { internal: true, ..network(2) }],
            ports: vec![port("0.0.0.0", 8080), port("127.0.0.1", 8081), port("172.20.0.2", 80)],
            relayed: vec![port("::", 8082)],
            addresses: ["10.9.0.1", "::1", "2001:db8::1"].map(|text| text.parse().unwrap()).to_vec(),
            forwards: true,
            ..Facts::default()
        }
    }

    fn ask(from: Origin, target: &str, facts: &Facts) -> Answer {
        let target: SocketAddr = target.parse().unwrap();
        let question = Question { address: target.ip(), port: target.port(), protocol: Protocol::Tcp, from };
        explain(&question, facts)
    }

    #[test]
    fn ways_end_where_packets_do() {
        use Verdict::{Delivered, Dropped, Refused};
        let bridge = |name: &str| Origin::Bridge(name.into());
        for (from, target, expect) in [
            (Origin::Outside, "10.9.0.1:8080", Delivered),
            (Origin::Host, "127.0.0.1:8080", Delivered),
            (Origin::Host, "127.0.0.1:8081", Delivered),
            (Origin::Outside, "10.9.0.1:8081", Refused),
            (Origin::Outside, "10.9.0.1:22", Refused),
            (Origin::Outside, "127.0.0.1:8081", Dropped),
            (bridge("br1"), "10.9.0.1:8080", Delivered),
            (bridge("br2"), "10.9.0.1:8080", Dropped),
            (bridge("br1"), "172.20.0.2:81", Dropped),
            (bridge("br1"), "172.20.0.2:80", Delivered),
            (bridge("br0"), "172.20.0.9:81", Delivered),
            (Origin::Outside, "172.21.0.2:80", Dropped),
            (Origin::Outside, "172.22.0.2:80", Dropped),
            (Origin::Host, "172.22.0.2:80", Delivered),
            (Origin::Outside, "8.8.8.8:53", Refused),
            (Origin::Host, "[::1]:8080", Refused),
            (Origin::Host, "[::1]:8082", Delivered),
            (Origin::Outside, "[2001:db8::1]:8082", Delivered),
            (Origin::Outside, "10.9.0.1:8082", Refused),
            (bridge("br0"), "127.0.0.1:8080", Refused),
        ] {
            let answer = ask(from.clone(), target, &facts());
            assert_eq!(answer.verdict, expect, "{from:?} to {target}: {answer:?}");
        }
        assert_eq!(
            ask(Origin::Outside, "10.9.0.1:8080", &Facts { forwards: false, ..facts() }).verdict,
            Dropped
        );
        assert_eq!(
            ask(Origin::Host, "10.9.0.1:8080", &Facts { table_is_there: false, ..facts() }).verdict,
            Dropped
        );
    }

    #[test]
    fn the_hosts_own_programs_are_known() {
        let listener = Listener { address: "0.0.0.0:22".parse().unwrap(), program: Some(("sshd".into(), 7)) };
        let by = |listener| Facts { listener, ..facts() };
        let (nobody, sshd) = (by(Listening::Nobody), by(Listening::By(listener)));
        for (from, target, facts, verdict, summary) in [
            (
                Origin::Outside,
                "10.9.0.1:22",
                &nobody,
                Verdict::Refused,
                "no published port, and no program of this host listens there",
            ),
            (
                Origin::Outside,
                "10.9.0.1:22",
                &sshd,
                Verdict::Delivered,
                "no published port; the host's own sshd (process 7) listens at 0.0.0.0:22",
            ),
            (
                Origin::Bridge("br2".into()),
                "10.9.0.1:22",
                &sshd,
                Verdict::Dropped,
                "the sender's network is internal",
            ),
        ] {
            let answer = ask(from.clone(), target, facts);
            assert_eq!((answer.verdict, answer.summary.as_str()), (verdict, summary), "{from:?}");
        }
    }

    #[test]
    fn isolated_neighbours_dont_meet_by_published_ports_where_frames_are_translated() {
        let mut facts = facts();
        facts.networks[0].icc = false;
        let verdict = |facts: &Facts| ask(Origin::Bridge("br0".into()), "10.9.0.1:8080", facts).verdict;
        assert_eq!(verdict(&facts), Verdict::Delivered);
        facts.takes_frames = true;
        assert_eq!(verdict(&facts), Verdict::Dropped);
        facts.networks[0].icc = true;
        assert_eq!(verdict(&facts), Verdict::Delivered);
    }

    #[test]
    fn others_chains_are_named() {
        let chain =
            |name: &str, hook| Foreign { name: name.into(), hook, drops: true, remedy: String::new() };
        let foreign =
            vec![chain("FORWARD of ip filter", Hook::Forward), chain("INPUT of ip filter", Hook::Input)];
        let docker = ask(Origin::Outside, "10.9.0.1:8080", &Facts { foreign: foreign.clone(), ..facts() });
        assert!(docker.summary.ends_with("unless other programs' rules drop it: FORWARD of ip filter"));
        let honest = Facts { foreign, mode: Mode::Honest, ..facts() };
        let honest = ask(Origin::Outside, "10.9.0.1:8080", &honest);
        assert!(honest.summary.ends_with("drop it: INPUT of ip filter, FORWARD of ip filter"), "{honest:?}");
        let rules: Vec<_> = docker.steps.iter().filter_map(|step| step.rule.as_deref()).collect();
        assert!(rules[0].contains("0.0.0.0:8080/tcp -> 172.20.0.2:80"), "{rules:?}");
    }
}
