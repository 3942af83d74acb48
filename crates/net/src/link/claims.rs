//! Who else of the host has addresses: its own on every link, and the networks it has routes to. And hearing of new
//! ones, on a thread that ends when nobody listens any more.

use boxship_sys::Errno;
use boxship_sys::netlink::{RECEIVE_BUFFER, Socket};
use ipnet::IpNet;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Links, is_of_link};
use crate::netlink::{Protocol, messages};
use crate::rtnetlink::{address, link, route};
use crate::{Error, Result};

const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_IPV4_ROUTE: u32 = 7;
const RTNLGRP_IPV6_IFADDR: u32 = 9;
const RTNLGRP_IPV6_ROUTE: u32 = 11;
/// How long the thread outlives its listener at most.
const GLANCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// An address of the host, or a network it has a route to; none that exist on every link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address with its prefix, or the route's destination.
    pub net: IpNet,
    /// The link it is on or leads through; empty: none (a route that shuts the network off).
    pub link: String,
    /// It is a route.
    pub is_route: bool,
}

/// What a listener hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The host got this address, or a route to this network.
    Claimed(IpNet),
    /// Notices were lost: anything may have come.
    Unknown,
    /// Nothing happened for a while.
    Nothing,
}

impl Links {
    /// The host's own addresses, and the networks its routes lead to; default routes and those that follow from
    /// addresses are left out.
    pub fn claims(&self) -> Result<Vec<Claim>> {
        let links = link::list(&self.connection, false)?;
        let name = |index: u32| links.iter().find(|link| link.index == index).map(|link| link.name.clone());
        let addresses = address::list(&self.connection, None)?;
        let own = addresses.iter().filter(|own| !is_of_link(&own.net));
        let own: Vec<_> = own
            .map(|own| Claim { net: own.net, link: name(own.index).unwrap_or_default(), is_route: false })
            .collect();
        // The kernel makes a route for each address. A router has very many routes, and few addresses.
        let follows = |claim: &Claim| {
            own.iter().any(|own| own.link == claim.link && own.net.trunc() == claim.net.trunc())
        };
        let mut routed = Vec::new();
        for v6 in [false, true] {
            let routes = route::list(&self.connection, v6)?.into_iter().filter(is_claim);
            let claims = routes.map(|route| Claim {
                net: route.destination,
                link: route.link.and_then(name).unwrap_or_default(),
                is_route: true,
            });
            routed.extend(claims.filter(|claim| !follows(claim)));
        }
        Ok([own, routed].concat())
    }

    /// Has `hear` told of addresses and routes that come, on a thread of its own in the calling thread's network
    /// namespace, until it answers `false`; every few seconds it is asked whether it still listens.
    pub fn watch(hear: impl FnMut(News) -> bool + Send + 'static) -> Result<()> {
        let groups = [RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE];
        let socket = Socket::listen(Protocol::Route, &groups).map_err(|source| Error::Kernel {
            operation: "listen to",
            object: "addresses and routes".into(),
            source,
        })?;
        let thread = std::thread::Builder::new().name("links-watch".into());
        let spawned = thread.spawn(move || keep_watch(&socket, hear));
        spawned.map(drop).map_err(|error| Error::Invalid(format!("start links-watch: {error}")))
    }
}

/// Whether it leads to a network of somebody's.
fn is_claim(route: &route::Route) -> bool {
    // A tunnel that takes everything does so by two routes to one half of all addresses each.
    route.is_of_network() && route.destination.prefix_len() > 1 && !is_of_link(&route.destination)
}

fn keep_watch(socket: &Socket, mut hear: impl FnMut(News) -> bool) {
    let mut buffer = vec![0; RECEIVE_BUFFER];
    loop {
        let mut waiting = [PollFd::new(socket, PollFlags::IN)];
        let ready = matches!(poll(&mut waiting, Some(&GLANCE)), Ok(1..));
        let listens = match ready.then(|| socket.receive(&mut buffer)) {
            None => hear(News::Nothing),
            Some(Ok(length)) => {
                news(buffer.get(..length).unwrap_or_default()).all(|net| hear(News::Claimed(net)))
            }
            Some(Err(error)) if error.errno == Errno::AGAIN => true,
            Some(Err(_)) => hear(News::Unknown),
        };
        if !listens {
            return;
        }
    }
}

/// What came, in a datagram of notices.
fn news(datagram: &[u8]) -> impl Iterator<Item = IpNet> {
    messages(datagram).filter_map(|message| {
        let own = address::read(&message).map(|own| own.net);
        let net = own.or_else(|| route::read(&message).filter(is_claim).map(|route| route.destination))?;
        (!is_of_link(&net)).then_some(net)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;
    use crate::scratch::{in_namespace, ip};

    #[test]
    fn what_comes_is_told_and_found() {
        in_namespace(|| {
            let links = Links::open().unwrap();
            let (told, heard) = channel();
            Links::watch(move |news| told.send(news).is_ok()).unwrap();
            ip("link add v0 type veth peer name v1");
            ip("link set v0 up");
            ip("link set v1 up");
            ip("address add 10.5.0.7/24 dev v0");
            ip("route add 10.6.0.0/16 dev v0");
            ip("route add blackhole 10.7.0.0/16");
            ip("route add default dev v0");
            let mut wanted: Vec<IpNet> =
                ["10.5.0.7/24", "10.6.0.0/16", "10.7.0.0/16"].map(|net| net.parse().unwrap()).to_vec();
            while !wanted.is_empty() {
                match heard.recv_timeout(Duration::from_secs(60)).unwrap() {
                    News::Claimed(net) => wanted.retain(|one| *one != net),
                    News::Unknown => wanted.clear(),
                    News::Nothing => {}
                }
            }
            let mut claims: Vec<_> = links
                .claims()
                .unwrap()
                .into_iter()
                .filter(|claim| claim.link != "lo")
                .map(|claim| format!("{} {} {}", claim.net, claim.link, claim.is_route))
                .collect();
            claims.sort();
            assert_eq!(claims, ["10.5.0.7/24 v0 false", "10.6.0.0/16 v0 true", "10.7.0.0/16  true"]);
        });
    }

    #[test]
    fn garbage_is_no_news() {
        for length in 0..64 {
            assert_eq!(news(&vec![0xff; length]).count(), 0);
            assert_eq!(news(&vec![20; length]).count(), 0);
        }
    }
}
