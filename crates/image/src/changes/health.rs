//! The HEALTHCHECK instruction.

use boxship_oci::go;
use boxship_oci::image::Healthcheck;

use super::{array, refuse};
use crate::Result;

const MILLISECOND: i64 = 1_000_000;

/// Parses what stands behind `HEALTHCHECK`.
pub(super) fn parse(rest: &str) -> Result<Healthcheck> {
    let mut check = Healthcheck::default();
    let mut rest = rest;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        set(&mut check, name, value)?;
        rest = after.trim_start();
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    check.test = match &*kind.to_ascii_uppercase() {
        "NONE" if command.trim().is_empty() => vec!["NONE".to_owned()],
        "NONE" => return Err(refuse("HEALTHCHECK NONE takes no arguments")),
        "CMD" if command.trim().is_empty() => return Err(refuse("Missing command after HEALTHCHECK CMD")),
        "CMD" => test(command.trim())?,
        "" => return Err(refuse("HEALTHCHECK requires at least one argument")),
        _ => return Err(refuse(format!("Unknown type {kind:?} in HEALTHCHECK (try CMD)"))),
    };
    Ok(check)
}

fn test(command: &str) -> Result<Vec<String>> {
    match array(command)? {
        Some(words) if words.is_empty() => Err(refuse("Missing command after HEALTHCHECK CMD")),
        Some(words) => Ok([vec!["CMD".to_owned()], words].concat()),
        None => Ok(vec!["CMD-SHELL".to_owned(), command.to_owned()]),
    }
}

fn set(check: &mut Healthcheck, name: &str, value: &str) -> Result<()> {
    match name {
        "interval" => check.interval = duration(name, value)?,
        "timeout" => check.timeout = duration(name, value)?,
        "start-period" => check.start_period = duration(name, value)?,
        "start-interval" => check.start_interval = duration(name, value)?,
        "retries" => {
            let retries = value.parse::<i64>().ok().filter(|retries| *retries >= 0);
            check.retries =
                retries.ok_or_else(|| refuse(format!("--retries must be at least 0 (not {value})")))?;
        }
        _ => return Err(refuse(format!("unknown flag: {name}"))),
    }
    Ok(())
}

/// Go's notation: `1h2m3.5s`; 0 takes the default.
fn duration(name: &str, value: &str) -> Result<i64> {
    let nanos = go::duration(value).map_err(refuse)?;
    if nanos == 0 || nanos >= MILLISECOND {
        return Ok(nanos);
    }
    Err(refuse(format!("Interval {name:?} cannot be less than 1ms")))
}
