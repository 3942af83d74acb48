//! Whether the host is a router.

use crate::netlink::Connection;
use crate::rtnetlink::link;
use crate::{Result, sysctl};

/// Turns forwarding on where it is off; `true`: it was off.
pub(super) fn ensure(connection: &Connection, v6: bool) -> Result<bool> {
    let name: &sysctl::Name<'_> =
        if v6 { &["ipv6", "conf", "all", "forwarding"] } else { &["ipv4", "ip_forward"] };
    match sysctl::read(name)?.as_deref() {
        // A kernel without IPv6 forwards none.
        None => return Ok(false),
        Some("0") => {}
        Some(_) => return Ok(false),
    }
    if v6 {
        keep_advertised_routes(connection)?;
    }
    sysctl::write(name, "1")?;
    Ok(true)
}

/// A router takes no advice from other routers unless told to: a host that has its default route from an advertisement
/// would lose it. Links that take advice now go on doing so (`accept_ra` 2).
fn keep_advertised_routes(connection: &Connection) -> Result<()> {
    for link in link::list(connection, false)?.iter().filter(|link| !link.loopback) {
        let name = ["ipv6", "conf", &link.name, "accept_ra"];
        let router = ["ipv6", "conf", &link.name, "forwarding"];
        if sysctl::read(&name)?.as_deref() == Some("1") && sysctl::read(&router)?.as_deref() == Some("0") {
            // A link that went away meanwhile needs none.
            sysctl::set(&name, "2")?;
        }
    }
    Ok(())
}
