//! Health checks: `--health-*` and `--no-healthcheck`.

use boxship_api::container::HealthConfig;

use super::duration;
use crate::flags::Parsed;

/// The check that the flags describe; `None` leaves the image's as it is.
pub fn check(parsed: &Parsed) -> Result<Option<HealthConfig>, String> {
    let times = ["health-interval", "health-timeout", "health-start-period", "health-start-interval"];
    let any = times.iter().chain(&["health-cmd", "health-retries"]).any(|name| parsed.given(name));
    if parsed.on("no-healthcheck") {
        if any {
            return Err("--no-healthcheck conflicts with --health-* options".into());
        }
        return Ok(Some(HealthConfig { test: vec!["NONE".into()], ..HealthConfig::default() }));
    }
    if !any {
        return Ok(None);
    }
    let time = |name: &str| -> Result<i64, String> {
        let nanos = parsed.filled(name).map_or(Ok(0), |text| duration::parse(&text))?;
        if nanos < 0 { Err(format!("--{name} cannot be negative")) } else { Ok(nanos) }
    };
    let retries = parsed.number("health-retries").unwrap_or(0);
    if retries < 0 {
        return Err("--health-retries cannot be negative".into());
    }
    let command = parsed.filled("health-cmd");
    Ok(Some(HealthConfig {
        test: command.map_or_else(Vec::new, |command| vec!["CMD-SHELL".into(), command]),
        interval: time("health-interval")?,
        timeout: time("health-timeout")?,
        start_period: time("health-start-period")?,
        start_interval: time("health-start-interval")?,
        retries,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{self, Flag};

    const FLAGS: &[Flag] = &[
        Flag::switch("no-healthcheck", ""),
        Flag::value("health-cmd", "string", ""),
        Flag::value("health-interval", "duration", ""),
        Flag::value("health-retries", "int", ""),
    ];

    fn read(line: &str) -> Result<Option<HealthConfig>, String> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        check(&flags::parse(FLAGS, true, &words).unwrap())
    }

    #[test]
    fn checks_are_read() {
        assert_eq!(read("").unwrap(), None);
        assert_eq!(read("--no-healthcheck").unwrap().unwrap().test, ["NONE"]);
        let check = read("--health-cmd true --health-interval 1.5s --health-retries 2").unwrap().unwrap();
        assert_eq!(
            (check.test, check.interval, check.retries),
            (vec!["CMD-SHELL".into(), "true".into()], 1_500_000_000, 2)
        );
        assert!(read("--no-healthcheck --health-cmd true").unwrap_err().contains("conflicts"));
        assert_eq!(read("--health-interval -1s").unwrap_err(), "--health-interval cannot be negative");
    }
}
