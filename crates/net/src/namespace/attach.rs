//! An interface put into a namespace, in these steps: the neighbours are told, the link is made with its far end in
//! the namespace already under its final name, its parameters are set, then it gets its addresses and comes up. When a
//! step fails the link is removed.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use boxship_sys::Errno;
use ipnet::IpNet;

use super::{Attachment, Kind, Namespace};
use crate::link::Links;
use crate::netlink::Message;
use crate::rtnetlink::link::{
    self, IFLA_ADDRESS, IFLA_IFALIAS, IFLA_LINK, IFLA_MASTER, IFLA_MTU, IFLA_NET_NS_FD, Link,
};
use crate::rtnetlink::{address, route};
use crate::{Error, MacAddress, Result, sysctl};

pub(super) fn attach(namespace: &Namespace, host: &Links, attachment: &Attachment) -> Result<()> {
    link::check_name(&attachment.name)?;
    let parameters = parameters(attachment)?;
    make(namespace, host, attachment)?;
    let done = set_up(namespace, host, attachment, &parameters);
    if done.is_err() {
        // Both ends of a cable go when one does.
        if let Err(error) = crate::link::remove(&namespace.connection, &attachment.name) {
            tracing::warn!(interface = attachment.name, %error, "half-made interface not removed");
        }
    }
    done
}

/// Makes the link: nothing is there yet that could be left.
fn make(namespace: &Namespace, host: &Links, attachment: &Attachment) -> Result<()> {
    let inside = namespace.fd.as_fd();
    let made = match &attachment.kind {
        Kind::Veth { host_name, bridge, .. } => {
            link::check_name(host_name)?;
            let bridge = on_host(host, bridge)?;
            if bridge.kind != "bridge" {
                return Err(Error::Invalid(format!("interface {} is no bridge", bridge.name)));
            }
            if let Some(mac) = attachment.mac {
                host.announce(bridge.index, mac, attachment.addresses.iter().map(IpNet::addr));
            }
            host.connection.order(veth(attachment, host_name, &bridge, inside))
        }
        Kind::Macvlan { parent, mode } => {
            let mode = macvlan_mode(mode)?;
            host.connection.order(macvlan(attachment, &on_host(host, parent)?, mode, inside))
        }
        Kind::Ipvlan { parent, mode, flag } => {
            let mode = ipvlan_mode(mode, flag)?;
            host.connection.order(ipvlan(attachment, &on_host(host, parent)?, mode, inside))
        }
    };
    made.map_err(|error| explain(namespace, attachment, error))
}

/// The kernel does not tell which of two names is taken, nor what kind of link it does not know.
fn explain(namespace: &Namespace, attachment: &Attachment, error: Error) -> Error {
    let errno = error.errno();
    let taken_inside =
        || link::by_name(&namespace.connection, &attachment.name).is_ok_and(|found| found.is_some());
    if errno == Some(Errno::EXIST) && taken_inside() {
        return Error::Refused {
            operation: "make interface",
            object: attachment.name.clone(),
            errno: Errno::EXIST,
            detail: "the container has an interface of that name".into(),
        };
    }
    if errno == Some(Errno::OPNOTSUPP) {
        let kind = match attachment.kind {
            Kind::Veth { .. } => "veth",
            Kind::Macvlan { .. } => "macvlan",
            Kind::Ipvlan { .. } => "ipvlan",
        };
        return Error::Invalid(format!("kernel does not support {kind} interfaces"));
    }
    error
}

fn on_host(host: &Links, name: &str) -> Result<Link> {
    let missing = || Error::Invalid(format!("no interface {name} on the host"));
    link::by_name(&host.connection, name)?.ok_or_else(missing)
}

fn veth(attachment: &Attachment, host_name: &str, bridge: &Link, inside: BorrowedFd<'_>) -> Message {
    let mtu = if attachment.mtu == 0 { bridge.mtu } else { attachment.mtu };
    let mut message = link::create(host_name, "veth", |data| {
        link::peer(data, &attachment.name, |peer| {
            end_inside(peer, attachment.mac, mtu, inside);
        });
    });
    message.u32(IFLA_MASTER, bridge.index).u32(IFLA_MTU, mtu);
    message
}

fn macvlan(attachment: &Attachment, parent: &Link, mode: u32, inside: BorrowedFd<'_>) -> Message {
    const IFLA_MACVLAN_MODE: u16 = 1;
    let mut message = link::create(&attachment.name, "macvlan", |data| {
        data.u32(IFLA_MACVLAN_MODE, mode);
    });
    message.u32(IFLA_LINK, parent.index);
    end_inside(&mut message, attachment.mac, attachment.mtu, inside);
    message
}

fn ipvlan(attachment: &Attachment, parent: &Link, mode: IpvlanMode, inside: BorrowedFd<'_>) -> Message {
    const IFLA_IPVLAN_MODE: u16 = 1;
    const IFLA_IPVLAN_FLAGS: u16 = 2;
    let mut message = link::create(&attachment.name, "ipvlan", |data| {
        data.u16(IFLA_IPVLAN_MODE, mode.mode).u16(IFLA_IPVLAN_FLAGS, mode.flags);
    });
    message.u32(IFLA_LINK, parent.index);
    end_inside(&mut message, None, attachment.mtu, inside);
    message
}

fn end_inside(message: &mut Message, mac: Option<MacAddress>, mtu: u32, inside: BorrowedFd<'_>) {
    if let Some(mac) = mac {
        message.bytes(IFLA_ADDRESS, &mac.0);
    }
    if mtu != 0 {
        message.u32(IFLA_MTU, mtu);
    }
    message.u32(IFLA_NET_NS_FD, inside.as_raw_fd().unsigned_abs());
}

fn macvlan_mode(mode: &str) -> Result<u32> {
    match mode {
        "private" => Ok(1),
        "vepa" => Ok(2),
        "" | "bridge" => Ok(4),
        "passthru" => Ok(8),
        _ => Err(Error::Invalid(format!("requested macvlan mode '{mode}' is not valid"))),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct IpvlanMode {
    mode: u16,
    flags: u16,
}

fn ipvlan_mode(mode: &str, flag: &str) -> Result<IpvlanMode> {
    let mode = match mode {
        "" | "l2" => 0,
        "l3" => 1,
        "l3s" => 2,
        _ => return Err(Error::Invalid(format!("requested ipvlan mode '{mode}' is not valid"))),
    };
    let flags = match flag {
        "" | "bridge" => 0,
        "private" => 1,
        "vepa" => 2,
        _ => return Err(Error::Invalid(format!("requested ipvlan flag '{flag}' is not valid"))),
    };
    Ok(IpvlanMode { mode, flags })
}

/// What comes after the link is there: parameters, the host's end, addresses, up.
fn set_up(
    namespace: &Namespace,
    host: &Links,
    attachment: &Attachment,
    parameters: &[Parameter<'_>],
) -> Result<()> {
    let name = attachment.name.as_str();
    namespace.run(|| set_parameters(parameters))??;
    if let Kind::Veth { host_name, isolated, .. } = &attachment.kind {
        host.connection.batch(&mut host_end(host_name, &attachment.alias, *isolated))?;
    }
    let vanished = || Error::Invalid(format!("interface {name} vanished while it was set up"));
    let link = link::by_name(&namespace.connection, name)?.ok_or_else(vanished)?;
    // The kernel refuses addresses of a family that was turned off.
    let without_v6 = parameters.iter().rfind(|parameter| parameter.name[3] == "disable_ipv6");
    let without_v6 = without_v6.is_some_and(|parameter| parameter.value != "0");
    let mut addresses = attachment.addresses.clone();
    addresses.retain(|net| !(without_v6 && matches!(net, IpNet::V6(_))));
    let mut orders: Vec<_> = addresses.iter().map(|net| address::add(name, link.index, *net)).collect();
    orders.push(link::change(name, Some(true)));
    namespace.connection.batch(&mut orders)?;
    wait_until_usable(namespace, host, &attachment.kind, &addresses);
    Ok(())
}

/// Two things are left to workers of the kernel. Until one has noted that a cable has two ends the bridge drops what
/// comes through; until another has finished with an IPv6 address the container drops what is sent to it. Who asks for
/// a neighbour in that moment gets no answer and asks again only a second later. Mostly both are done by now: newer
/// kernels note the ends of a cable when it is looked at.
fn wait_until_usable(namespace: &Namespace, host: &Links, kind: &Kind, addresses: &[IpNet]) {
    let passes =
        |name: &str| !matches!(link::by_name(&host.connection, name), Ok(Some(link)) if !link.passes);
    if let Kind::Veth { host_name, bridge, .. } = kind {
        // A first port plugs in the bridge, hence the order.
        look_until(|| passes(host_name));
        look_until(|| passes(bridge));
    }
    let v6 = addresses.iter().map(IpNet::addr).filter(|address| address.is_ipv6());
    v6.for_each(|address| look_until(|| route::is_local(&namespace.connection, address)));
}

/// Looks until something is so, for ten milliseconds at most: a bridge that the administrator has put down stays so.
fn look_until(is_so: impl Fn() -> bool) {
    for _ in 0..50 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The host's end as a port of the bridge: marked, without addresses, then up.
fn host_end(name: &str, alias: &str, isolated: bool) -> [Message; 2] {
    let mut port = link::change(name, None);
    port.bytes(IFLA_IFALIAS, alias.as_bytes());
    // What is translated to the port it came from goes back through it (a container that asks for its own published
    // port), which the bridge itself does where it shows its packets to the firewall (br_netfilter).
    link::bridge_port(&mut port, true, isolated);
    link::without_link_local(&mut port);
    [port, link::change(name, Some(true))]
}

/// A parameter of the interface and its value.
#[derive(Debug, PartialEq, Eq)]
struct Parameter<'a> {
    name: [&'a str; 4],
    value: &'a str,
    /// Whether the kernel must have it.
    needed: bool,
}

/// The parameters to set: those that follow from the attachment first, so that those asked for have the last word.
fn parameters(attachment: &Attachment) -> Result<Vec<Parameter<'_>>> {
    let v6 = attachment.addresses.iter().any(|net| matches!(net, IpNet::V6(_)));
    let own = |group, parameter, value, needed| Parameter {
        name: [group, "conf", attachment.name.as_str(), parameter],
        value,
        needed,
    };
    let mut parameters = vec![own("ipv6", "disable_ipv6", if v6 { "0" } else { "1" }, v6)];
    if matches!(attachment.kind, Kind::Veth { .. }) {
        // Addresses and routes on a bridge are the engine's to give: a neighbour that advertises itself as a router
        // would become everybody's way out.
        parameters.push(own("ipv6", "accept_ra", "0", false));
    } else {
        // Nobody on the host can speak for it on the parent's network: the kernel does when it comes up.
        parameters.push(own("ipv4", "arp_notify", "1", false));
        if v6 {
            parameters.push(own("ipv6", "ndisc_notify", "1", false));
        }
    }
    for (key, value) in &attachment.sysctls {
        parameters.push(Parameter {
            name: sysctl::of_interface(key, &attachment.name)?,
            value,
            needed: true,
        });
    }
    Ok(parameters)
}

fn set_parameters(parameters: &[Parameter<'_>]) -> Result<()> {
    for Parameter { name, value, needed } in parameters {
        if !sysctl::set(name, value)? && *needed {
            return Err(Error::Invalid(format!("the kernel has no parameter net.{}", name.join("."))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::attachment;
    use super::*;

    #[test]
    fn modes_are_the_kernels_numbers() {
        for (mode, number) in [("", 4), ("bridge", 4), ("private", 1), ("vepa", 2), ("passthru", 8)] {
            assert_eq!(macvlan_mode(mode).unwrap(), number);
        }
        assert!(macvlan_mode("source").is_err());
        for (mode, flag, expect) in
            [("", "", (0, 0)), ("l2", "bridge", (0, 0)), ("l3", "private", (1, 1)), ("l3s", "vepa", (2, 2))]
        {
            let read = ipvlan_mode(mode, flag).unwrap();
            assert_eq!((read.mode, read.flags), expect);
        }
        assert!(ipvlan_mode("l4", "").is_err());
        assert!(ipvlan_mode("l2", "x").is_err());
    }

    /// Not every kernel has ipvlan, so what is written is read back.
    #[test]
    fn ipvlan_is_written_as_the_kernel_reads_it() {
        let parent = Link { index: 7, name: "up0".into(), ..Link::default() };
        let mode = ipvlan_mode("l3s", "private").unwrap();
        let descriptor = std::fs::File::open("/proc/self/ns/net").unwrap();
        let mut attachment = attachment("eth0", &[]);
        attachment.mtu = 1400;
        let bytes = ipvlan(&attachment, &parent, mode, descriptor.as_fd()).encoded();
        let message = crate::netlink::messages(&bytes).next().unwrap();
        // RTM_NEWLINK; REQUEST, EXCL, CREATE.
        assert_eq!((message.kind, message.flags), (16, 0x601));
        let attributes = message.attributes(16);
        let number = |kind| attributes.find(kind).and_then(|attribute| attribute.u32());
        assert_eq!(attributes.find(3).unwrap().text(), Some("eth0"));
        assert_eq!((number(IFLA_LINK), number(IFLA_MTU)), (Some(7), Some(1400)));
        assert_eq!(number(IFLA_NET_NS_FD), Some(descriptor.as_raw_fd() as u32));
        assert!(attributes.find(IFLA_ADDRESS).is_none(), "it has its parent's");
        let info = attributes.find(18).unwrap().nested();
        assert_eq!(info.find(1).unwrap().text(), Some("ipvlan"));
        let data = info.find(2).unwrap().nested();
        assert_eq!(data.find(1).unwrap().u16(), Some(2));
        assert_eq!(data.find(2).unwrap().u16(), Some(1));
    }

    #[test]
    fn what_is_asked_for_has_the_last_word() {
        let mut attachment = attachment("eth0", &["10.0.0.2/24", "fd00::2/64"]);
        attachment.sysctls = vec![("net.ipv6.conf.IFNAME.disable_ipv6".into(), "1".into())];
        let values: Vec<_> = parameters(&attachment).unwrap().iter().map(|p| (p.name[3], p.value)).collect();
        assert_eq!(values, [("disable_ipv6", "0"), ("accept_ra", "0"), ("disable_ipv6", "1")]);
        attachment.addresses.pop();
        assert_eq!(parameters(&attachment).unwrap()[0].value, "1");
    }
}
