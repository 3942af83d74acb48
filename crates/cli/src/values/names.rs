//! Names and short words: labels, variables, sysctls, streams, hosts.

use std::net::IpAddr;

/// `KEY[=VALUE]` of a label.
pub fn check_label(text: &str) -> Result<(), String> {
    let key = text.split('=').next().unwrap_or_default().trim_start_matches([' ', '\t']);
    match key {
        "" => Err(format!("invalid label '{text}': empty name")),
        key if key.contains([' ', '\t']) => Err(format!("label '{key}' contains whitespaces")),
        _ => Ok(()),
    }
}

/// `KEY[=VALUE]` of a variable.
pub fn check_env(text: &str) -> Result<(), String> {
    if text.is_empty() || text.starts_with('=') {
        return Err(format!("invalid environment variable: {text}"));
    }
    Ok(())
}

/// `KEY=VALUE` of a sysctl that belongs to a namespace.
pub fn check_sysctl(text: &str) -> Result<(), String> {
    let fine = text.split_once('=').is_some_and(|(key, _)| {
        boxship_oci::runtime::sysctl::IPC_PARAMETERS.contains(&key)
            || key.starts_with("net.")
            || key.starts_with("fs.mqueue.")
    });
    if fine { Ok(()) } else { Err(format!("sysctl '{text}' is not allowed")) }
}

/// `STDIN`, `STDOUT`, `STDERR`.
pub fn check_stream(text: &str) -> Result<(), String> {
    match text.to_ascii_lowercase().as_str() {
        "stdin" | "stdout" | "stderr" => Ok(()),
        _ => Err("valid streams are STDIN, STDOUT and STDERR".into()),
    }
}

/// An address for `--dns`, as it is sent.
pub fn address(text: &str) -> Result<String, String> {
    let parsed = text.trim().parse::<IpAddr>();
    parsed.map(|ip| ip.to_string()).map_err(|_| format!("IP address is not correctly formatted: {text}"))
}

/// Checks an address for `--dns`.
pub fn check_address(text: &str) -> Result<(), String> {
    address(text).map(drop)
}

/// A domain for `--dns-search`, as it is sent.
pub fn domain(text: &str) -> Result<String, String> {
    let text = text.trim_matches(' ');
    if text == "." {
        return Ok(text.to_string());
    }
    let bare = text.trim_end();
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == ':')
    };
    let fine =
        bare.chars().any(|c| c.is_ascii_alphabetic()) && bare.split('.').all(label) && bare.len() < 255;
    if fine { Ok(bare.to_string()) } else { Err(format!("{text} is not a valid domain")) }
}

/// Checks a domain for `--dns-search`.
pub fn check_domain(text: &str) -> Result<(), String> {
    domain(text).map(drop)
}

/// `HOST:IP` or `HOST=IP` of `--add-host`, as it is sent.
pub fn extra_host(text: &str) -> Result<String, String> {
    let wrong = || format!("bad format for add-host: {text:?}");
    let (name, ip) = text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(wrong)?;
    if name.is_empty() || name.contains(':') {
        return Err(wrong());
    }
    if ip == "host-gateway" {
        return Ok(format!("{name}:{ip}"));
    }
    let ip =
        ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).filter(|ip| !ip.is_empty()).unwrap_or(ip);
    if ip.trim().parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {ip:?}"));
    }
    Ok(format!("{name}:{ip}"))
}

/// Checks `HOST:IP`.
pub fn check_extra_host(text: &str) -> Result<(), String> {
    extra_host(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_judged_as_docker_does() {
        for (check, text, expected) in [
            (check_label as fn(&str) -> Result<(), String>, "a.b=c d", Ok(())),
            (check_label, "=x", Err("invalid label '=x': empty name")),
            (check_label, "a b=c", Err("label 'a b' contains whitespaces")),
            (check_env, "A", Ok(())),
            (check_env, "=a", Err("invalid environment variable: =a")),
            (check_sysctl, "net.ipv4.ip_forward=1", Ok(())),
            (check_sysctl, "kernel.shmmax=1", Ok(())),
            (check_sysctl, "foo.bar=1", Err("sysctl 'foo.bar=1' is not allowed")),
            (check_stream, "StdOut", Ok(())),
            (check_stream, "x", Err("valid streams are STDIN, STDOUT and STDERR")),
            (check_address, "8.8.8.8x", Err("IP address is not correctly formatted: 8.8.8.8x")),
            (check_domain, "example.com", Ok(())),
            (check_domain, "1.2", Err("1.2 is not a valid domain")),
            (check_extra_host, "x", Err("bad format for add-host: \"x\"")),
            (check_extra_host, "x:300.1.1.1", Err("invalid IP address in add-host: \"300.1.1.1\"")),
        ] {
            assert_eq!(check(text), expected.map_err(String::from), "{text}");
        }
        assert_eq!(extra_host("x=[::1]").unwrap(), "x:::1");
        assert_eq!(extra_host("x:::1").unwrap(), "x:::1");
        assert_eq!(extra_host("x:host-gateway").unwrap(), "x:host-gateway");
        assert_eq!(address("fe80:0::1").unwrap(), "fe80::1");
    }
}
