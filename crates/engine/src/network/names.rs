//! Who answers to which name on which network, kept by endpoint as containers come, go and are renamed; and a
//! container's view of it, which its resolver asks for every query.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use boxship_net::resolver::Names;

use super::endpoint::{Place, by_preference};

/// The names of one network.
#[derive(Default)]
struct Zone {
    /// Names in lower case to endpoints and their addresses.
    forward: HashMap<String, Vec<(String, Vec<IpAddr>)>>,
    /// Addresses to the first names of their endpoints.
    back: HashMap<IpAddr, (String, String)>,
}

impl Zone {
    fn forget(&mut self, endpoint: &str) {
        self.forward.retain(|_, holders| {
            holders.retain(|(holder, _)| holder != endpoint);
            !holders.is_empty()
        });
        self.back.retain(|_, (holder, _)| holder != endpoint);
    }
}

/// The names of all networks, by the networks' identifiers.
#[derive(Default)]
pub(crate) struct Directory {
    zones: RwLock<HashMap<String, Zone>>,
}

impl Directory {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Zone>> {
        self.zones.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Zone>> {
        self.zones.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// An endpoint answers to its names from now on, and to those only.
    pub(crate) fn set(&self, place: &Place) {
        let endpoint = &place.endpoint;
        if endpoint.dns_names.is_empty() {
            return;
        }
        let addresses: Vec<_> = place.addresses().collect();
        let mut zones = self.write();
        let zone = zones.entry(endpoint.network_id.clone()).or_default();
        zone.forget(&endpoint.id);
        for name in &endpoint.dns_names {
            let holders = zone.forward.entry(name.to_lowercase()).or_default();
            if holders.iter().all(|(holder, _)| *holder != endpoint.id) {
                holders.push((endpoint.id.clone(), addresses.clone()));
            }
        }
        for address in addresses {
            zone.back.insert(address, (endpoint.id.clone(), endpoint.dns_names[0].clone()));
        }
    }

    /// An endpoint is gone.
    pub(crate) fn remove(&self, place: &Place) {
        let mut zones = self.write();
        if let Some(zone) = zones.get_mut(&place.endpoint.network_id) {
            zone.forget(&place.endpoint.id);
            if zone.forward.is_empty() {
                zones.remove(&place.endpoint.network_id);
            }
        }
    }
}

/// A network as one container sees it.
struct Joined {
    id: String,
    /// In lower case.
    name: String,
    /// The name for people, as PTR records tell it.
    shown: String,
    /// The container's own aliases for others: alias to name.
    links: HashMap<String, String>,
}

/// What one container can resolve: the names of the networks it has joined.
pub(crate) struct Scope {
    directory: Arc<Directory>,
    joined: RwLock<Vec<Joined>>,
}

impl Scope {
    pub(crate) fn new(directory: Arc<Directory>, places: &[Place]) -> Self {
        let scope = Self { directory, joined: RwLock::default() };
        scope.set(places);
        scope
    }

    /// The networks it has joined from now on.
    pub(crate) fn set(&self, places: &[Place]) {
        let places = by_preference(places).into_iter().filter(|place| place.network.has_names());
        let joined = places.map(|place| Joined {
            id: place.network.id.clone(),
            name: place.network.name.to_lowercase(),
            shown: place.network.name.clone(),
            links: place.endpoint.links.iter().filter_map(|link| parse_link(link)).map(lower).collect(),
        });
        *self.joined.write().unwrap_or_else(PoisonError::into_inner) = joined.collect();
    }

    fn joined(&self) -> RwLockReadGuard<'_, Vec<Joined>> {
        self.joined.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lower((name, alias): (String, String)) -> (String, String) {
    (alias.to_lowercase(), name.to_lowercase())
}

/// `name:alias`, or a name that is its own alias; as a container tells it: `/name:/container/alias`.
pub(crate) fn parse_link(text: &str) -> Option<(String, String)> {
    let mut parts = text.split(':');
    let (name, alias) = (parts.next().filter(|name| !name.is_empty())?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    let alias = match (name.starts_with('/'), alias) {
        (_, None) => name,
        (true, Some(alias)) => alias.rsplit('/').next().unwrap_or(alias),
        (false, Some(alias)) => alias,
    };
    Some((name.trim_start_matches('/').to_owned(), alias.trim_start_matches('/').to_owned()))
}

/// The ways to read a name: as a whole, then divided at each dot from the right into a name and its network's name.
fn readings(name: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let divided = name.rmatch_indices('.').map(move |(at, _)| (&name[..at], Some(&name[at + 1..])));
    std::iter::once((name, None)).chain(divided)
}

impl Names for Scope {
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let (joined, zones) = (self.joined(), self.directory.read());
        for (name, network) in readings(name) {
            let fits = |joined: &&Joined| network.is_none_or(|network| joined.name == network);
            let holders = |joined: &Joined, name: &str| zones.get(&joined.id)?.forward.get(name);
            // Its own aliases first, then everybody's names but for those that are aliases here.
            let linked =
                joined.iter().filter(fits).find_map(|joined| holders(joined, joined.links.get(name)?));
            let found = linked.or_else(|| {
                let plain = joined.iter().filter(fits).filter(|joined| !joined.links.contains_key(name));
                plain.into_iter().find_map(|joined| holders(joined, name))
            });
            if let Some(holders) = found {
                return Some(holders.iter().flat_map(|(_, addresses)| addresses.iter().copied()).collect());
            }
        }
        None
    }

    fn name_of(&self, address: IpAddr) -> Option<String> {
        let zones = self.directory.read();
        self.joined().iter().find_map(|joined| {
            let (_, name) = zones.get(&joined.id)?.back.get(&address)?;
            Some(format!("{name}.{}", joined.shown))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::endpoint::tests::place;
    use super::*;

    fn member(network: &str, id: &str, address: &str, names: &[&str]) -> Place {
        let mut place = place(network, false, 0, false);
        place.endpoint.id = id.to_owned();
        place.endpoint.ipv4 = Some(format!("{address}/24").parse().unwrap());
        place.endpoint.dns_names = names.iter().map(|name| (*name).to_owned()).collect();
        place
    }

    #[test]
    fn names_of_the_joined_networks() {
        let directory = Arc::new(Directory::default());
        let (a, b) = (
            member("mine", "a", "10.0.0.2", &["web-1", "web"]),
            member("mine", "b", "10.0.0.3", &["web-2", "WEB"]),
        );
        let other = member("other", "c", "10.0.1.2", &["db", "web"]);
        [&a, &b, &other].into_iter().for_each(|place| directory.set(place));
        let scope = Scope::new(directory.clone(), std::slice::from_ref(&a));
        let found = |name: &str| {
            scope.addresses(name).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        for (name, expect) in [
            ("web-1", Some("10.0.0.2")),
            ("web", Some("10.0.0.2 10.0.0.3")),
            ("web.mine", Some("10.0.0.2 10.0.0.3")),
            ("web.other", None),
            ("db", None),
            ("", None),
            ("..", None),
        ] {
            assert_eq!(found(name).as_deref(), expect, "{name}");
        }
        assert_eq!(scope.name_of("10.0.0.3".parse().unwrap()).as_deref(), Some("web-2.mine"));
        assert_eq!(scope.name_of("10.0.1.2".parse().unwrap()), None);

        // Joined later; renamed; gone.
        scope.set(&[a.clone(), other.clone()]);
        assert_eq!(found("db").as_deref(), Some("10.0.1.2"));
        directory.set(&member("mine", "b", "10.0.0.3", &["api"]));
        assert_eq!((found("web").as_deref(), found("web-2")), (Some("10.0.0.2"), None));
        assert_eq!(found("api").as_deref(), Some("10.0.0.3"));
        directory.remove(&b);
        assert_eq!(found("api"), None);
        assert_eq!(scope.name_of("10.0.0.3".parse().unwrap()), None);
    }

    #[test]
    fn links_are_seen_by_their_container_only() {
        let directory = Arc::new(Directory::default());
        let (mut a, b) = (member("mine", "a", "10.0.0.2", &["a"]), member("mine", "b", "10.0.0.3", &["b"]));
        a.endpoint.links = vec!["b:Data".to_owned(), "c:b".to_owned()];
        [&a, &b].into_iter().for_each(|place| directory.set(place));
        let (own, others) = (Scope::new(directory.clone(), &[a]), Scope::new(directory, &[b]));
        assert_eq!(own.addresses("data").unwrap().len(), 1);
        assert_eq!(own.addresses("b"), None, "an alias hides the name");
        assert_eq!(others.addresses("data"), None);
        assert_eq!(others.addresses("b").unwrap().len(), 1);
    }

    #[test]
    fn links_in_every_form() {
        for (text, expect) in [
            ("db", Some(("db", "db"))),
            ("db:data", Some(("db", "data"))),
            ("/db:/web/data", Some(("db", "data"))),
            ("", None),
            (":x", None),
            ("a:b:c", None),
        ] {
            let expect = expect.map(|(name, alias)| (name.to_owned(), alias.to_owned()));
            assert_eq!(parse_link(text), expect, "{text}");
        }
    }
}
