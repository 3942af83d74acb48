//! Where packets go that no other route takes.

use std::net::IpAddr;

use boxship_sys::Errno;

use super::DefaultRoute;
use crate::netlink::Connection;
use crate::rtnetlink::{link, route};
use crate::{Error, Result};

/// Makes `wanted` the only default route of its family, but for those the kernel learned from routers.
pub(super) fn set(connection: &Connection, v6: bool, wanted: Option<&DefaultRoute>) -> Result<()> {
    let old = route::list(connection, v6)?.into_iter().filter(route::Route::is_set_default);
    let Some(wanted) = wanted else { return remove(connection, old) };
    let name = wanted.interface.as_str();
    if wanted.gateway.is_some_and(|gateway| gateway.is_ipv6() != v6) {
        return Err(Error::Invalid(format!("the default gateway on {name} is of the wrong family")));
    }
    let missing = || Error::Invalid(format!("no interface {name} for the default route"));
    let index = link::by_name(connection, name)?.ok_or_else(missing)?.index;
    let old = old.filter(|route| (route.link, route.gateway) != (Some(index), wanted.gateway));
    // Those without a gateway go first: the order to remove one would be taken to mean the new one just as well.
    let (with_gateway, without): (Vec<_>, Vec<_>) = old.partition(|route| route.gateway.is_some());
    remove(connection, without.into_iter())?;
    replace(connection, name, index, v6, wanted.gateway)?;
    remove(connection, with_gateway.into_iter())
}

fn remove(connection: &Connection, mut routes: impl Iterator<Item = route::Route>) -> Result<()> {
    routes.try_for_each(|route| match connection.order(route::remove_default(&route)) {
        // The new one has taken its place already.
        Err(error) if error.errno() == Some(Errno::SRCH) => Ok(()),
        done => done,
    })
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
