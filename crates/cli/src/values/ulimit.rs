//! `--ulimit NAME=SOFT[:HARD]`.

use boxship_api::container::Ulimit;

/// The names that the kernel's limits have (setrlimit(2)).
const NAMES: &[&str] = &[
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// One limit.
pub fn parse(text: &str) -> Result<Ulimit, String> {
    let wrong = || format!("invalid ulimit argument: {text}");
    let (name, values) = text.split_once('=').ok_or_else(wrong)?;
    if !NAMES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let (soft, hard) = match values.split_once(':') {
        Some((soft, hard)) => (number(soft)?, number(hard)?),
        None => (number(values)?, number(values)?),
    };
    if hard >= 0 && (soft > hard || soft == -1) {
        return Err(format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"));
    }
    Ok(Ulimit { name: name.to_string(), soft, hard })
}

/// The same for checking a flag.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

fn number(text: &str) -> Result<i64, String> {
    let value = crate::flags::number(text)?;
    if value < -1 { Err(format!("limit {value} is negative")) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let both = parse("nofile=100:200").unwrap();
        assert_eq!((both.soft, both.hard), (100, 200));
        assert_eq!(parse("core=-1").unwrap().hard, -1);
        assert_eq!(parse("foo").unwrap_err(), "invalid ulimit argument: foo");
        assert_eq!(parse("foo=1").unwrap_err(), "invalid ulimit type: foo");
        assert!(parse("nofile=2:1").unwrap_err().contains("2 > 1"));
    }
}
