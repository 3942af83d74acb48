//! The table as data: its sets and maps, its chains and their rules. The rules never change while it stands: networks
//! and ports are elements. Read top to bottom in the order in which a packet meets the chains.
//!
//! Nothing here depends on which networks there are, only on their kinds ([`Shape`]: whether there is IPv6, how long
//! subnets' prefixes are), so a listing of the table explains itself.

use std::collections::BTreeSet;

use super::pair::{FAR, NEAR, PREFIX, ZONE};
use super::program::SEEN;
use super::wanted::Shape;
use crate::nft::object::{Base, Chain, Hook, Kind};
use crate::nft::rule::{DNAT, Family, Field, INVALID, KNOWN, NEW, Rule, Verdict, interface_name};
use crate::nft::set::{Part, Set};

/// Says "this packet is of a network, and this table decides about it" to others' rules for what is forwarded: one rule
/// of another program lets all such packets pass its own drops. No other bit of the mark is touched.
pub(crate) const OURS: u32 = 1 << 13;

/// Says "the host's own rules let the packet in" from the end of the input hook to the copying behind it, see
/// [`super::honest`].
pub(crate) const ADMITTED: u32 = 1 << 12;

/// Bridges of all networks.
pub(crate) const BRIDGES: &str = "bridges";
/// Bridges whose packets must have a source of the network.
pub(crate) const CHECKED: &str = "checked";
/// Bridges of networks that are cut off.
pub(crate) const INTERNAL: &str = "internal";
/// Pairs (in, out) of the same bridge whose members may talk.
pub(crate) const NEIGHBOURS: &str = "neighbours";
/// Bridges whose containers may be reached without publishing.
pub(crate) const UNPROTECTED: &str = "unprotected";

/// Pairs (in, out) of the same bridge, of bridges that are guarded.
pub(crate) const BRIDGED: &str = "bridged";

/// Name of the set or map that exists once for each family.
pub(crate) fn of(name: &str, family: Family) -> String {
    format!("{name}{}", if family == Family::V4 { '4' } else { '6' })
}

/// Name of the set of subnets of one length.
pub(crate) fn of_length(name: &str, (family, length): (Family, u8)) -> String {
    format!("{}_{length}", of(name, family))
}

/// Bridge and subnet. There is one for all lengths, and one for each length, which is looked up more quickly.
pub(crate) const MEMBERS: &str = "members";
/// Subnets of one length.
pub(crate) const SUBNETS: &str = "subnets";
/// Subnets whose outgoing packets take the host's address.
pub(crate) const MASQUERADED: &str = "masqueraded";
/// Interfaces of others among which nothing is forwarded.
pub(crate) const GUARDED: &str = "guarded";
/// Protocol and port of any local address, to address and port.
pub(crate) const PORTS: &str = "ports";
/// The same for one local address.
pub(crate) const PORTS_AT: &str = "ports_at";
/// Protocol and range of ports, to the same ports of an address.
pub(crate) const RANGES: &str = "ranges";
/// The same for one local address.
pub(crate) const RANGES_AT: &str = "ranges_at";

/// Address, protocol and port of containers of routed networks that may be reached there.
pub(crate) const OPENED: &str = "opened";

/// Protocol and range of published ports; only for honest mode, which has to know them apart from where they lead.
pub(crate) const ASKED: &str = "asked";
/// The same for one local address.
pub(crate) const ASKED_AT: &str = "asked_at";

/// Protocol and range of ports that `[::1]` leads to.
pub(crate) const LOCALHOST: &str = "localhost";

/// Protocol and port of any of the host's IPv6 addresses that a program relays to a container.
pub(crate) const RELAYED: &str = "relayed";
/// The same for one address.
pub(crate) const RELAYED_AT: &str = "relayed_at";

/// The sets and maps.
pub(crate) fn sets(shape: &Shape) -> Vec<Set> {
    let plain = |name: &str, key: &[Part]| Set {
        name: name.to_owned(),
        key: key.to_vec(),
        value: Vec::new(),
        interval: false,
    };
    let mut sets = vec![
        plain(BRIDGES, &[Part::Interface]),
        plain(CHECKED, &[Part::Interface]),
        plain(INTERNAL, &[Part::Interface]),
        plain(UNPROTECTED, &[Part::Interface]),
        plain(NEIGHBOURS, &[Part::Interface, Part::Interface]),
    ];
    if !shape.guarded.is_empty() {
        sets.push(plain(BRIDGED, &[Part::Interface, Part::Interface]));
    }
    sets.extend(shape.guarded.iter().map(|family| plain(&of(GUARDED, *family), &[Part::Interface])));
    for family in Family::BOTH {
        let address = Part::Address(family);
        let interval = |name: &str, key: &[Part]| Set { interval: true, ..plain(&of(name, family), key) };
        sets.push(interval(MEMBERS, &[Part::Interface, address]));
        for length in shape.lengths.iter().filter(|(of, _)| *of == family) {
            sets.push(plain(&of_length(MEMBERS, *length), &[Part::Interface, address]));
            sets.push(plain(&of_length(SUBNETS, *length), &[address]));
        }
        sets.push(interval(MASQUERADED, &[address]));
        let everywhere = [Part::L4proto, Part::Port];
        let at = [address, Part::L4proto, Part::Port];
        let to = vec![address, Part::Port];
        sets.push(plain(&of(OPENED, family), &at));
        sets.push(Set { value: to.clone(), ..plain(&of(PORTS, family), &everywhere) });
        sets.push(Set { value: to, ..plain(&of(PORTS_AT, family), &at) });
        if shape.honest {
            sets.push(interval(ASKED, &everywhere));
            sets.push(interval(ASKED_AT, &at));
        }
        if family == Family::V6 {
            sets.push(plain(&of(RELAYED, family), &everywhere));
            sets.push(plain(&of(RELAYED_AT, family), &at));
            if shape.localhost6 {
                sets.push(interval(LOCALHOST, &everywhere));
            }
        }
        sets.push(Set { value: vec![address], ..interval(RANGES, &everywhere) });
        sets.push(Set { value: vec![address], ..interval(RANGES_AT, &at) });
    }
    sets
}

/// The chains, those that are jumped to before those that jump.
pub(crate) fn chains(shape: &Shape) -> Vec<Chain> {
    let mut chains = vec![from_network(shape), by_bridge(shape), guard(shape), publish(), arriving(shape)];
    chains.extend([from_internal(), input(), ours(shape)]);
    chains.extend(shape.admitted_from().map(admitted));
    chains.push(forward(shape));
    chains.extend(shape.regard.marked.then(forwarded));
    chains.extend([output(shape), leaving(shape)]);
    chains.extend(shape.regard.prioritized.then(departing));
    chains
}

fn base(kind: Kind, hook: Hook, priority: i32) -> Option<Base> {
    Some(Base { kind, hook, priority })
}

/// Before connection tracking: addresses that cannot honestly be there. Every packet that the host receives comes here:
/// the rules are in the order in which most packets need the fewest.
fn guard(shape: &Shape) -> Chain {
    let mut rules = vec![Rule::new().by_loopback().accept()];
    rules.push(from_bridge().verdict(Verdict::Jump("by_bridge")));
    if let Some(pair) = &shape.pair {
        let far =
            Rule::of(Family::V6).arrived_by(&pair.back).equals(Field::Source(Family::V6), &FAR.octets());
        rules.push(far.set_original_zone(ZONE).comment("the second pass of [::1]"));
        rules.push(Rule::new().arrived_by(&pair.out).accept());
        rules.push(Rule::new().arrived_by(&pair.back).accept());
        rules.extend(outside_stand_ins());
    }
    for family in Family::BOTH {
        rules.extend(outside_loopback(family));
        if family == Family::V6 {
            rules.extend(neighbour_discovery());
        }
        for length in shape.lengths.iter().filter(|(of, _)| *of == family) {
            let set = of_length(SUBNETS, *length);
            let container = Rule::of(family).within_prefix(&[Field::Source(family)], length.1.into(), &set);
            rules.push(container.drop().comment("a container's source from elsewhere"));
        }
        if family == Family::V4 {
            rules.push(Rule::of(family).accept());
        }
    }
    Chain { name: "guard", base: base(Kind::Filter, Hook::Prerouting, -300), rules }
}

/// What comes by a bridge, of whosoever: from a network's with a source of the network, which is nearly all of it, or
/// not.
fn by_bridge(shape: &Shape) -> Chain {
    let mut rules = Vec::new();
    for length in &shape.lengths {
        let fields = [Field::InName, Field::Source(length.0)];
        let member = Rule::of(length.0).within_prefix(&fields, length.1.into(), &of_length(MEMBERS, *length));
        rules.push(member.verdict(Verdict::Goto("from_network")));
    }
    rules.extend(Family::BOTH.into_iter().flat_map(outside_loopback));
    if shape.pair.is_some() {
        rules.extend(outside_stand_ins());
    }
    rules.extend(neighbour_discovery());
    let checked = Rule::new().within(&[Field::InName], CHECKED);
    rules.push(checked.drop().comment("a source that is not of its network"));
    rules.push(Rule::new().within(&[Field::InName], BRIDGES).verdict(Verdict::Goto("from_network")));
    Chain { name: "by_bridge", base: None, rules }
}

/// From a network, with a source that may be there. The program on its bridge keeps it from being forwarded
/// ([`super::program`]); that is undone here.
fn from_network(shape: &Shape) -> Chain {
    const HOST: u8 = 0;
    const MULTICAST: u8 = 2;
    let mut rules: Vec<Rule> = Family::BOTH.map(not_to_loopback).into();
    if shape.pair.is_some() {
        rules.push(stand_ins(Field::Destination(Family::V6)).drop());
    }
    for family in Family::BOTH {
        let (multicast, prefix) = multicast(family);
        let for_one = Rule::of(family).packet_type(MULTICAST).not_prefixed(
            Field::Destination(family),
            multicast,
            prefix,
        );
        rules.push(for_one.set_packet_type(HOST).accept());
    }
    rules
        .push(Rule::new().set_priority(SEEN).accept().comment("bridged frames come here before the program"));
    Chain { name: "from_network", base: None, rules }
}

/// `iifkind "bridge"`: dear look-ups of names are for those alone.
fn from_bridge() -> Rule {
    Rule::new().equals(Field::InKind, &interface_name("bridge"))
}

/// The stand-ins of `::1`, see [`super::pair`].
fn stand_ins(field: Field) -> Rule {
    let mut prefix = NEAR.octets();
    prefix[8..].fill(0);
    Rule::of(Family::V6).prefixed(field, &prefix, PREFIX)
}

/// They are nobody's but the pair's.
fn outside_stand_ins() -> [Rule; 2] {
    [Field::Source(Family::V6), Field::Destination(Family::V6)].map(|field| stand_ins(field).drop())
}

/// Loopback addresses are nobody's but this host's.
fn outside_loopback(family: Family) -> [Rule; 2] {
    [not_to_loopback(family), of_loopback(family, Field::Source(family)).drop()]
}

fn not_to_loopback(family: Family) -> Rule {
    of_loopback(family, Field::Destination(family)).drop().comment("loopback from outside")
}

fn of_loopback(family: Family, field: Field) -> Rule {
    match family {
        Family::V4 => Rule::of(family).prefixed(field, &[127, 0, 0, 0], 8),
        Family::V6 => Rule::of(family).prefixed(field, &loopback6(), 128),
    }
}

/// Link-local sources, and none at all while an address is probed. Neither is forwarded.
fn neighbour_discovery() -> [Rule; 2] {
    let source = Field::Source(Family::V6);
    [
        Rule::of(Family::V6).prefixed(source, &link_local(), 10).accept(),
        Rule::of(Family::V6).equals(source, &[0; 16]).accept(),
    ]
}

/// Addresses of many.
fn multicast(family: Family) -> (&'static [u8], u32) {
    match family {
        Family::V4 => (&[224, 0, 0, 0], 4),
        Family::V6 => (&[0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 8),
    }
}

fn loopback6() -> Vec<u8> {
    std::net::Ipv6Addr::LOCALHOST.octets().to_vec()
}

fn link_local() -> [u8; 16] {
    let mut address = [0; 16];
    address[0] = 0xfe;
    address[1] = 0x80;
    address
}

/// Published ports, for packets to an address of this host.
fn publish() -> Chain {
    let mut rules = Vec::new();
    for family in Family::BOTH {
        let port = [Field::L4proto, Field::DestinationPort];
        let at = [Field::Destination(family), Field::L4proto, Field::DestinationPort];
        rules.push(Rule::of(family).dnat_by(family, &at, &of(PORTS_AT, family), true));
        rules.push(Rule::of(family).dnat_by(family, &port, &of(PORTS, family), true));
        rules.push(Rule::of(family).dnat_by(family, &at, &of(RANGES_AT, family), false));
        rules.push(Rule::of(family).dnat_by(family, &port, &of(RANGES, family), false));
    }
    Chain { name: "publish", base: None, rules }
}

fn arriving(shape: &Shape) -> Chain {
    let rule = match shape.admitted_from() {
        Some(link) => Rule::new().arrived_by(link),
        None => Rule::new(),
    };
    let mut rules = vec![rule.destined_here().verdict(Verdict::Jump("publish"))];
    if let Some(link) = shape.back().filter(|_| shape.localhost6) {
        let near =
            Rule::of(Family::V6).arrived_by(link).equals(Field::Destination(Family::V6), &NEAR.octets());
        rules.push(near.verdict(Verdict::Jump("publish")));
    }
    Chain { name: "arriving", base: base(Kind::Nat, Hook::Prerouting, -100), rules }
}

/// What the host's own input rules have let through to a published port.
fn admitted(link: &str) -> Chain {
    let mut rules = vec![
        Rule::new().by_loopback().accept(),
        // What comes back untranslated would go round and round.
        Rule::new().arrived_by(link).accept(),
    ];
    for family in Family::BOTH {
        let port = [Field::L4proto, Field::DestinationPort];
        let at = [Field::Destination(family), Field::L4proto, Field::DestinationPort];
        let new = || Rule::of(family).state(NEW).destined_here();
        rules.push(new().within(&at, &of(ASKED_AT, family)).set_mark(ADMITTED));
        rules.push(new().within(&port, &of(ASKED, family)).set_mark(ADMITTED));
    }
    Chain { name: "admitted", base: base(Kind::Filter, Hook::Input, super::honest::PRIORITY), rules }
}

/// The host's own connections to published ports. Those to `::1` take the way round by the pair.
fn output(shape: &Shape) -> Chain {
    let to_loopback = || Rule::of(Family::V6).equals(Field::Destination(Family::V6), &loopback6());
    let mut rules = Vec::new();
    if shape.localhost6 {
        let port = [Field::L4proto, Field::DestinationPort];
        let published = to_loopback().within(&port, &of(LOCALHOST, Family::V6));
        rules.push(published.dnat_to(Family::V6, &NEAR.octets()));
    }
    rules.push(to_loopback().verdict(Verdict::Return));
    rules.push(Rule::new().destined_here().verdict(Verdict::Jump("publish")));
    Chain { name: "output", base: base(Kind::Nat, Hook::Output, -100), rules }
}

/// Containers of a network that is cut off reach the host only by its address on that network, and not what the host
/// only passes on to containers of other networks.
fn from_internal() -> Chain {
    let relayed = Rule::of(Family::V6)
        .within(&[Field::L4proto, Field::DestinationPort], &of(RELAYED, Family::V6))
        .drop()
        .comment("relayed to other networks");
    let relayed_at = Rule::of(Family::V6).within(
        &[Field::Destination(Family::V6), Field::L4proto, Field::DestinationPort],
        &of(RELAYED_AT, Family::V6),
    );
    let mut rules = vec![Rule::new().state(KNOWN).verdict(Verdict::Return), relayed, relayed_at.drop()];
    for family in Family::BOTH {
        let destination = Field::Destination(family);
        rules.push(
            Rule::of(family)
                .within(&[Field::InName, destination], &of(MEMBERS, family))
                .verdict(Verdict::Return),
        );
        let (multicast, prefix) = multicast(family);
        rules.push(Rule::of(family).prefixed(destination, multicast, prefix).verdict(Verdict::Return));
    }
    rules.push(
        Rule::of(Family::V6)
            .prefixed(Field::Destination(Family::V6), &link_local(), 10)
            .verdict(Verdict::Return),
    );
    rules.push(Rule::new().drop());
    Chain { name: "from_internal", base: None, rules }
}

fn input() -> Chain {
    let rules = vec![Rule::new().within(&[Field::InName], INTERNAL).verdict(Verdict::Jump("from_internal"))];
    Chain { name: "input", base: base(Kind::Filter, Hook::Input, 0), rules }
}

/// Forwarded packets that come from a network or go to one. Frames between two ports of a bridge come here too where
/// the kernel hands bridged frames to the firewall (br_netfilter).
fn ours(shape: &Shape) -> Chain {
    let opened = |family| {
        let at = [Field::Destination(family), Field::L4proto, Field::DestinationPort];
        Rule::of(family).within(&at, &of(OPENED, family)).accept()
    };
    let mut rules = vec![
        Rule::new().state(KNOWN).accept(),
        Rule::new().within(&[Field::InName, Field::OutName], NEIGHBOURS).accept().comment("among members"),
        Rule::new().state(INVALID).drop(),
        Rule::new().within(&[Field::InName], INTERNAL).drop().comment("out of a network that is cut off"),
        Rule::new().within(&[Field::OutName], INTERNAL).drop().comment("into a network that is cut off"),
        Rule::new().status(DNAT).accept().comment("published"),
        opened(Family::V4),
        opened(Family::V6),
        Rule::new().within(&[Field::OutName], UNPROTECTED).accept(),
        Rule::new().within(&[Field::OutName], BRIDGES).drop().comment("not published"),
    ];
    if shape.regard.marked {
        let elsewhere = Rule::new().equals(Field::OutKind, &interface_name("bridge"));
        rules.push(elsewhere.clear_mark(OURS).comment("into another's bridge: its rules decide"));
    }
    rules.push(Rule::new().accept().comment("going out"));
    Chain { name: "ours", base: None, rules }
}

/// `guarded`: forwarding was off before we came, so what could not be forwarded then still isn't. Hardware never has a
/// kind; a link with one that isn't known was made by a program since.
fn forward(shape: &Shape) -> Chain {
    let marked = |rule: Rule| if shape.regard.marked { rule.set_mark(OURS) } else { rule };
    let out = Rule::new().within(&[Field::InName], BRIDGES);
    let mut rules = [seen(), out].map(|rule| marked(rule).verdict(Verdict::Goto("ours"))).to_vec();
    for &family in &shape.guarded {
        let known = of(GUARDED, family);
        let among_ports = Rule::of(family).within(&[Field::InName, Field::OutName], BRIDGED);
        let among_known = Rule::of(family).within(&[Field::InName], &known).within(&[Field::OutName], &known);
        let why = only_for_containers(family);
        rules.extend([
            among_ports.accept().comment("frames that stay on their bridge"),
            among_known.drop().comment(why),
            Rule::of(family).has_kind(Field::InKind).accept().comment("by a link made since"),
            Rule::of(family).has_kind(Field::OutKind).accept().comment("by a link made since"),
            Rule::of(family).drop().comment(why),
        ]);
    }
    // Before others' rules, which may ask for the mark.
    Chain { name: "forward", base: base(Kind::Filter, Hook::Forward, -5), rules }
}

/// After everybody's rules for what is forwarded: nobody else has to know the mark. Only where a rule asks for it.
fn forwarded() -> Chain {
    let unmark = |field| Rule::new().within(&[field], BRIDGES).clear_mark(OURS);
    let rules = vec![unmark(Field::InName), unmark(Field::OutName)];
    Chain { name: "forwarded", base: base(Kind::Filter, Hook::Forward, 300), rules }
}

/// The program on the bridge lets pass what was here.
fn seen() -> Rule {
    Rule::new()
        .equals(Field::OutKind, &interface_name("bridge"))
        .within(&[Field::OutName], BRIDGES)
        .set_priority(SEEN)
}

/// After others who set priorities: what gets this far was let through by the forward chain, which isn't there without
/// this one.
fn departing() -> Chain {
    Chain { name: "departing", base: base(Kind::Filter, Hook::Postrouting, 1000), rules: vec![seen()] }
}

fn only_for_containers(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4 is forwarded for containers only",
        Family::V6 => "IPv6 is forwarded for containers only",
    }
}

/// The families for which a table (its rules as the kernel has them) forwards for containers only.
pub(crate) fn guarded(parts: &[Vec<u8>]) -> BTreeSet<Family> {
    let says = |part: &Vec<u8>, comment: &str| {
        part.windows(comment.len()).any(|window| window == comment.as_bytes())
    };
    let is_guarded = |family: &Family| parts.iter().any(|part| says(part, only_for_containers(*family)));
    Family::BOTH.into_iter().filter(is_guarded).collect()
}

/// Sources: the host's own for what leaves a network, the bridge's where the answer would not come back otherwise.
fn leaving(shape: &Shape) -> Chain {
    let mut rules = Vec::new();
    if let Some(pair) = shape.pair.as_ref().filter(|_| shape.localhost6) {
        let source = Field::Source(Family::V6);
        let around = Rule::of(Family::V6).departs_by(&pair.out).equals(source, &loopback6());
        rules.push(around.snat_to(Family::V6, &FAR.octets()));
        let second = Rule::of(Family::V6).within(&[Field::OutName], BRIDGES).equals(source, &FAR.octets());
        rules.push(second.masquerade().comment("from localhost to a published port"));
    }
    for family in Family::BOTH {
        let source = Field::Source(family);
        let members = of(MEMBERS, family);
        rules.push(
            Rule::of(family)
                .status(DNAT)
                .within(&[Field::OutName, source], &members)
                .masquerade()
                .comment("to a published port of a neighbour, or its own"),
        );
        if family == Family::V4 {
            let from_loopback = Rule::of(family).within(&[Field::OutName], BRIDGES);
            rules.push(
                from_loopback
                    .prefixed(source, &[127, 0, 0, 0], 8)
                    .masquerade()
                    .comment("from localhost to a published port"),
            );
        }
        rules.push(Rule::of(family).within(&[Field::OutName, source], &members).verdict(Verdict::Return));
        rules.push(
            Rule::of(family).within(&[source], &of(MASQUERADED, family)).masquerade().comment("going out"),
        );
    }
    Chain { name: "leaving", base: base(Kind::Nat, Hook::Postrouting, 100), rules }
}
