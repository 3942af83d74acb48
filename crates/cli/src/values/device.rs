//! `--device`, `--device-cgroup-rule`, `--device-*-bps` and relatives.

use boxship_api::container::{DeviceMapping, ThrottleDevice, WeightDevice};

use super::size;

/// Whether it is a set of `r`, `w`, `m`, each once.
fn is_mode(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| "rwm".contains(c))
        && text.chars().enumerate().all(|(at, c)| text.find(c) == Some(at))
}

/// `HOST[:CONTAINER][:MODE]`.
pub fn mapping(text: &str) -> Result<DeviceMapping, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, mode) = match parts[..] {
        ["", ..] => return Err(format!("bad format for path: {text}")),
        [path] => (path, path, "rwm"),
        [path, mode] if is_mode(mode) => (path, path, mode),
        [host, container] => (host, container, "rwm"),
        [_, _, mode] if !is_mode(mode) => return Err(format!("bad mode specified: {mode}")),
        [host, container, mode] => (host, container, mode),
        _ => return Err(format!("bad format for path: {text}")),
    };
    if !container.starts_with('/') {
        return Err(format!("{container} is not an absolute path"));
    }
    Ok(DeviceMapping {
        path_on_host: host.to_string(),
        path_in_container: container.to_string(),
        cgroup_permissions: mode.to_string(),
    })
}

/// `TYPE MAJOR:MINOR MODE`.
pub fn check_rule(text: &str) -> Result<(), String> {
    let number = |text: &str| text == "*" || !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = text.split(' ').collect();
    let fine = match parts[..] {
        [kind, numbers, mode] => {
            matches!(kind, "a" | "c" | "b")
                && numbers.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor))
                && (1..=3).contains(&mode.len())
                && mode.chars().all(|c| "rwm".contains(c))
        }
        _ => false,
    };
    if fine { Ok(()) } else { Err(format!("invalid device cgroup format '{text}'")) }
}

fn path(text: &str) -> Result<(&str, &str), String> {
    let (path, value) = text
        .split_once(':')
        .filter(|(path, _)| !path.is_empty())
        .ok_or_else(|| format!("bad format: {text}"))?;
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    Ok((path, value))
}

/// `DEVICE:SIZE` per second.
pub fn bytes_rate(text: &str) -> Result<ThrottleDevice, String> {
    let (path, value) = path(text)?;
    let wrong = |_| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a \
             positive integer. Unit is optional and can be kb, mb, or gb"
        )
    };
    let rate = size::parse(value).map_err(wrong)?;
    Ok(ThrottleDevice { path: path.to_string(), rate: rate.unsigned_abs() })
}

/// Checks `DEVICE:SIZE`.
pub fn check_bytes_rate(text: &str) -> Result<(), String> {
    bytes_rate(text).map(drop)
}

/// `DEVICE:NUMBER` of operations per second.
pub fn operations_rate(text: &str) -> Result<ThrottleDevice, String> {
    let (path, value) = path(text)?;
    let wrong = |_| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive \
             integer"
        )
    };
    Ok(ThrottleDevice { path: path.to_string(), rate: value.parse().map_err(wrong)? })
}

/// Checks `DEVICE:NUMBER`.
pub fn check_operations_rate(text: &str) -> Result<(), String> {
    operations_rate(text).map(drop)
}

/// `DEVICE:WEIGHT`.
pub fn weight(text: &str) -> Result<WeightDevice, String> {
    let (path, value) = path(text)?;
    let weight: Option<u16> =
        value.parse().ok().filter(|weight| *weight == 0 || (10..=1000).contains(weight));
    let weight = weight.ok_or_else(|| format!("invalid weight for device: {text}"))?;
    Ok(WeightDevice { path: path.to_string(), weight })
}

/// Checks `DEVICE:WEIGHT`.
pub fn check_weight(text: &str) -> Result<(), String> {
    weight(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings() {
        for (text, expected) in [
            ("/dev/fuse", Ok("/dev/fuse /dev/fuse rwm")),
            ("/dev/fuse:r", Ok("/dev/fuse /dev/fuse r")),
            ("/dev/fuse:/dev/x", Ok("/dev/fuse /dev/x rwm")),
            ("/dev/fuse:/dev/x:rw", Ok("/dev/fuse /dev/x rw")),
            ("/dev/fuse:/dev/x:rr", Err("bad mode specified: rr")),
            ("", Err("bad format for path: ")),
            ("fuse", Err("fuse is not an absolute path")),
            ("/a:/b:rw:x", Err("bad format for path: /a:/b:rw:x")),
        ] {
            let got = mapping(text)
                .map(|d| format!("{} {} {}", d.path_on_host, d.path_in_container, d.cgroup_permissions));
            assert_eq!(got, expected.map(String::from).map_err(String::from), "{text}");
        }
    }

    #[test]
    fn rules_and_rates() {
        assert!(check_rule("c 1:3 rwm").is_ok() && check_rule("a *:* rwm").is_ok());
        assert!(
            check_rule("c 1:3").is_err()
                && check_rule("x 1:3 r").is_err()
                && check_rule("c 1:3 rwmr").is_err()
        );
        assert_eq!(bytes_rate("/dev/sda:1mb").unwrap().rate, 1 << 20);
        assert_eq!(operations_rate("/dev/sda:7").unwrap().rate, 7);
        assert_eq!(weight("/dev/sda:10").unwrap().weight, 10);
        assert_eq!(weight("/dev/sda:5").unwrap_err(), "invalid weight for device: /dev/sda:5");
        assert_eq!(bytes_rate("sda:1").unwrap_err(), "bad format for device path: sda:1");
    }
}
