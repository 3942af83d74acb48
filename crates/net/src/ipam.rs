//! Address management, pure: which subnet a new network gets, which address an endpoint gets. Rows are the caller's.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::{Error, Result};

/// A range that subnets for new networks are cut from (`default-address-pools`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The whole range.
    pub base: IpNet,
    /// Prefix length of each subnet.
    pub size: u8,
}

impl Pool {
    /// Docker's own pools: 172.17-31.0.0/16, then 192.168.0.0/16 in /20s.
    pub fn defaults() -> Vec<Pool> {
        let large = (17..32).map(|second| (Ipv4Addr::new(172, second, 0, 0), 16));
        let small = (Ipv4Addr::new(192, 168, 0, 0), 20);
        let pool = |(base, size)| Pool { base: Ipv4Net::new_assert(base, 16).into(), size };
        large.chain([small]).map(pool).collect()
    }

    /// The same beside a Docker that may not be running now: it begins at 172.17, and takes the subnets that it had
    /// without a look at what is there since. So 172.17 is left to it, and the others are taken from the far end.
    pub fn beside_docker() -> Vec<Pool> {
        let mut pools = Self::defaults();
        pools.remove(0);
        let large = pools.len() - 1;
        pools[..large].reverse();
        pools
    }
}

/// The first subnet of the pools, of the wanted family, that overlaps none of `used`.
pub fn choose_subnet(pools: &[Pool], v6: bool, used: &[IpNet]) -> Result<IpNet> {
    let mut taken = Taken::default();
    for net in used.iter().filter(|net| is_v6(net) == v6) {
        taken.add(span(net));
    }
    let of_family = pools.iter().filter(|pool| is_v6(&pool.base) == v6);
    of_family.into_iter().find_map(|pool| first_free(pool, &taken)).ok_or(Error::NoPool)
}

/// The first subnet of a pool that is free. Steps over what is taken as a whole: pools of IPv6 have too many subnets to
/// try each.
fn first_free(pool: &Pool, taken: &Taken) -> Option<IpNet> {
    let (base, end) = span(&pool.base);
    if pool.size < pool.base.prefix_len() || pool.size > pool.base.max_prefix_len() {
        return None;
    }
    // One less than the size: a subnet of all addresses has too many for the number.
    let rest = low_bits(pool.base.max_prefix_len() - pool.size);
    let mut first = base;
    loop {
        let last = first | rest;
        match taken.last_within(first, last) {
            None => return IpNet::new(address(is_v6(&pool.base), first), pool.size).ok(),
            Some(occupied) => first = (occupied | rest).checked_add(1).filter(|next| *next <= end)?,
        }
    }
}

/// The addresses of one subnet: which are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    subnet: IpNet,
    range: IpNet,
    taken: Taken,
}

impl Addresses {
    /// All of `subnet` is free but its network and broadcast address; new ones come from `range` (default: all).
    pub fn new(subnet: IpNet, range: Option<IpNet>) -> Self {
        let subnet = subnet.trunc();
        Self { subnet, range: range.map_or(subnet, |range| range.trunc()), taken: Taken::default() }
    }

    /// Takes one address: of an endpoint that asks for it, of a gateway, an auxiliary one.
    pub fn claim(&mut self, address: IpAddr) -> Result<()> {
        let wanted = number(address);
        let (first, last) = usable(&self.subnet);
        if !self.subnet.contains(&address) {
            return Err(Error::OutsideSubnet(address));
        }
        // The network's own address and the one for all of it are as good as taken.
        if wanted < first || wanted > last || self.taken.contains(wanted) {
            return Err(Error::AddressInUse(address));
        }
        self.taken.add((wanted, wanted));
        Ok(())
    }

    /// Takes the next free one of the range, lowest first.
    #[allow(clippy::should_implement_trait)] // it changes what is taken and tells why it can't: no iterator
    pub fn next(&mut self) -> Result<IpAddr> {
        let v6 = is_v6(&self.subnet);
        let exhausted = || Error::Exhausted { version: if v6 { 6 } else { 4 }, pool: self.range.to_string() };
        if is_v6(&self.range) != v6 {
            return Err(exhausted());
        }
        let (lowest, highest) = usable(&self.subnet);
        let (from, to) = span(&self.range);
        let (from, to) = (from.max(lowest), to.min(highest));
        let free = self.taken.first_free(from).filter(|free| *free <= to).ok_or_else(exhausted)?;
        self.taken.add((free, free));
        Ok(address(v6, free))
    }

    /// Gives one back.
    pub fn release(&mut self, address: IpAddr) {
        if address.is_ipv6() == is_v6(&self.subnet) {
            self.taken.remove(number(address));
        }
    }
}

/// Numbers that are taken, as spans that neither touch nor overlap: first to last. Addresses given lowest first make
/// one long span, so that finding a free one costs no more with many taken than with few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Taken(BTreeMap<u128, u128>);

impl Taken {
    fn contains(&self, number: u128) -> bool {
        self.last_within(number, number).is_some()
    }

    /// The end of the last span that has a part within the two, cut off at the second.
    fn last_within(&self, first: u128, last: u128) -> Option<u128> {
        let (_, end) = self.0.range(..=last).next_back()?;
        (*end >= first).then_some(*end)
    }

    /// The first number from `from` on that is free.
    fn first_free(&self, from: u128) -> Option<u128> {
        match self.0.range(..=from).next_back() {
            Some((_, end)) if *end >= from => end.checked_add(1),
            _ => Some(from),
        }
    }

    fn add(&mut self, (mut first, mut last): (u128, u128)) {
        // Spans that overlap or touch the new one become one with it.
        let reach = last.saturating_add(1);
        while let Some((&start, &end)) = self.0.range(..=reach).next_back()
            && end.saturating_add(1) >= first
        {
            self.0.remove(&start);
            (first, last) = (first.min(start), last.max(end));
        }
        self.0.insert(first, last);
    }

    fn remove(&mut self, number: u128) {
        let Some((&start, &end)) = self.0.range(..=number).next_back().filter(|(_, end)| **end >= number)
        else {
            return;
        };
        self.0.remove(&start);
        if start < number {
            self.0.insert(start, number - 1);
        }
        if number < end {
            self.0.insert(number + 1, end);
        }
    }
}

/// First and last address that endpoints may have: without network and broadcast address where a subnet has them, and
/// without the address that every router of an IPv6 subnet has (RFC 4291, section 2.6.1), which is its first.
fn usable(subnet: &IpNet) -> (u128, u128) {
    let (first, last) = span(subnet);
    match (is_v6(subnet), subnet.max_prefix_len() - subnet.prefix_len()) {
        (_, 0 | 1) => (first, last),
        (false, _) => (first + 1, last - 1),
        (true, _) => (first + 1, last),
    }
}

/// First and last address, as numbers.
fn span(net: &IpNet) -> (u128, u128) {
    let first = number(net.network());
    (first, first | low_bits(net.max_prefix_len() - net.prefix_len()))
}

/// So many low bits set.
fn low_bits(count: u8) -> u128 {
    u128::MAX.checked_shr(128 - u32::from(count)).unwrap_or(0)
}

fn is_v6(net: &IpNet) -> bool {
    matches!(net, IpNet::V6(_))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn address(v6: bool, number: u128) -> IpAddr {
    match u32::try_from(number) {
        Ok(number) if !v6 => Ipv4Addr::from(number).into(),
        _ => Ipv6Addr::from(number).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_default_pools_are_dockers() {
        let pools = Pool::defaults();
        assert_eq!(pools.len(), 16);
        assert_eq!(pools[0], Pool { base: net("172.17.0.0/16"), size: 16 });
        assert_eq!(pools[14], Pool { base: net("172.31.0.0/16"), size: 16 });
        assert_eq!(pools[15], Pool { base: net("192.168.0.0/16"), size: 20 });
    }

    #[test]
    fn subnets_come_in_order_and_overlap_nothing() {
        let pools = Pool::defaults();
        for (used, expect) in [
            (vec![], "172.17.0.0/16"),
            (vec!["172.17.0.0/16"], "172.18.0.0/16"),
            (vec!["172.17.5.0/24", "172.18.255.255/32", "fd00::/8"], "172.19.0.0/16"),
            (vec!["172.16.0.0/12"], "192.168.0.0/20"),
            (vec!["172.16.0.0/12", "192.168.0.0/19", "192.168.47.0/24"], "192.168.48.0/20"),
            (vec!["172.16.0.0/12", "192.168.0.0/17", "192.168.128.0/18"], "192.168.192.0/20"),
        ] {
            let used: Vec<_> = used.into_iter().map(net).collect();
            assert_eq!(choose_subnet(&pools, false, &used).unwrap(), net(expect), "{used:?}");
        }
        let all = [net("172.16.0.0/12"), net("192.168.0.0/16")];
        assert!(matches!(choose_subnet(&pools, false, &all), Err(Error::NoPool)));
        assert!(matches!(choose_subnet(&pools, false, &[net("0.0.0.0/0")]), Err(Error::NoPool)));
        assert!(matches!(choose_subnet(&pools, true, &[]), Err(Error::NoPool)));
    }

    #[test]
    fn pools_of_ipv6_are_not_walked_through() {
        let pool = [Pool { base: net("fd00::/8"), size: 64 }];
        assert_eq!(choose_subnet(&pool, true, &[]).unwrap(), net("fd00::/64"));
        // A route over half of it is stepped over at once.
        let used = [net("fd00::/9"), net("fd80:0:0:1::/64"), net("fd80::/64")];
        assert_eq!(choose_subnet(&pool, true, &used).unwrap(), net("fd80:0:0:2::/64"));
        assert!(choose_subnet(&pool, true, &[net("::/0")]).is_err());
        let whole = [Pool { base: net("::/0"), size: 0 }];
        assert_eq!(choose_subnet(&whole, true, &[]).unwrap(), net("::/0"));
        assert!(choose_subnet(&whole, true, &[net("::1/128")]).is_err());
        for size in [7, 129, 255] {
            assert!(choose_subnet(&[Pool { base: net("fd00::/8"), size }], true, &[]).is_err());
        }
    }

    #[test]
    fn addresses_are_given_lowest_first() {
        let mut addresses = Addresses::new(net("10.0.0.0/29"), None);
        addresses.claim(ip("10.0.0.1")).unwrap();
        addresses.claim(ip("10.0.0.4")).unwrap();
        let mut given = Vec::new();
        while let Ok(address) = addresses.next() {
            given.push(address);
        }
        assert_eq!(given, ["10.0.0.2", "10.0.0.3", "10.0.0.5", "10.0.0.6"].map(ip));
        let error = addresses.next().unwrap_err().to_string();
        assert_eq!(error, "no available IPv4 addresses on this network's address pools: 10.0.0.0/29");
        addresses.release(ip("10.0.0.3"));
        addresses.release(ip("10.0.0.3"));
        addresses.release(ip("fd00::3"));
        assert_eq!(addresses.next().unwrap(), ip("10.0.0.3"));
    }

    #[test]
    fn what_cannot_be_claimed_is_told() {
        let mut addresses = Addresses::new(net("10.0.0.7/24"), Some(net("10.0.0.128/30")));
        for outside in ["10.0.1.1", "9.255.255.255", "fd00::1", "::a00:5"] {
            assert!(matches!(addresses.claim(ip(outside)), Err(Error::OutsideSubnet(_))), "{outside}");
        }
        for reserved in ["10.0.0.0", "10.0.0.255"] {
            assert!(matches!(addresses.claim(ip(reserved)), Err(Error::AddressInUse(_))), "{reserved}");
        }
        // The range is where new ones come from; what is asked for may be elsewhere in the subnet.
        addresses.claim(ip("10.0.0.5")).unwrap();
        assert!(matches!(addresses.claim(ip("10.0.0.5")), Err(Error::AddressInUse(_))));
        let given: Vec<_> = std::iter::from_fn(|| addresses.next().ok()).collect();
        assert_eq!(given, ["10.0.0.128", "10.0.0.129", "10.0.0.130", "10.0.0.131"].map(ip));
    }

    #[test]
    fn the_smallest_and_the_largest_subnets() {
        for (subnet, expect) in [
            ("10.0.0.4/32", vec!["10.0.0.4"]),
            ("10.0.0.4/31", vec!["10.0.0.4", "10.0.0.5"]),
            ("10.0.0.4/30", vec!["10.0.0.5", "10.0.0.6"]),
            ("255.255.255.252/30", vec!["255.255.255.253", "255.255.255.254"]),
            ("fd00::/127", vec!["fd00::", "fd00::1"]),
            ("fd00::/126", vec!["fd00::1", "fd00::2", "fd00::3"]),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", vec!["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]),
        ] {
            let mut addresses = Addresses::new(net(subnet), None);
            let given: Vec<_> = std::iter::from_fn(|| addresses.next().ok()).collect();
            assert_eq!(given, expect.into_iter().map(ip).collect::<Vec<_>>(), "{subnet}");
        }
        let mut addresses = Addresses::new(net("::/0"), None);
        assert_eq!(addresses.next().unwrap(), ip("::1"));
        // An ip-range of the other family has none for us.
        assert!(Addresses::new(net("10.0.0.0/24"), Some(net("fd00::/64"))).next().is_err());
        let mut addresses = Addresses::new(net("fd00::/64"), Some(net("fd00::ffff:0:0:0/80")));
        assert_eq!(addresses.next().unwrap(), ip("fd00::ffff:0:0:0"));
    }

    #[test]
    fn sixty_thousand_take_no_longer() {
        let mut addresses = Addresses::new(net("10.0.0.0/16"), None);
        for _ in 0..60_000 {
            addresses.next().unwrap();
        }
        assert_eq!(addresses.taken.0.len(), 1, "what is taken in a row is one span");
        // Every second one given back: as many spans as there can be, and still each is found at once.
        for low in (2..60_000_u32).step_by(2) {
            addresses.release(Ipv4Addr::from(0x0a00_0000 + low).into());
        }
        for low in (2..60_000_u32).step_by(2) {
            assert_eq!(addresses.next().unwrap(), IpAddr::from(Ipv4Addr::from(0x0a00_0000 + low)));
        }
        assert_eq!(addresses.taken.0.len(), 1);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Next,
        Claim(u8),
        Release(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![Just(Step::Next), any::<u8>().prop_map(Step::Claim), any::<u8>().prop_map(Step::Release)]
    }

    proptest! {
        #[test]
        fn never_twice_and_never_outside(
            prefix in 24_u8..=32, range in 24_u8..=32, v6 in any::<bool>(),
            steps in proptest::collection::vec(step(), 0..400),
        ) {
            let base = if v6 { ip("fd00::100") } else { ip("10.0.1.0") };
            let longer = if v6 { 96 } else { 0 };
            let subnet = IpNet::new(base, prefix + longer).unwrap();
            let range = IpNet::new(base, range.max(prefix) + longer).unwrap();
            let at = |low: u8| address(v6, number(base) + u128::from(low));
            let mut addresses = Addresses::new(subnet, Some(range));
            let mut model = BTreeSet::new();
            let (first, last) = usable(&subnet);
            for step in steps {
                match step {
                    Step::Next => match addresses.next() {
                        Ok(given) => {
                            prop_assert!(range.contains(&given) && (first..=last).contains(&number(given)));
                            prop_assert!(model.insert(given), "{given} twice");
                        }
                        Err(_) => {
                            let (from, to) = span(&range);
                            let mut all = from.max(first)..=to.min(last);
                            prop_assert!(all.all(|n| model.contains(&address(v6, n))));
                        }
                    },
                    Step::Claim(low) => {
                        let may = (first..=last).contains(&number(at(low))) && !model.contains(&at(low));
                        prop_assert_eq!(addresses.claim(at(low)).is_ok(), may);
                        if may {
                            model.insert(at(low));
                        }
                    }
                    Step::Release(low) => {
                        addresses.release(at(low));
                        model.remove(&at(low));
                    }
                }
                let spans = &addresses.taken.0;
                prop_assert_eq!(spans.iter().map(|(a, b)| b - a + 1).sum::<u128>(), model.len() as u128);
            }
        }

        #[test]
        fn a_subnet_overlaps_nothing_used(
            used in proptest::collection::vec((any::<u32>(), 8_u8..=32), 0..60), size in 16_u8..=24,
        ) {
            let used: Vec<IpNet> = used
                .into_iter()
                .map(|(low, length)| Ipv4Net::new_assert(Ipv4Addr::from(0x0a00_0000 | (low >> 12)), length).into())
                .collect();
            let pools = [Pool { base: net("10.0.0.0/12"), size }];
            if let Ok(chosen) = choose_subnet(&pools, false, &used) {
                prop_assert_eq!(chosen.prefix_len(), size);
                prop_assert!(pools[0].base.contains(&chosen));
                let overlaps = |net: &IpNet| chosen.contains(&net.trunc()) || net.trunc().contains(&chosen);
                prop_assert!(!used.iter().any(overlaps));
            } else {
                // Every subnet of the pool must be overlapped, then.
                let mut subnets = pools[0].base.subnets(size).unwrap();
                let overlap = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
                let full = subnets.all(|subnet| used.iter().any(|net| overlap(&net.trunc(), &subnet)));
                prop_assert!(full);
            }
        }
    }
}
