//! Published ports: from what a container asks for to what is held on the host and told to the firewall. The choice is
//! pure; [`hold`] takes the host's ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use boxship_api::container::{Config, HostConfig};
use boxship_net::ports::{Held, HostPorts, Protocol, Published, Wanted};
use boxship_shim::protocol::RelayedPort;

use super::relay;
use crate::{Error, Result};

/// A port of the container that shall be reachable from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// The protocol.
    pub protocol: Protocol,
    /// The container's port.
    pub port: u16,
    /// The host's address; `None`: where the network publishes by itself.
    pub host: Option<IpAddr>,
    /// First and last port of the host; 0 and 0 for any.
    pub first: u16,
    /// See `first`.
    pub last: u16,
}

/// Where a family's packets come in: the endpoint that gives the default route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    /// The container's address.
    pub address: IpAddr,
    /// The bridge.
    pub bridge: String,
    /// The network's own choice of the host's address.
    pub host_binding: Option<IpAddr>,
    /// Ports are opened at the container's address and not translated.
    pub routed: bool,
}

/// What is published with one port of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    wish: Wish,
    /// The host's address, and the door behind it.
    places: Vec<(IpAddr, Door)>,
}

/// A port or range with its protocol: `80`, `80/tcp`, `8000-8010/udp`.
pub(crate) fn parse_port(text: &str) -> Option<(Protocol, u16, u16)> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = Protocol::of_name(&protocol.to_ascii_lowercase())?;
    let (first, last) = parse_range(numbers)?;
    Some((protocol, first, last))
}

/// `8080` or `8000-8010`.
fn parse_range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok())?;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

/// The ports a container offers, published or not.
pub(crate) fn exposed(config: &Config) -> Vec<(u16, Protocol)> {
    let ranges = config.exposed_ports.keys().filter_map(|key| parse_port(key));
    let mut ports: Vec<_> =
        ranges.flat_map(|(protocol, first, last)| (first..=last).map(move |port| (port, protocol))).collect();
    ports.sort();
    ports.dedup();
    ports
}

/// What is asked for with `-p` and `-P`, in the order in which the host's ports are taken: exact ones first, then by
/// container port, so that what differs in the host's address only stands together.
pub(crate) fn wishes(config: &Config, host_config: &HostConfig) -> Result<Vec<Wish>> {
    let wrong = |text: &str| Error::invalid(format!("invalid port specification: {text:?}"));
    let mut wishes = Vec::new();
    let mut bound = Vec::new();
    for (key, bindings) in host_config.port_bindings.iter().flatten() {
        let (protocol, port, last) = parse_port(key).ok_or_else(|| wrong(key))?;
        if port != last || port == 0 {
            return Err(wrong(key));
        }
        for binding in bindings.iter().flatten() {
            let text = binding.host_port.split('/').next().unwrap_or_default();
            let (first, last) = match text {
                "" => (0, 0),
                text => parse_range(text).ok_or_else(|| wrong(&binding.host_port))?,
            };
            if first == 0 && last != 0 {
                return Err(wrong(&binding.host_port));
            }
            wishes.push(Wish { protocol, port, host: host_address(&binding.host_ip)?, first, last });
            bound.push((port, protocol));
        }
    }
    if host_config.publish_all_ports {
        let rest = exposed(config).into_iter().filter(|port| !bound.contains(port));
        wishes.extend(rest.map(|(port, protocol)| Wish { protocol, port, host: None, first: 0, last: 0 }));
    }
    wishes.sort_by_key(|wish| {
        let range = wish.first == 0 || wish.first != wish.last;
        (range, wish.port, wish.protocol, wish.first, wish.last, wish.host)
    });
    Ok(wishes)
}

/// The host's address of a binding; the empty text is none.
fn host_address(text: &str) -> Result<Option<IpAddr>> {
    let plain = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match plain.parse::<IpAddr>() {
        _ if text.is_empty() => Ok(None),
        // An IPv4 address in IPv6 clothes is one.
        Ok(address) => Ok(Some(address.to_canonical())),
        Err(_) => Err(Error::invalid(format!("invalid port binding: invalid IP address: {text}"))),
    }
}

/// Which of the host's addresses lead to which of the container's, grouped by what has to share one port. What is asked
/// for twice takes a port of its own: the next of a range, and none where there is only one to have.
fn groups(wishes: &[Wish], v4: Option<&Door>, v6: Option<&Door>, relays: bool) -> Result<Vec<Group>> {
    let anywhere = |wish: &Wish| Wish { host: None, ..wish.clone() };
    let mut groups: Vec<Group> = Vec::new();
    // Where the groups begin that differ from the wish in the host's address only.
    let mut alike = 0;
    for wish in wishes {
        let mut places = places(wish, v4, v6, relays)?;
        if groups.last().is_some_and(|last| anywhere(&last.wish) != anywhere(wish)) {
            alike = groups.len();
        }
        // The container's own port is open, however often it is asked for.
        let open = |place: &(IpAddr, Door)| groups[alike..].iter().any(|group| group.places.contains(place));
        places.retain(|place| !(place.1.routed && open(place)));
        match groups[alike..].iter_mut().find(|group| group.has_room(&places)) {
            Some(group) => group.places.extend(places),
            None => groups.push(Group { wish: wish.clone(), places }),
        }
    }
    Ok(groups)
}

impl Group {
    /// Whether one port can be held at these places, too.
    fn has_room(&self, places: &[(IpAddr, Door)]) -> bool {
        let translated = |place: &&(IpAddr, Door)| !place.1.routed;
        let mut held = self.places.iter().filter(translated);
        held.all(|(held, _)| places.iter().filter(translated).all(|(host, _)| !overlap(*held, *host)))
    }
}

/// Whether two addresses of the host can't have the same port held apart.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4() && (one == other || one.is_unspecified() || other.is_unspecified())
}

/// The host's addresses of one wish.
fn places(wish: &Wish, v4: Option<&Door>, v6: Option<&Door>, relays: bool) -> Result<Vec<(IpAddr, Door)>> {
    const ANY4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    const ANY6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let mut places = Vec::new();
    // What comes in over IPv6 is relayed to a container that has only IPv4; the relay knows no SCTP.
    let v6 = v6.or(v4.filter(|_| relays && wish.protocol != Protocol::Sctp));
    for (door, any, family) in [(v4, ANY4, "IPv4"), (v6, ANY6, "IPv6")] {
        let wanted = match (wish.host, door) {
            (Some(host), _) if host.is_ipv4() != any.is_ipv4() => continue,
            (Some(host), None) => {
                return Err(Error::invalid(format!(
                    "port {} cannot be published at {host}: the container has no {family} address",
                    wish.port
                )));
            }
            (None, None) => continue,
            (Some(host), Some(door)) => (host, door),
            (None, Some(door)) => match door.host_binding {
                // "Everywhere" of IPv4 means everywhere of IPv6 too.
                Some(host) if host == ANY4 => (any, door),
                Some(host) if host.is_ipv4() != any.is_ipv4() => continue,
                Some(host) => (host, door),
                None => (any, door),
            },
        };
        let (host, door) = wanted;
        match door.routed {
            // Nothing is translated, so nothing is relayed either.
            true if door.address.is_ipv4() != any.is_ipv4() => {}
            true => places.push((any, door.clone())),
            false => places.push((host, door.clone())),
        }
    }
    Ok(places)
}

/// Whether a port is carried from one family to the other, by the container's shim and not by the firewall.
pub(crate) fn is_relayed(port: &Published) -> bool {
    port.host_address.is_ipv4() != port.address.is_ipv4()
}

/// Whether a port is only opened at the container's own address: no port of the host leads to it.
pub(crate) fn is_routed(port: &Published) -> bool {
    port.host_address == port.address
}

/// Takes the host's ports for all wishes, or none of them.
pub(crate) fn hold(
    ports: &HostPorts,
    wishes: &[Wish],
    v4: Option<&Door>,
    v6: Option<&Door>,
    relays: bool,
) -> Result<(Vec<Held>, Vec<Published>)> {
    if v4.is_none() && v6.is_none() {
        return Ok((Vec::new(), Vec::new()));
    }
    let (mut held, mut published) = (Vec::new(), Vec::new());
    for Group { wish, places } in groups(wishes, v4, v6, relays)? {
        let translated = places.iter().filter(|(_, door)| !door.routed);
        let addresses: Vec<_> = translated.map(|(host, _)| *host).collect();
        let mut host_port = 0;
        if !addresses.is_empty() {
            let wanted = Wanted { protocol: wish.protocol, addresses, first: wish.first, last: wish.last };
            let got = ports.hold(&wanted).map_err(|error| taken(ports, &error, &wish, &places))?;
            host_port = got.port;
            held.push(got);
        }
        published.extend(places.into_iter().map(|(host, door)| Published {
            protocol: wish.protocol,
            host_address: if door.routed { door.address } else { host },
            host_port: if door.routed { wish.port } else { host_port },
            address: door.address,
            port: wish.port,
            bridge: door.bridge,
        }));
    }
    Ok((held, published))
}

/// Takes the ports of a container that ran on while nobody held them but its shim those that it relays.
pub(crate) fn hold_again(ports: &HostPorts, published: &[Published], relayed: &[RelayedPort]) -> Vec<Held> {
    let mut groups: Vec<(Protocol, u16, u16, Vec<IpAddr>)> = Vec::new();
    for port in published.iter().filter(|port| !is_routed(port)) {
        match groups.last_mut() {
            Some((protocol, host, inner, addresses))
                if (*protocol, *host, *inner) == (port.protocol, port.host_port, port.port) =>
            {
                addresses.push(port.host_address);
            }
            _ => groups.push((port.protocol, port.host_port, port.port, vec![port.host_address])),
        }
    }
    let mut held = Vec::new();
    for (protocol, port, _, addresses) in groups {
        let elsewhere: Vec<_> = addresses
            .iter()
            .filter(|address| relay::has(relayed, protocol, SocketAddr::new(**address, port)))
            .copied()
            .collect();
        match ports.hold_beside(&Wanted { protocol, addresses, first: port, last: port }, &elsewhere) {
            Ok(got) => held.push(got),
            // Another program took it meanwhile; what is published goes to the container all the same.
            Err(error) => tracing::warn!(port, %error, "a published port is held by another program"),
        }
    }
    held
}

/// Docker's words for a port that can't be had: another container's of ours, or another program's.
fn taken(ports: &HostPorts, error: &boxship_net::Error, wish: &Wish, places: &[(IpAddr, Door)]) -> Error {
    use boxship_net::Error as Net;
    let (text, reason) = match error {
        Net::PortInUse { address, .. } => (address, "address already in use".to_owned()),
        Net::PortRefused { address, errno, .. } => (address, boxship_sys::error::text(*errno)),
        _ => return Error::internal(crate::error::with_causes(error)),
    };
    let refused = text.parse::<SocketAddr>().ok();
    let of_ours = refused.filter(|_| matches!(error, Net::PortInUse { .. })).filter(|refused| {
        let held = ports.held(wish.protocol, refused.port());
        held.into_iter().any(|held| overlap(held, refused.ip()))
    });
    if let Some(refused) = of_ours {
        return Error::internal(match wish.first == wish.last {
            true => format!("Bind for {refused} failed: port is already allocated"),
            false => "all ports are allocated".to_owned(),
        });
    }
    let place = places.iter().find(|(host, _)| refused.is_none_or(|refused| refused.ip() == *host));
    let Some((host, door)) = place.or(places.first()) else { return Error::internal(reason) };
    let range = match (wish.first, wish.last) {
        (0, 0) => String::new(),
        (first, last) if first == last => format!("{first}:"),
        (first, last) => format!("{first}-{last}:"),
    };
    let (host, inner) = (bracketed(*host), bracketed(door.address));
    let protocol = wish.protocol.name();
    Error::internal(format!(
        "failed to bind host port for {host}:{range}{inner}:{}/{protocol}: {reason}",
        wish.port
    ))
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(address: &str) -> Door {
        Door { address: address.parse().unwrap(), bridge: "br".into(), host_binding: None, routed: false }
    }

    fn of(json: &str) -> Result<Vec<Wish>> {
        let request: boxship_api::container::CreateRequest = serde_json::from_str(json).unwrap();
        wishes(&request.config, &request.host_config.unwrap_or_default())
    }

    /// Wishes as `host first-last port/protocol`.
    fn told(json: &str) -> String {
        match of(json) {
            Ok(wishes) => {
                let one = |wish: Wish| {
                    let host = wish.host.map_or("*".into(), |host| host.to_string());
                    format!("{host} {}-{} {}/{}", wish.first, wish.last, wish.port, wish.protocol.name())
                };
                wishes.into_iter().map(one).collect::<Vec<_>>().join("; ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn bindings_in_every_form() {
        for (json, expect) in [
            (r#"{}"#, ""),
            (r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"8080"}]}}}"#, "* 8080-8080 80/tcp"),
            (r#"{"HostConfig":{"PortBindings":{"80":[{}]}}}"#, "* 0-0 80/tcp"),
            (r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"0"}]}}}"#, "* 0-0 80/tcp"),
            (r#"{"HostConfig":{"PortBindings":{"80/tcp":null,"81/tcp":[]}}}"#, ""),
            (
                r#"{"HostConfig":{"PortBindings":{"53/udp":[{"HostIp":"127.0.0.1","HostPort":"8000-8010"}],
                   "9/sctp":[{"HostIp":"::1","HostPort":"9"},{"HostIp":"[::2]","HostPort":"9"}]}}}"#,
                "::1 9-9 9/sctp; ::2 9-9 9/sctp; 127.0.0.1 8000-8010 53/udp",
            ),
            (
                r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"::ffff:1.2.3.4","HostPort":"5/tcp"}]}}}"#,
                "1.2.3.4 5-5 80/tcp",
            ),
            (
                r#"{"ExposedPorts":{"80/tcp":{},"90-91/udp":{}},"HostConfig":{"PublishAllPorts":true,
                   "PortBindings":{"80/tcp":[{"HostPort":"1"}]}}}"#,
                "* 1-1 80/tcp; * 0-0 90/udp; * 0-0 91/udp",
            ),
            (
                r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"x"}]}}}"#,
                "invalid port specification: \"x\"",
            ),
            (
                r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"9-8"}]}}}"#,
                "invalid port specification: \"9-8\"",
            ),
            (
                r#"{"HostConfig":{"PortBindings":{"80-81/tcp":[{}]}}}"#,
                "invalid port specification: \"80-81/tcp\"",
            ),
            (r#"{"HostConfig":{"PortBindings":{"80/x":[{}]}}}"#, "invalid port specification: \"80/x\""),
            (
                r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"+5"}]}}}"#,
                "invalid port specification: \"+5\"",
            ),
            (
                r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"1.2.3","HostPort":"5"}]}}}"#,
                "invalid port binding: invalid IP address: 1.2.3",
            ),
        ] {
            assert_eq!(told(json), expect, "{json}");
        }
    }

    #[test]
    fn a_port_without_address_is_published_in_all_families_the_container_has() {
        let (v4, v6) = (door("172.17.0.2"), door("fd00::2"));
        let given = |json: &str, v4: Option<&Door>, v6: Option<&Door>, relays: bool| {
            groups(&of(json).unwrap(), v4, v6, relays).map(|groups| {
                let of = |group: Group| {
                    group.places.iter().map(|(host, _)| host.to_string()).collect::<Vec<_>>().join(",")
                };
                groups.into_iter().map(of).collect::<Vec<_>>().join("; ")
            })
        };
        let hosts = |json: &str, v4: Option<&Door>, v6: Option<&Door>| given(json, v4, v6, true);
        let any = r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":"8080"}]}}}"#;
        assert_eq!(hosts(any, Some(&v4), Some(&v6)).unwrap(), "0.0.0.0,::");
        assert_eq!(hosts(any, Some(&v4), None).unwrap(), "0.0.0.0,::", "relayed");
        assert_eq!(given(any, Some(&v4), None, false).unwrap(), "0.0.0.0");
        assert_eq!(given(any, Some(&v4), Some(&v6), false).unwrap(), "0.0.0.0,::");
        assert_eq!(hosts(any, None, Some(&v6)).unwrap(), "::");
        let local = Door { host_binding: Some("127.0.0.1".parse().unwrap()), ..v4.clone() };
        assert_eq!(hosts(any, Some(&local), None).unwrap(), "127.0.0.1");
        let two = r#"{"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1"},{"HostIp":"::1"}]}}}"#;
        assert_eq!(hosts(two, Some(&v4), Some(&v6)).unwrap(), "127.0.0.1,::1", "one port for both");
        assert_eq!(hosts(two, Some(&v4), None).unwrap(), "127.0.0.1,::1");
        assert!(hosts(two, None, Some(&v6)).unwrap_err().to_string().contains("no IPv4 address"));
        let sctp = r#"{"HostConfig":{"PortBindings":{"9/sctp":[{"HostIp":"::1"}]}}}"#;
        assert!(hosts(sctp, Some(&v4), None).unwrap_err().to_string().contains("no IPv6 address"));
        let routed = Door { routed: true, ..v4.clone() };
        assert_eq!(hosts(two, Some(&routed), Some(&v6)).unwrap(), "0.0.0.0,::1");
        assert_eq!(hosts(&bound(&["8080", "8080"]), Some(&routed), None).unwrap(), "0.0.0.0");
        for (asked, expect) in [
            (bound(&["8080", "8080"]), "0.0.0.0,::; 0.0.0.0,::"),
            (bound(&["", ""]), "0.0.0.0,::; 0.0.0.0,::"),
            (bound(&["8080", "127.0.0.1 8080", "::1 8080"]), "0.0.0.0,::; 127.0.0.1,::1"),
            (
                bound(&["::1 1-9", "127.0.0.1 1-9", "127.0.0.1 1-9", "::1 1-9"]),
                "127.0.0.1,::1; 127.0.0.1,::1",
            ),
        ] {
            assert_eq!(hosts(&asked, Some(&v4), None).unwrap(), expect, "{asked}");
        }
    }

    /// Port 80 bound to host's ports, each with an address before it or none.
    fn bound(bindings: &[&str]) -> String {
        let binding = |text: &&str| match text.split_once(' ') {
            Some((host, port)) => format!(r#"{{"HostIp":"{host}","HostPort":"{port}"}}"#),
            None => format!(r#"{{"HostPort":"{text}"}}"#),
        };
        let bindings: Vec<_> = bindings.iter().map(binding).collect();
        format!(r#"{{"HostConfig":{{"PortBindings":{{"80/tcp":[{}]}}}}}}"#, bindings.join(","))
    }

    #[test]
    fn what_is_asked_for_twice_is_taken_twice_or_not_at_all() {
        let door = door("172.17.0.2");
        // SCTP is kept in our own books: no port of this machine is touched.
        let holding = |ports: &HostPorts, bindings: &[&str]| {
            let wishes = of(&bound(bindings).replace("80/tcp", "80/sctp")).unwrap();
            hold(ports, &wishes, Some(&door), None, true)
        };
        let taken = |address: &str| Err(format!("Bind for {address} failed: port is already allocated"));
        for (bindings, expect) in [
            (&["8080", "8080"][..], taken("0.0.0.0:8080")),
            (&["127.0.0.1 8080", "127.0.0.1 8080"], taken("127.0.0.1:8080")),
            (&["8080", "127.0.0.1 8080"], taken("127.0.0.1:8080")),
            (&["0.0.0.0 8080", "8080"], taken("0.0.0.0:8080")),
            (&["8080-8081", "8080-8081"], Ok(vec![8080, 8081])),
            (&["8080-8081", "8080-8081", "8080-8081"], Err("all ports are allocated".to_owned())),
            (&["8080-8081", "8080"], Ok(vec![8080, 8081])),
            (&["8080", "8081"], Ok(vec![8080, 8081])),
        ] {
            let ports = HostPorts::default();
            let got = holding(&ports, bindings).map_err(|error| error.to_string());
            let got = got.map(|(_, published)| published.iter().map(|p| p.host_port).collect::<Vec<_>>());
            assert_eq!(got, expect, "{bindings:?}");
        }
        for (held, asked) in [("8080", "127.0.0.1 8080"), ("127.0.0.1 8080", "8080")] {
            let ports = HostPorts::default();
            let _held = holding(&ports, &[held]).unwrap();
            let address = if asked == "8080" { "0.0.0.0:8080" } else { "127.0.0.1:8080" };
            assert_eq!(holding(&ports, &[asked]).unwrap_err().to_string(), taken(address).unwrap_err());
        }
    }

    #[test]
    fn a_taken_port_is_told_in_dockers_words() {
        let wish = Wish { protocol: Protocol::Tcp, port: 80, host: None, first: 8080, last: 8080 };
        let error = boxship_net::Error::PortInUse { address: "0.0.0.0:8080".into(), protocol: "tcp" };
        let places = [("0.0.0.0".parse().unwrap(), door("172.17.0.2"))];
        assert_eq!(
            taken(&HostPorts::default(), &error, &wish, &places).to_string(),
            "failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use"
        );
    }
}
