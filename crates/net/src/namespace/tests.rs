use super::*;

/// A cable into a bridge `br0`.
pub(super) fn attachment(name: &str, addresses: &[&str]) -> Attachment {
    Attachment {
        name: name.to_owned(),
        alias: format!("test:{name}"),
        mac: Some(MacAddress([2, 0x42, 0, 0, 0, name.len() as u8])),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        mtu: 0,
        kind: Kind::Veth { host_name: format!("h-{name}"), bridge: "br0".into(), isolated: false },
        sysctls: Vec::new(),
    }
}
