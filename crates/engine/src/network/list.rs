//! Telling of networks: the list with its filters, and one by one.

use std::sync::Arc;

use boxship_api as api;
use boxship_api::Filters;
use boxship_api::network::NetworkContainer;

use super::Network;
use crate::{Engine, Error, Result};

const KEYS: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];

impl Engine {
    /// `GET /networks`; `detailed` tells of members too.
    pub async fn network_list(
        &self,
        filters: &Filters,
        detailed: bool,
    ) -> Result<Vec<api::network::Network>> {
        let wanted = Wanted::of(filters)?;
        let networks = self.inner.networks.list();
        let listed = networks.iter().filter(|network| {
            wanted.includes(filters, network, || !self.inner.networks.members(&network.id).is_empty())
        });
        Ok(listed
            .map(|network| if detailed { self.network_answer(network) } else { network.answer() })
            .collect())
    }

    /// `GET /networks/{id}`.
    pub async fn network_inspect(
        &self,
        reference: &str,
        scope: Option<&str>,
    ) -> Result<api::network::Network> {
        let network = self.inner.networks.find(reference)?;
        match scope {
            None | Some("" | "local") => Ok(self.network_answer(&network)),
            Some(_) => Err(Error::not_found(format!("network {reference} not found"))),
        }
    }

    /// A network with its members.
    fn network_answer(&self, network: &Arc<Network>) -> api::network::Network {
        let members = self.inner.networks.members(&network.id);
        let containers = members.into_iter().map(|member| {
            let name = self.inner.registry.by_id(&member.container).map(|c| c.configuration().name.clone());
            let told = NetworkContainer {
                name: name.unwrap_or_default(),
                endpoint_id: member.endpoint,
                mac_address: member.mac.map(|mac| mac.to_string()).unwrap_or_default(),
                ipv4_address: member.leased.ipv4.map(|net| net.to_string()).unwrap_or_default(),
                ipv6_address: member.leased.ipv6.map(|net| net.to_string()).unwrap_or_default(),
            };
            (member.container, told)
        });
        api::network::Network { containers: containers.collect(), ..network.answer() }
    }
}

/// The filters that can be wrong, read once.
struct Wanted {
    dangling: Option<bool>,
}

impl Wanted {
    fn of(filters: &Filters) -> Result<Self> {
        filters.validate(&KEYS)?;
        if let Some(kind) = filters.get("type").find(|kind| !matches!(*kind, "custom" | "builtin")) {
            return Err(Error::invalid(format!("invalid filter: 'type'='{kind}'")));
        }
        let dangling = match filters.contains("dangling") {
            true => Some(filters.bool_or("dangling", false)?),
            false => None,
        };
        Ok(Self { dangling })
    }

    fn includes(&self, filters: &Filters, network: &Network, used: impl FnOnce() -> bool) -> bool {
        let kind = if network.is_predefined() { "builtin" } else { "custom" };
        filters.exact_match("driver", network.driver_name())
            && filters.exact_match("scope", "local")
            && filters.exact_match("type", kind)
            && matches_text(filters, "name", &network.name)
            && matches_text(filters, "id", &network.id)
            && filters.match_labels("label", &network.labels)
            && self.dangling.is_none_or(|dangling| dangling == (!network.is_predefined() && !used()))
    }
}

/// Docker matches names by regular expression; what is none is compared as it is.
fn matches_text(filters: &Filters, key: &str, text: &str) -> bool {
    let mut values = filters.get(key).peekable();
    values.peek().is_none()
        || values.any(|value| {
            value == text || regex_lite::Regex::new(value).is_ok_and(|regex| regex.is_match(text))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::predefined;

    #[test]
    fn filters_choose() {
        let host = predefined::without_link("host").unwrap();
        let mut web = Network { name: "web".into(), ..predefined::without_link("none").unwrap() };
        web.labels.insert("tier".into(), "front".into());
        for (text, expect) in [
            ("{}", (true, true)),
            (r#"{"type":["custom"]}"#, (false, true)),
            (r#"{"type":["builtin"]}"#, (true, false)),
            (r#"{"type":["builtin","custom"]}"#, (true, true)),
            (r#"{"name":["we"]}"#, (false, true)),
            (r#"{"name":["^h"]}"#, (true, false)),
            (r#"{"driver":["host"]}"#, (true, false)),
            (r#"{"scope":["swarm"]}"#, (false, false)),
            (r#"{"label":["tier=front"]}"#, (false, true)),
            (r#"{"dangling":["true"]}"#, (false, true)),
            (r#"{"dangling":["false"]}"#, (true, false)),
        ] {
            let filters = Filters::parse(text).unwrap();
            let wanted = Wanted::of(&filters).unwrap();
            let included = |network: &Network| wanted.includes(&filters, network, || false);
            assert_eq!((included(&host), included(&web)), expect, "{text}");
        }
        for bad in [r#"{"type":["x"]}"#, r#"{"dangling":["maybe"]}"#, r#"{"until":["1h"]}"#] {
            assert!(Wanted::of(&Filters::parse(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
