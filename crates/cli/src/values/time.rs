//! Times: moments for `--since` and `--until`, and ages for tables.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use super::duration;

/// What `--since` and `--until` send: seconds, with nine decimals where they were given.
pub fn moment(text: &str, now: SystemTime) -> Result<String, String> {
    if let Ok(ago) = duration::parse(text) {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i128);
        let at = now - i128::from(ago);
        return Ok(format!("{}.{:09}", at.div_euclid(1_000_000_000), at.rem_euclid(1_000_000_000)));
    }
    let wrong = || format!("failed to parse value as time or duration: {text:?}");
    if !text.contains('-') {
        let (seconds, nanos) = text.split_once('.').unwrap_or((text, "0"));
        let number = |text: &str| text.parse::<i64>().is_ok();
        return if number(seconds) && number(nanos) { Ok(text.to_string()) } else { Err(wrong()) };
    }
    let at = date(text).ok_or_else(wrong)?;
    Ok(format!("{}.{:09}", at.as_second(), at.subsec_nanosecond()))
}

fn date(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    // A zone without seconds, or no zone at all: the zone of this machine.
    let (text, utc) = text.strip_suffix('Z').map_or((text, false), |text| (text, true));
    let text = match text.split_once('T') {
        Some((day, hour)) if !hour.contains(':') => format!("{day}T{hour}:00"),
        _ => text.to_string(),
    };
    let at: civil::DateTime = match text.parse() {
        Ok(at) => at,
        Err(_) => text.parse::<civil::Date>().ok()?.to_datetime(civil::Time::midnight()),
    };
    let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
    at.to_zoned(zone).ok().map(|zoned| zoned.timestamp())
}

/// How long ago, for a reader: `About a minute`, `3 weeks`.
pub fn human(seconds: i64) -> String {
    let hours = (seconds + 1800) / 3600;
    match (seconds, hours) {
        (..=0, _) => "Less than a second".into(),
        (1, _) => "1 second".into(),
        (2..=59, _) => format!("{seconds} seconds"),
        (60..=119, _) => "About a minute".into(),
        (120..=3599, _) => format!("{} minutes", seconds / 60),
        (_, ..=1) => "About an hour".into(),
        (_, 2..=47) => format!("{hours} hours"),
        (_, 48..=335) => format!("{} days", hours / 24),
        (_, 336..=1439) => format!("{} weeks", hours / 24 / 7),
        (_, 1440..=17519) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// How long ago a moment in seconds was: `3 weeks ago`.
pub fn ago(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
    format!("{} ago", human(now - seconds))
}

/// A moment in the zone of this machine as Go prints it: `2026-01-02 15:04:05 +0000 UTC`.
pub fn local(seconds: i64) -> String {
    zoned(seconds).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// A moment in the zone of this machine by RFC 3339: `2026-01-02T15:04:05Z`.
pub fn rfc3339(seconds: i64) -> String {
    let text = zoned(seconds).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    text.strip_suffix("+00:00").map_or(text.clone(), |text| format!("{text}Z"))
}

/// A moment of the API, RFC 3339, as Go spells it: `2026-01-02 15:04:05.25 +0000 UTC`.
pub fn spelled(moment: &str) -> String {
    let Some((day, rest)) = moment.split_once('T') else { return moment.to_string() };
    let at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let zone = match &rest[at..] {
        "Z" | "" => "+0000 UTC".to_string(),
        offset => {
            let offset = offset.replace(':', "");
            format!("{offset} {offset}")
        }
    };
    format!("{day} {} {zone}", &rest[..at])
}

/// The same with nine decimals, as events are printed.
pub fn rfc3339_nanos(nanos: i64) -> String {
    let seconds = nanos.div_euclid(1_000_000_000);
    let text = zoned(seconds).strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let zone = zoned(seconds).strftime("%:z").to_string();
    let zone = if zone == "+00:00" { "Z" } else { &zone };
    format!("{text}.{:09}{zone}", nanos.rem_euclid(1_000_000_000))
}

fn zoned(seconds: i64) -> jiff::Zoned {
    Timestamp::from_second(seconds).unwrap_or_default().to_zoned(TimeZone::system())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_sent_as_seconds() {
        let now = UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        for (text, sent) in [
            ("10s", Ok("999990.000000000")),
            ("1136073600.000000001", Ok("1136073600.000000001")),
            ("2006-01-02T15:04:05Z", Ok("1136214245.000000000")),
            ("2006-01-02T15:04:05.999999999Z", Ok("1136214245.999999999")),
            ("2006-01-02T15:04:05+01:00", Ok("1136210645.000000000")),
            ("2006-01-02T15:04Z", Ok("1136214240.000000000")),
            ("1136073600", Ok("1136073600")),
            ("xx", Err("failed to parse value as time or duration: \"xx\"")),
            ("2006-xx", Err("failed to parse value as time or duration: \"2006-xx\"")),
        ] {
            assert_eq!(moment(text, now), sent.map(String::from).map_err(String::from), "{text}");
        }
    }

    #[test]
    fn ages_are_told_as_docker_tells_them() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (179, "2 minutes"),
            (3600, "About an hour"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (3600 * 47, "47 hours"),
            (3600 * 48, "2 days"),
            (3600 * 24 * 14, "2 weeks"),
            (3600 * 24 * 60, "2 months"),
            (3600 * 24 * 365 * 2, "2 years"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }
}
