//! Telling neighbours on a bridge which hardware address an address has from now on. An address that another container
//! had a moment ago would else be sought at the old hardware address for up to ten seconds.
//!
//! The host speaks for the newcomer, before its cable is plugged in: so it does not matter when the new port starts to
//! forward, and the newcomer does not hear of its own address from somebody else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Links;
use crate::MacAddress;
use crate::rtnetlink::neighbour;

const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];

impl Links {
    /// Announces addresses on a bridge, by its index. Never fails: neighbours find out by themselves, only later.
    pub(crate) fn announce(&self, bridge: u32, mac: MacAddress, addresses: impl Iterator<Item = IpAddr>) {
        for address in addresses {
            let frame = match address {
                IpAddr::V4(address) => gratuitous_arp(mac, address),
                IpAddr::V6(address) => neighbour_advertisement(mac, address),
            };
            if let Some(packets) = &self.packets
                && let Err(error) = packets.send(bridge, &frame)
            {
                tracing::debug!(%address, %error, "address not announced");
            }
            // The host does not hear its own announcement. Mostly it knows nothing of the address, which is an error.
            drop(self.connection.order(neighbour::correct(bridge, address, mac)));
        }
    }
}

/// RFC 5227, section 3: a request for its own address.
fn gratuitous_arp(mac: MacAddress, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(mac.0);
    frame.extend(ETHERTYPE_ARP);
    // Ethernet, IPv4, lengths of their addresses, request.
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(mac.0);
    frame.extend(address.octets());
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

/// RFC 4861, section 7.2.6: an unsolicited advertisement to all nodes that overrides what they believed.
fn neighbour_advertisement(mac: MacAddress, address: Ipv6Addr) -> Vec<u8> {
    const ICMPV6: u8 = 58;
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    // Type, code, checksum, flags (override), target, option: hardware address of the target.
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(address.octets());
    message.extend([2, 1]);
    message.extend(mac.0);
    let mut pseudo = address.octets().to_vec();
    pseudo.extend(all_nodes.octets());
    pseudo.extend([0, 0, 0, message.len() as u8, 0, 0, 0, ICMPV6]);
    pseudo.extend(&message);
    message[2..4].copy_from_slice(&checksum(&pseudo).to_be_bytes());

    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1];
    frame.extend(mac.0);
    frame.extend(ETHERTYPE_IPV6);
    frame.extend([0x60, 0, 0, 0, 0, message.len() as u8, ICMPV6, 255]);
    frame.extend(address.octets());
    frame.extend(all_nodes.octets());
    frame.extend(message);
    frame
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_as_the_standards_say() {
        let mac = MacAddress([2, 0, 0, 0, 0, 9]);
        let frame = gratuitous_arp(mac, Ipv4Addr::new(10, 1, 2, 3));
        assert_eq!(frame.len(), 42);
        assert_eq!(frame[28..32], [10, 1, 2, 3]);
        assert_eq!(frame[38..42], [10, 1, 2, 3]);
        let frame = neighbour_advertisement(mac, "fd00::9".parse().unwrap());
        assert_eq!(frame.len(), 14 + 40 + 32);
        // Whoever sums all up with the checksum gets zero.
        let mut pseudo = frame[22..54].to_vec();
        pseudo.extend([0, 0, 0, 32, 0, 0, 0, 58]);
        pseudo.extend(&frame[54..]);
        assert_eq!(checksum(&pseudo), 0);
    }
}
