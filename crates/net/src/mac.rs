//! Hardware addresses.

use std::fmt;
use std::str::FromStr;

use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// An Ethernet address; written `02:42:ac:11:00:02`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// A new one: locally administered, of a single host, all else random. As Docker 28 does where none is asked for;
    /// before, it was 02:42 and the IPv4 address. What others still believe of the address's former owner is corrected
    /// by the announcement when an interface is attached.
    pub fn random() -> Result<Self> {
        let mut octets = [0; 6];
        // So few bytes are given all at once.
        getrandom(&mut octets, GetRandomFlags::empty()).map_err(|errno| Error::Kernel {
            operation: "draw",
            object: "MAC address".into(),
            source: boxship_sys::Error::new("getrandom", "6 bytes", errno),
        })?;
        octets[0] = octets[0] & !1 | 2;
        Ok(Self(octets))
    }

    /// Whether an interface can have it: not zero, and of no group (multicast and broadcast are).
    pub fn is_of_one_interface(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddress {
    type Err = String;

    /// Six octets in hexadecimal, divided by colons or hyphens.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("invalid MAC address: {text}");
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(wrong)?;
            if !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(wrong()); // a sign, which a number could have
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Self(octets)) }
    }
}

impl TryFrom<String> for MacAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> String {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ones_are_of_single_hosts_and_ours() {
        let drawn: std::collections::HashSet<_> = (0..64).map(|_| MacAddress::random().unwrap()).collect();
        assert_eq!(drawn.len(), 64);
        assert!(drawn.iter().all(|mac| mac.0[0] & 3 == 2));
    }

    #[test]
    fn there_and_back() {
        let address: MacAddress = "02:42:AC-11:00:ff".parse().unwrap();
        assert_eq!(address.to_string(), "02:42:ac:11:00:ff");
        for bad in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:ff:00",
            "2:42:ac:11:00:ff",
            "0g:42:ac:11:00:ff",
            "+2:42:ac:11:00:ff",
        ] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad}");
        }
    }
}
