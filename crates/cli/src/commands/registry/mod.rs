//! `registry`: a registry from this executable, and what keeps its folder in order.
//!
//! `serve` needs no daemon. The other commands work on the storage folder itself, also while a server does: the same
//! locks and the same order of writes hold for both (`boxship_registry::storage`).

pub mod du;
pub mod gc;
pub mod ls;
pub mod rm;
pub mod serve;
pub mod tags;

use std::path::Path;
use std::time::Duration;

use boxship_registry::name::RepositoryName;
use boxship_registry::{Error, Storage};
use boxship_sys::error::plain;

use crate::command::Group;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;
use crate::values::{duration, size};

/// `registry`.
pub const REGISTRY: Group = Group {
    name: "registry",
    about: "Serve images to others, and keep the registry in order",
    commands: &[
        (&["du"], &du::DU),
        (&["gc"], &gc::GC),
        (&["ls", "list"], &ls::LS),
        (&["rm", "remove"], &rm::RM),
        (&["serve"], &serve::SERVE),
        (&["tags"], &tags::TAGS),
    ],
};

/// Where images are kept unless something else is said.
const DEFAULT_STORAGE: &str = "/var/lib/boxship-registry";

/// Which storage is meant.
const STORAGE: Flag =
    Flag::value("storage", "string", "Folder in which images are kept").short('s').default(DEFAULT_STORAGE);

fn storage_path(invocation: &Invocation) -> String {
    invocation.parsed.filled("storage").unwrap_or_else(|| DEFAULT_STORAGE.into())
}

/// Opens the storage that is meant.
fn storage(invocation: &Invocation) -> Result<Storage> {
    Storage::open(Path::new(&storage_path(invocation))).map_err(failed)
}

fn failed(error: Error) -> Failure {
    Failure::new(plain(&error.to_string()))
}

fn repository(text: &str) -> Result<RepositoryName> {
    text.parse().map_err(|why| Failure::new(format!("{text:?}: {why}")))
}

/// A time that a flag gives: Go's durations, and days.
fn period(text: &str) -> std::result::Result<Duration, String> {
    let nanos = match text.strip_suffix('d').map(str::parse::<i64>) {
        Some(Ok(days)) => days.checked_mul(24 * 3600 * 1_000_000_000).ok_or("too long")?,
        _ => duration::parse(text)?,
    };
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| "must not be negative".to_string())
}

fn check_period(text: &str) -> std::result::Result<(), String> {
    period(text).map(drop)
}

/// A flag's time; it was checked when it was read.
fn given_period(invocation: &Invocation, flag: &str) -> Option<Duration> {
    invocation.parsed.text(flag).and_then(|text| period(text).ok())
}

/// A count that a flag gives.
fn check_count(text: &str) -> std::result::Result<(), String> {
    match crate::flags::number(text)? {
        count if count < 0 => Err("must not be negative".into()),
        _ => Ok(()),
    }
}

fn given_count(invocation: &Invocation, flag: &str) -> Option<usize> {
    invocation.parsed.number(flag).and_then(|count| usize::try_from(count).ok())
}

fn human(bytes: u64) -> String {
    size::human(bytes as f64, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_have_days() {
        for (text, seconds) in [("1d", Some(86_400)), ("90m", Some(5_400)), ("0", Some(0))] {
            assert_eq!(period(text).ok().map(|period| period.as_secs()), seconds, "{text}");
        }
        for bad in ["-1h", "-1d", "x", "1", "999999999999d"] {
            assert!(period(bad).is_err(), "{bad}");
        }
    }
}
