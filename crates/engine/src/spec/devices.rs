//! Devices: nodes to be made and rules of the device cgroup. Pure: what is on the host comes as
//! [`Facts`](super::facts::Facts).

use boxship_api::container::HostConfig;
use boxship_oci::runtime::{Device, DeviceKind, DeviceRule};

use super::facts::Facts;
use crate::{Error, Result};

/// The nodes to make besides the ones every container has.
pub fn nodes(host_config: &HostConfig, facts: &Facts) -> Vec<Device> {
    let asked = facts.devices.iter().map(|(device, _)| device.clone());
    let all = if host_config.privileged { facts.all_devices.as_slice() } else { &[] };
    all.iter().cloned().chain(asked).collect()
}

/// The rules of the device cgroup.
pub fn rules(host_config: &HostConfig, facts: &Facts) -> Result<Vec<DeviceRule>> {
    let mut rules = defaults();
    if host_config.privileged {
        rules.push(DeviceRule { allow: true, access: Some("rwm".to_owned()), ..DeviceRule::default() });
        return Ok(rules);
    }
    rules.extend(facts.devices.iter().map(|(device, access)| DeviceRule {
        allow: true,
        kind: Some(device.kind),
        major: Some(device.major),
        minor: Some(device.minor),
        access: Some(access.clone()),
    }));
    for rule in host_config.resources.device_cgroup_rules.iter().flatten() {
        rules.push(parse_rule(rule)?);
    }
    Ok(rules)
}

/// Nothing, but the nodes that every container has (null, zero, full, random, urandom, tty, console), and not fuse.
fn defaults() -> Vec<DeviceRule> {
    let rule = |allow, numbers: Option<(i64, i64)>| DeviceRule {
        allow,
        kind: numbers.map(|_| DeviceKind::Char),
        major: numbers.map(|(major, _)| major),
        minor: numbers.map(|(_, minor)| minor),
        access: Some("rwm".to_owned()),
    };
    let allowed = [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)];
    let mut rules = vec![rule(false, None)];
    rules.extend(allowed.map(|numbers| rule(true, Some(numbers))));
    rules.push(rule(false, Some((10, 229))));
    rules
}

/// Reads a rule such as `c 13:* rwm`.
pub fn parse_rule(text: &str) -> Result<DeviceRule> {
    let invalid = || Error::invalid(format!("invalid device cgroup rule format: '{text}'"));
    let [kind, numbers, access] = text.split(' ').collect::<Vec<_>>()[..] else { return Err(invalid()) };
    let kind = match kind {
        "a" => DeviceKind::All,
        "c" => DeviceKind::Char,
        "b" => DeviceKind::Block,
        _ => return Err(invalid()),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(invalid)?;
    let number = |text: &str| match text {
        "*" => Ok(-1),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse::<i64>().map_err(|_| invalid()),
        _ => Err(invalid()),
    };
    if !is_access(access) {
        return Err(invalid());
    }
    Ok(DeviceRule {
        allow: true,
        kind: Some(kind),
        major: Some(number(major)?),
        minor: Some(number(minor)?),
        access: Some(access.to_owned()),
    })
}

/// One to three of `r`, `w` and `m`.
pub fn is_access(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'r' | b'w' | b'm'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let rule = parse_rule("c 13:* rwm").unwrap();
        assert_eq!((rule.kind, rule.major, rule.minor), (Some(DeviceKind::Char), Some(13), Some(-1)));
        for bad in
            ["", "c", "c 1:2", "x 1:2 r", "c 1 r", "c 1:2 x", "c 1:2 rwmr", "c -1:2 r", "c  1:2 r", "c : r"]
        {
            let message = format!("invalid device cgroup rule format: '{bad}'");
            assert_eq!(parse_rule(bad).unwrap_err().to_string(), message);
        }
    }
}
