//! Why a packet arrives or doesn't: the question in words of containers and networks, put to the firewall.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use boxship_api::network::{Why, WhyStep};
use boxship_net::ports::{Protocol, Published};
use boxship_net::why::{Answer, Origin, Question, Verdict};

use super::Network;
use super::publish::is_relayed;
use crate::{Engine, Error, Result, error::blocking};

impl Engine {
    /// `GET /boxship/network/why`: how a packet to `address` (`HOST:PORT`) would travel. `from` is `outside` (the
    /// default), `host`, or a container.
    pub async fn network_why(
        &self,
        address: &str,
        protocol: Option<&str>,
        from: Option<&str>,
    ) -> Result<Why> {
        let (host, port) = split(address)?;
        let address = match parse_host(host) {
            Some(address) => address,
            None => self.address_of(host)?,
        };
        let name = protocol.unwrap_or("tcp");
        let protocol =
            Protocol::of_name(name).ok_or_else(|| Error::invalid(format!("invalid proto: {name}")))?;
        let from = match from.unwrap_or("outside") {
            "outside" => Origin::Outside,
            "host" => Origin::Host,
            container => self.origin(container, address)?,
        };
        let question = Question { address, port, protocol, from };
        let engine = self.clone();
        blocking(move || match engine.inner.networks.firewall()? {
            Some(table) => {
                let mut why = told(table.why(&question, engine.relayed())?);
                // Senders and receivers there are taken for containers.
                let cut_off = engine.inner.networks.cut_off().into_iter();
                why.steps.extend(cut_off.map(|what| WhyStep {
                    place: "beware".to_owned(),
                    what,
                    ..WhyStep::default()
                }));
                Ok(why)
            }
            None => Err(Error::unavailable(
                "the firewall is the administrator's (--iptables=false): this daemon doesn't know its rules",
            )),
        })
        .await
    }

    /// The ports of running containers that their shims relay.
    fn relayed(&self) -> Vec<Published> {
        let containers = self.inner.registry.all();
        let running = containers.iter().map(|container| container.state()).filter(|state| state.is_alive());
        running.flat_map(|state| state.network.ports.clone()).filter(is_relayed).collect()
    }

    /// The networks a running container is on, its own or those of whom it joins, with its address there.
    fn places(&self, container: &str) -> Result<Vec<(std::sync::Arc<Network>, Option<IpAddr>)>> {
        let mut container = self.inner.registry.find(container)?;
        let configuration = container.configuration();
        if let Some(joined) = configuration.host_config.network_mode.container() {
            container = self.inner.registry.find(joined)?;
        }
        if !container.state().is_running() {
            return Err(Error::not_running(&container.id));
        }
        let networks = self.inner.networks.list().into_iter();
        let places = networks.flat_map(|network| {
            let members = self.inner.networks.members(&network.id).into_iter();
            let own = members.filter(|member| member.container == container.id).map(move |member| {
                let v6 = || member.leased.ipv6.map(|net| IpAddr::V6(net.addr()));
                (network.clone(), member.leased.ipv4.map(|net| IpAddr::V4(net.addr())).or_else(v6))
            });
            own.collect::<Vec<_>>()
        });
        Ok(places.collect())
    }

    /// A container's own address, by its name.
    fn address_of(&self, name: &str) -> Result<IpAddr> {
        let places = self.places(name)?;
        places.iter().find_map(|(_, address)| *address).ok_or_else(|| {
            Error::invalid(format!("{name} has no address of its own: name an address of the host"))
        })
    }

    /// Where a container's packets come from; the network of the address before others.
    fn origin(&self, container: &str, address: IpAddr) -> Result<Origin> {
        let places = self.places(container)?;
        if places.iter().any(|(network, _)| network.name == "host") {
            return Ok(Origin::Host);
        }
        let bridged: Vec<_> = places.iter().filter(|(network, _)| network.bridge().is_some()).collect();
        let near = bridged.iter().find(|(network, _)| network.subnet_of(address).is_some());
        let place = near.or(bridged.first());
        let link = place.and_then(|(network, _)| network.bridge()).map(|bridge| bridge.link.clone());
        link.map(Origin::Bridge).ok_or_else(|| {
            Error::invalid(format!(
                "container {container} is on no bridge network: its packets don't pass the host"
            ))
        })
    }
}

/// `HOST:PORT`; an IPv6 address stands in brackets.
fn split(text: &str) -> Result<(&str, u16)> {
    let wrong = || Error::invalid(format!("invalid address {text:?}: it must be HOST:PORT"));
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    if host.is_empty() || port == 0 {
        return Err(wrong());
    }
    // Without brackets it can't be told where an IPv6 address ends.
    if host.contains(':') && text.parse::<SocketAddr>().is_err() {
        return Err(wrong());
    }
    Ok((host.trim_start_matches('[').trim_end_matches(']'), port))
}

fn parse_host(host: &str) -> Option<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    host.parse().ok()
}

fn told(answer: Answer) -> Why {
    let verdict = match answer.verdict {
        Verdict::Delivered => "delivered",
        Verdict::Dropped => "dropped",
        Verdict::Refused => "refused",
    };
    let steps = answer.steps.into_iter().map(|step| WhyStep {
        place: step.place,
        what: step.what,
        rule: step.rule.unwrap_or_default(),
    });
    Why { verdict: verdict.to_owned(), summary: answer.summary, steps: steps.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_every_form() {
        for (text, expect) in [
            ("192.0.2.1:80", Some(("192.0.2.1", 80))),
            ("[::1]:80", Some(("::1", 80))),
            ("localhost:80", Some(("localhost", 80))),
            ("web:80", Some(("web", 80))),
            ("::1:80", None),
            ("[::1:80", None),
            (":80", None),
            ("web", None),
            ("web:0", None),
            ("web:70000", None),
            ("", None),
        ] {
            assert_eq!(split(text).ok(), expect, "{text}");
        }
        assert_eq!(parse_host("LOCALHOST"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(parse_host("web"), None);
    }
}
