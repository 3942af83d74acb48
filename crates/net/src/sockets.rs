//! Which program of this host waits at a port: asked of the kernel (sock_diag(7)), as `ss -l` does. Sockets that only
//! hold a port don't listen and are none; those of containers are in their own network namespaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::Result;
use crate::netlink::{self, Connection, Message, Received};
use crate::ports::Protocol;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_SKV6ONLY: u16 = 11;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;
const IPPROTO_SCTP: u8 = 132;
/// States as the kernel counts them: a TCP or SCTP socket that listens, a UDP socket that is bound to nobody.
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;
/// Length of `struct inet_diag_req_v2`, and of the answer's `struct inet_diag_msg`.
const REQUEST: usize = 56;
const ANSWER: usize = 72;

/// A socket that takes what comes to a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address it is bound to; unspecified: all.
    pub address: SocketAddr,
    /// The program and its process, where it could be found out.
    pub program: Option<(String, u32)>,
}

/// Who takes what comes to an address of this host.
pub fn listener(protocol: Protocol, address: IpAddr, port: u16) -> Result<Option<Listener>> {
    let connection = Connection::open(netlink::Protocol::SockDiag)?;
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        let mut question = Message::new("list", "sockets", SOCK_DIAG_BY_FAMILY, 0);
        question.raw(&request(family, protocol, port));
        let sockets = connection.dump(&question, |received| read(&received))?;
        found.extend(sockets.into_iter().filter(|socket| socket.port == port && socket.takes(address)));
    }
    // One for this very address is asked before one for all.
    found.sort_by_key(|socket| socket.address.is_unspecified());
    Ok(found.first().map(|socket| Listener {
        address: SocketAddr::new(socket.address, socket.port),
        program: program(Path::new("/proc"), socket.inode),
    }))
}

/// What the kernel tells of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Socket {
    address: IpAddr,
    port: u16,
    v6_only: bool,
    inode: u32,
}

impl Socket {
    fn takes(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address) {
            (own, address) if own == address => true,
            (IpAddr::V4(own), IpAddr::V4(_)) => own.is_unspecified(),
            (IpAddr::V6(own), IpAddr::V6(_)) => own.is_unspecified(),
            (IpAddr::V6(own), IpAddr::V4(_)) => own.is_unspecified() && !self.v6_only,
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }
}

/// `struct inet_diag_req_v2`: family, protocol, extensions, padding, states, then the socket's identity, of which the
/// own port only is said.
fn request(family: u8, protocol: Protocol, port: u16) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    let (number, state) = match protocol {
        Protocol::Tcp => (IPPROTO_TCP, LISTEN),
        Protocol::Udp => (IPPROTO_UDP, CLOSE),
        Protocol::Sctp => (IPPROTO_SCTP, LISTEN),
    };
    (bytes[0], bytes[1]) = (family, number);
    bytes[4..8].copy_from_slice(&(1u32 << state).to_ne_bytes());
    bytes[8..10].copy_from_slice(&port.to_be_bytes());
    bytes
}

/// `struct inet_diag_msg`: family, state, timer, retransmissions, identity (ports, addresses of 16 bytes, link, cookie),
/// expiry, queues, user, inode; then attributes.
fn read(received: &Received<'_>) -> Option<Socket> {
    let fixed: &[u8; ANSWER] = received.fixed().filter(|_| received.kind == SOCK_DIAG_BY_FAMILY)?;
    let address = match fixed[0] {
        AF_INET => Ipv4Addr::new(fixed[8], fixed[9], fixed[10], fixed[11]).into(),
        AF_INET6 => IpAddr::V6(Ipv6Addr::from(*fixed[8..].first_chunk::<16>()?)),
        _ => return None,
    };
    let v6_only = received.attributes(ANSWER).find(INET_DIAG_SKV6ONLY).and_then(|only| only.u8());
    Some(Socket {
        address,
        port: u16::from_be_bytes([fixed[4], fixed[5]]),
        v6_only: v6_only == Some(1),
        inode: u32::from_ne_bytes(*fixed[68..].first_chunk()?),
    })
}

/// The program that has a socket open: the first process whose descriptors lead to it.
fn program(proc: &Path, inode: u32) -> Option<(String, u32)> {
    let wanted = format!("socket:[{inode}]");
    let processes = std::fs::read_dir(proc).ok()?.flatten();
    let mut numbers: Vec<u32> =
        processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    let number = numbers.into_iter().find(|number| {
        let descriptors = std::fs::read_dir(proc.join(number.to_string()).join("fd"));
        let mut links =
            descriptors.into_iter().flatten().flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
        links.any(|link| link.as_os_str() == wanted.as_str())
    })?;
    let name = std::fs::read_to_string(proc.join(number.to_string()).join("comm")).ok()?;
    Some((name.trim_end().chars().filter(|c| !c.is_control()).collect(), number))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;
    use crate::netlink::messages;
    use crate::ports::{HostPorts, Wanted};
    use crate::scratch::in_namespace;

    fn asked(protocol: Protocol, address: &str) -> Option<String> {
        let address: SocketAddr = address.parse().unwrap();
        let found = listener(protocol, address.ip(), address.port()).unwrap()?;
        let (_, process) = found.program.unwrap();
        assert_eq!(process, std::process::id());
        Some(found.address.to_string())
    }

    #[test]
    fn who_listens_is_known() {
        use Protocol::{Tcp, Udp};
        in_namespace(|| {
            let _local = TcpListener::bind("127.0.0.1:80").unwrap();
            let _all = TcpListener::bind("0.0.0.0:81").unwrap();
            let _both = TcpListener::bind("[::]:82").unwrap();
            let _v6 = TcpListener::bind("[::1]:83").unwrap();
            let _datagrams = UdpSocket::bind("127.0.0.1:53").unwrap();
            let held = HostPorts::default();
            let everywhere = vec!["0.0.0.0".parse().unwrap(), "::".parse().unwrap()];
            let wanted = Wanted { protocol: Tcp, addresses: everywhere, first: 84, last: 84 };
            let _held = held.hold(&wanted).unwrap();
            for (protocol, address, expect) in [
                (Tcp, "127.0.0.1:80", Some("127.0.0.1:80")),
                (Tcp, "10.0.0.1:80", None),
                (Tcp, "127.0.0.1:8080", None),
                (Tcp, "10.0.0.1:81", Some("0.0.0.0:81")),
                (Tcp, "[::1]:81", None),
                (Tcp, "10.0.0.1:82", Some("[::]:82")),
                (Tcp, "[::1]:82", Some("[::]:82")),
                (Tcp, "[::1]:83", Some("[::1]:83")),
                (Tcp, "127.0.0.1:84", None),
                (Tcp, "127.0.0.1:53", None),
                (Udp, "127.0.0.1:53", Some("127.0.0.1:53")),
                (Udp, "127.0.0.1:80", None),
            ] {
                assert_eq!(asked(protocol, address).as_deref(), expect, "{protocol:?} {address}");
            }
        });
    }

    #[test]
    fn garbage_is_no_socket() {
        for length in 0..ANSWER + 8 {
            for byte in [0, AF_INET, AF_INET6, 0xff] {
                let mut message = Message::new("list", "sockets", SOCK_DIAG_BY_FAMILY, 0);
                let bytes = message.raw(&vec![byte; length]).encoded();
                let found = messages(&bytes).filter_map(|message| read(&message)).count();
                let whole = length.next_multiple_of(4) >= ANSWER && [AF_INET, AF_INET6].contains(&byte);
                assert_eq!(found, usize::from(whole), "{byte} {length}");
            }
        }
    }
}
