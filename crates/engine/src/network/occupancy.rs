//! Who is on one network, and which addresses are theirs. Pure bookkeeping.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use boxship_net::MacAddress;
use boxship_net::ipam::Addresses;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::model::Network;
use super::subnets;
use crate::{Error, Kind, Result};

/// What a container wants of a network when it joins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lease {
    /// The container's identifier.
    pub container: String,
    /// The endpoint's identifier.
    pub endpoint: String,
    /// Its hardware address.
    pub mac: Option<MacAddress>,
    /// The IPv4 address it insists on.
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address it insists on.
    pub ipv6: Option<Ipv6Addr>,
    /// It takes no IPv6 address, even where there are some.
    pub without_ipv6: bool,
}

/// What it got, with the prefixes of the subnets. Nothing on `host` and `none`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leased {
    /// The IPv4 address.
    pub ipv4: Option<Ipv4Net>,
    /// The IPv6 address.
    pub ipv6: Option<Ipv6Net>,
}

impl Leased {
    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.ipv4.map(|net| IpAddr::V4(net.addr()));
        v4.into_iter().chain(self.ipv6.map(|net| IpAddr::V6(net.addr())))
    }
}

/// Who is on a network.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The container's identifier.
    pub container: String,
    /// The endpoint's identifier.
    pub endpoint: String,
    /// Its hardware address.
    pub mac: Option<MacAddress>,
    /// Its addresses.
    pub leased: Leased,
}

/// A network's members and addresses.
pub(super) struct Occupancy {
    pub(super) members: Vec<Member>,
    pools: Vec<(IpNet, Addresses)>,
}

impl Occupancy {
    /// Nobody is there; gateways and auxiliary addresses are taken.
    pub(super) fn new(network: &Network) -> Result<Self> {
        let pools = network
            .subnets
            .iter()
            .map(|subnet| Ok((subnet.subnet, subnets::addresses(subnet)?)))
            .collect::<Result<_>>()?;
        Ok(Self { members: Vec::new(), pools })
    }

    /// Takes addresses, all or none.
    pub(super) fn lease(&mut self, network: &Network, lease: &Lease) -> Result<Leased> {
        if network.config_only {
            return Err(Error::forbidden("cannot create endpoint on configuration-only network"));
        }
        let mut leased = Leased::default();
        if network.ipv4 && network.subnets_of(false).next().is_some() {
            let taken = self.take(network, false, lease.ipv4.map(IpAddr::V4))?;
            leased.ipv4 = taken.and_then(|net| if let IpNet::V4(net) = net { Some(net) } else { None });
        }
        if network.ipv6 && !lease.without_ipv6 && network.subnets_of(true).next().is_some() {
            match self.take(network, true, lease.ipv6.map(IpAddr::V6)) {
                Ok(taken) => {
                    leased.ipv6 =
                        taken.and_then(|net| if let IpNet::V6(net) = net { Some(net) } else { None });
                }
                Err(error) => {
                    self.give_back(&leased);
                    return Err(error);
                }
            }
        }
        self.members.push(Member {
            container: lease.container.clone(),
            endpoint: lease.endpoint.clone(),
            mac: lease.mac,
            leased,
        });
        Ok(leased)
    }

    fn take(&mut self, network: &Network, v6: bool, wanted: Option<IpAddr>) -> Result<Option<IpNet>> {
        let of_family = |net: &IpNet| matches!(net, IpNet::V6(_)) == v6;
        if let Some(address) = wanted {
            let Some((subnet, addresses)) = self.pools.iter_mut().find(|(net, _)| net.contains(&address))
            else {
                return Err(boxship_net::Error::OutsideSubnet(address).into());
            };
            addresses.claim(address)?;
            return Ok(IpNet::new(address, subnet.prefix_len()).ok());
        }
        for (subnet, addresses) in self.pools.iter_mut().filter(|(net, _)| of_family(net)) {
            if let Ok(address) = addresses.next() {
                return Ok(IpNet::new(address, subnet.prefix_len()).ok());
            }
        }
        let version = if v6 { 6 } else { 4 };
        Err(Error::new(
            Kind::Unavailable,
            format!(
                "no available IPv{version} addresses on this network's address pools: {} ({})",
                network.name, network.id
            ),
        ))
    }

    /// What a running member holds is taken again. It is on the network, whatever the bookkeeping says.
    pub(super) fn claim(&mut self, member: Member) {
        for address in member.leased.addresses() {
            let pool = self.pools.iter_mut().find(|(net, _)| net.contains(&address));
            let claimed = match pool {
                Some((_, addresses)) => addresses.claim(address),
                None => Err(boxship_net::Error::OutsideSubnet(address)),
            };
            if let Err(error) = claimed {
                tracing::warn!(container = member.container, %address, %error, "a running container's address");
            }
        }
        self.members.push(member);
    }

    /// Somebody leaves.
    pub(super) fn release(&mut self, endpoint: &str) {
        let Some(place) = self.members.iter().position(|member| member.endpoint == endpoint) else { return };
        let member = self.members.swap_remove(place);
        self.give_back(&member.leased);
    }

    fn give_back(&mut self, leased: &Leased) {
        for address in leased.addresses() {
            // Another holds it: its owner's claim failed when the engine opened.
            if self.members.iter().any(|member| member.leased.addresses().any(|held| held == address)) {
                continue;
            }
            if let Some((_, addresses)) = self.pools.iter_mut().find(|(net, _)| net.contains(&address)) {
                addresses.release(address);
            }
        }
    }
}
