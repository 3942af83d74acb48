//! Where packets go that no other route takes.

use std::net::IpAddr;

use boxship_sys::Errno;

use super::DefaultRoute;
use crate::netlink::Connection;
use crate::rtnetlink::{link, route};
use crate::{Error, Result};

/// Makes `wanted` the only default route of its family, but for those the kernel learned from routers.
pub(super) fn set(connection: &Connection, v6: bool, wanted: Option<&DefaultRoute>) -> Result<()> {
    let mut old: Vec<_> =
        route::list(connection, v6)?.into_iter().filter(route::Route::is_set_default).collect();
    if let Some(wanted) = wanted {
        let name = wanted.interface.as_str();
        let missing = || Error::Invalid(format!("no interface {name} for the default route"));
        let index = link::by_name(connection, name)?.ok_or_else(missing)?.index;
        if wanted.gateway.is_some_and(|gateway| gateway.is_ipv6() != v6) {
            return Err(Error::Invalid(format!("the default gateway on {name} is of the wrong family")));
        }
        replace(connection, name, index, v6, wanted.gateway)?;
        old.retain(|route| (route.link, route.gateway) != (Some(index), wanted.gateway));
    }
    for route in &old {
        match connection.order(route::remove_default(route)) {
            // The new one may have taken its place already.
            Err(error) if error.errno() == Some(Errno::SRCH) => {}
            done => done?,
        }
    }
    Ok(())
}

/// A gateway outside the interface's own networks is taken to be on the link all the same.
fn replace(connection: &Connection, name: &str, link: u32, v6: bool, gateway: Option<IpAddr>) -> Result<()> {
    match connection.order(route::set_default(name, link, v6, gateway, false)) {
        Err(error) if gateway.is_some() && is_out_of_reach(&error) => {
            connection.order(route::set_default(name, link, v6, gateway, true))
        }
        done => done,
    }
}

fn is_out_of_reach(error: &Error) -> bool {
    matches!(error.errno(), Some(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::INVAL))
}
