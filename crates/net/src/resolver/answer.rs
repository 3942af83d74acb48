//! What a query is answered with: our own names here, everything else by asking others.

use std::net::IpAddr;

use super::Names;
use super::message::{A, AAAA, ANY, Code, IN, PTR, Query, Record, reversed};

/// What becomes of a query.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Answered with these records; none says that the name exists, without such records.
    Records(Vec<Record>),
    /// Not ours: others are asked.
    Forward,
}

/// Decides. `ndots_set`: the container's resolver appends search domains itself, so a bare name that isn't ours is
/// answered with nothing instead of being asked at the root.
pub(super) fn decide(query: &Query<'_>, names: &dyn Names, ndots_set: bool) -> Decision {
    let Some(name) = query.name.as_deref().filter(|name| !name.is_empty() && query.class == IN) else {
        return Decision::Forward;
    };
    if query.kind == PTR {
        let known = reversed(name).and_then(|address| names.name_of(address));
        let record = known.and_then(|name| Record::pointer(&name));
        return record.map_or(Decision::Forward, |record| Decision::Records(vec![record]));
    }
    match names.addresses(name) {
        // All types: the name is ours alone. A server elsewhere would say that it doesn't exist, and some clients
        // then believe that for its addresses too.
        Some(addresses) => Decision::Records(records(addresses, query.kind)),
        None if ndots_set && matches!(query.kind, A | AAAA) && !name.contains('.') => {
            Decision::Records(Vec::new())
        }
        None => Decision::Forward,
    }
}

fn records(mut addresses: Vec<IpAddr>, kind: u16) -> Vec<Record> {
    addresses.retain(|address| match kind {
        A => address.is_ipv4(),
        AAAA => address.is_ipv6(),
        kind => kind == ANY,
    });
    if addresses.len() > 1 {
        // From a random place on: clients take the first, so the load is spread.
        let start = usize::from(u16::from_ne_bytes(random())) % addresses.len();
        addresses.rotate_left(start);
    }
    addresses.into_iter().map(Record::Address).collect()
}

/// Two random bytes of the kernel.
pub(super) fn random() -> [u8; 2] {
    let mut bytes = [0; 2];
    // Asked for so little, the kernel cannot fail or give less (getrandom(2)).
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    bytes
}

/// The answer's bytes; `udp` bounds it by what the client takes.
pub(super) fn answer(query: &Query<'_>, records: &[Record], udp: bool) -> Vec<u8> {
    let limit = if udp { query.udp_limit() } else { usize::from(u16::MAX) };
    query.answer(Code::NoError, records, limit)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::message::tests::query;
    use super::*;

    pub(crate) struct Some3;

    impl Names for Some3 {
        fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
            let texts: &[&str] = match name {
                "web" | "web.mynet" => &["172.18.0.2", "172.18.0.3", "172.18.0.4"],
                "six" => &["fd00::6"],
                "gone" => &[],
                _ => return None,
            };
            Some(texts.iter().map(|text| text.parse().unwrap()).collect())
        }

        fn name_of(&self, address: IpAddr) -> Option<String> {
            (address == IpAddr::from([172, 18, 0, 2])).then(|| "web.mynet".to_owned())
        }
    }

    fn decided(name: &str, kind: u16, ndots_set: bool) -> Decision {
        decide(&Query::parse(&query(name, kind, None)).unwrap(), &Some3, ndots_set)
    }

    #[test]
    fn decisions() {
        let none = || Decision::Records(Vec::new());
        let (mx, https) = (15, 65);
        for (name, kind, ndots_set, wanted) in [
            ("SIX", A, false, none()),
            ("six", AAAA, false, Decision::Records(vec![Record::Address("fd00::6".parse().unwrap())])),
            ("six", ANY, false, Decision::Records(vec![Record::Address("fd00::6".parse().unwrap())])),
            ("web", mx, false, none()),
            ("web", https, false, none()),
            ("gone", A, false, none()),
            ("other", A, false, Decision::Forward),
            ("other", A, true, none()),
            ("other", mx, true, Decision::Forward),
            ("other.org", A, true, Decision::Forward),
            ("", A, true, Decision::Forward),
            (
                "2.0.18.172.in-addr.arpa",
                PTR,
                false,
                Decision::Records(vec![Record::pointer("web.mynet").unwrap()]),
            ),
            ("9.0.18.172.in-addr.arpa", PTR, false, Decision::Forward),
            ("web", PTR, false, Decision::Forward),
        ] {
            assert_eq!(decided(name, kind, ndots_set), wanted, "{name} {kind}");
        }
    }

    #[test]
    fn other_classes_are_others() {
        let mut bytes = query("web", A, None);
        *bytes.last_mut().unwrap() = 3;
        assert_eq!(decide(&Query::parse(&bytes).unwrap(), &Some3, false), Decision::Forward);
    }

    #[test]
    fn every_address_comes_first_some_time() {
        let firsts: HashSet<_> = (0..200)
            .map(|_| match decided("web", A, false) {
                Decision::Records(records) if records.len() == 3 => format!("{:?}", records[0]),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(firsts.len(), 3);
    }
}
