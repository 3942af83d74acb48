//! A bridge made or repaired: what is right already is left alone, what is somebody else's is refused.

use boxship_sys::Errno;
use ipnet::IpNet;

use super::Bridge;
use crate::netlink::Connection;
use crate::rtnetlink::address;
use crate::rtnetlink::link::{self, IFLA_ADDRESS, IFLA_IFALIAS, IFLA_MTU, Link};
use crate::{Error, MacAddress, Result, sysctl};

pub(super) fn ensure(connection: &Connection, bridge: &Bridge) -> Result<()> {
    let name = bridge.name.as_str();
    link::check_name(name)?;
    let link = match link::by_name(connection, name)? {
        Some(link) => link,
        None if bridge.foreign => {
            return Err(Error::Invalid(format!("bridge {name} does not exist")));
        }
        None => make(connection, bridge)?,
    };
    check(bridge, &link)?;
    if bridge.foreign {
        return set(&["ipv4", "conf", name, "route_localnet"], "1");
    }
    parameters(bridge)?;
    set_addresses(connection, bridge, link.index)?;
    bring_up(connection, bridge, &link)
}

fn make(connection: &Connection, bridge: &Bridge) -> Result<Link> {
    let mut message = link::create(&bridge.name, "bridge", |_| {});
    // An address of its own: a bridge without takes the lowest of its ports, and so changes it when they come and go.
    message.bytes(IFLA_ADDRESS, &own_mac(bridge).0);
    if bridge.mtu != 0 {
        message.u32(IFLA_MTU, bridge.mtu);
    }
    match connection.order(message) {
        // Made meanwhile: the check that follows tells whose it is.
        Err(error) if error.errno() == Some(Errno::EXIST) => {}
        done => done?,
    }
    let vanished = || Error::Invalid(format!("bridge {} was removed while it was made", bridge.name));
    link::by_name(connection, &bridge.name)?.ok_or_else(vanished)
}

/// A hardware address that follows from name and owner, so that a bridge made anew is the same to its neighbours. It
/// also tells our own bridge that has not got its mark yet.
fn own_mac(bridge: &Bridge) -> MacAddress {
    // FNV-1a: any hash that never changes will do.
    let bytes = bridge.alias.bytes().chain(bridge.name.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let [a, b, c, d, ..] = (hash ^ (hash >> 32)).to_le_bytes();
    MacAddress([0x02, 0x42, a, b, c, d])
}

fn check(bridge: &Bridge, link: &Link) -> Result<()> {
    let name = &bridge.name;
    if link.kind != "bridge" {
        return Err(Error::Invalid(format!("interface {name} exists and is no bridge")));
    }
    let ours = link.alias == bridge.alias || (link.alias.is_empty() && link.mac == Some(own_mac(bridge)));
    if !ours && !bridge.foreign {
        return Err(Error::Invalid(format!("bridge {name} exists and belongs to somebody else")));
    }
    Ok(())
}

/// The parameters that differ from the kernel's, before the bridge is up: neighbours can't use the gap.
fn parameters(bridge: &Bridge) -> Result<()> {
    let name = bridge.name.as_str();
    let v6 = bridge.addresses.iter().any(|net| matches!(net, IpNet::V6(_)));
    // Without IPv6 of its own the host must not be reachable through the bridge by addresses of the link.
    if !sysctl::set(&["ipv6", "conf", name, "disable_ipv6"], if v6 { "0" } else { "1" })? && v6 {
        return Err(Error::Invalid(format!("bridge {name} is to have IPv6, which this kernel lacks")));
    }
    // Containers must not tell the host its routes (CVE-2020-13401).
    sysctl::set(&["ipv6", "conf", name, "accept_ra"], "0")?;
    // Ports published at 127.0.0.1 lead out through the bridge.
    set(&["ipv4", "conf", name, "route_localnet"], "1")?;
    // What comes through it has the source of a container, which the firewall's table sees to; this holds without it.
    if bridge.addresses.iter().any(|net| matches!(net, IpNet::V4(_))) {
        set(&["ipv4", "conf", name, "rp_filter"], "1")?;
    }
    // The host's decision to forward holds for a bridge made after it too, whatever the default for new links is.
    if sysctl::read(&["ipv4", "ip_forward"])?.as_deref() == Some("1") {
        set(&["ipv4", "conf", name, "forwarding"], "1")?;
    }
    if v6 && sysctl::read(&["ipv6", "conf", "all", "forwarding"])?.as_deref() == Some("1") {
        set(&["ipv6", "conf", name, "forwarding"], "1")?;
    }
    Ok(())
}

fn set(name: &sysctl::Name<'_>, value: &str) -> Result<()> {
    sysctl::set(name, value).map(drop)
}

/// Its addresses are exactly these, but for those the kernel gave it.
fn set_addresses(connection: &Connection, bridge: &Bridge, index: u32) -> Result<()> {
    let wanted = &bridge.addresses;
    let current = || {
        let found = address::list(connection, Some(index))?.into_iter();
        let kept = found.filter(|found| !found.link_local || wanted.contains(&found.net));
        Ok::<_, Error>(kept.map(|found| found.net).collect::<Vec<_>>())
    };
    let mut has = current()?;
    let wrong: Vec<_> = has.iter().filter(|net| !wanted.contains(net)).copied().collect();
    if !wrong.is_empty() {
        for net in wrong {
            match connection.order(address::remove(&bridge.name, index, net)) {
                Err(error) if error.errno() == Some(Errno::ADDRNOTAVAIL) => {}
                done => done?,
            }
        }
        // With the first address of a subnet its others go too.
        has = current()?;
    }
    let missing = wanted.iter().filter(|net| !has.contains(net));
    let mut orders: Vec<_> = missing.map(|net| address::add(&bridge.name, index, *net)).collect();
    connection.batch(&mut orders)
}

fn bring_up(connection: &Connection, bridge: &Bridge, link: &Link) -> Result<()> {
    let mtu = (bridge.mtu != 0 && bridge.mtu != link.mtu).then_some(bridge.mtu);
    if link.up && link.alias == bridge.alias && mtu.is_none() {
        return Ok(());
    }
    let mut message = link::change(&bridge.name, Some(true));
    message.bytes(IFLA_IFALIAS, bridge.alias.as_bytes());
    if let Some(mtu) = mtu {
        message.u32(IFLA_MTU, mtu);
    }
    connection.order(message)
}
