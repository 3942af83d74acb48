//! Times as Go writes and reads them: RFC 3339 with nanoseconds, `since`/`until` parameters.
//! Written in UTC; no clock and no time zone is ever asked here.

use boxship_oci::go;

/// A point in time: seconds since 1970 and nanoseconds after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds, negative before 1970.
    pub seconds: i64,
    /// 0 to 999 999 999.
    pub nanos: u32,
}

/// Go's zero time, as it is written: "never".
pub const ZERO: &str = "0001-01-01T00:00:00Z";

const NANOS_PER_SECOND: i128 = 1_000_000_000;

impl Timestamp {
    /// From nanoseconds since 1970.
    pub fn from_nanos(nanos: i128) -> Self {
        Self {
            seconds: nanos.div_euclid(NANOS_PER_SECOND) as i64,
            nanos: nanos.rem_euclid(NANOS_PER_SECOND) as u32,
        }
    }

    /// From the system's clock.
    pub fn from_system(time: std::time::SystemTime) -> Self {
        match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => Self { seconds: after.as_secs() as i64, nanos: after.subsec_nanos() },
            Err(before) => Self::from_nanos(-(before.duration().as_nanos() as i128)),
        }
    }

    /// Nanoseconds since 1970.
    pub fn to_nanos(self) -> i128 {
        i128::from(self.seconds) * NANOS_PER_SECOND + i128::from(self.nanos)
    }

    /// `2006-01-02T15:04:05.999999999Z`: trailing zeros left out, as Go's `RFC3339Nano`.
    pub fn rfc3339_nano(self) -> String {
        if self.nanos == 0 {
            return self.date_time() + "Z";
        }
        let fraction = format!("{:09}", self.nanos);
        format!("{}.{}Z", self.date_time(), fraction.trim_end_matches('0'))
    }

    /// `2006-01-02T15:04:05.000000000Z`: always nine digits, as in logs.
    pub fn rfc3339_nano_fixed(self) -> String {
        format!("{}.{:09}Z", self.date_time(), self.nanos)
    }

    fn date_time(self) -> String {
        let (days, rest) = (self.seconds.div_euclid(86_400), self.seconds.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }

    /// Reads RFC 3339, with `Z` or an offset.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let split = text.find(['Z', '+']).or_else(|| text.rfind('-').filter(|&at| at > 10))?;
        let (local, zone) = text.split_at(split);
        Self::parse_local(local, offset_of(zone)?)
    }

    /// Reads a `since`/`until` parameter: a duration before `now`, `seconds[.nanos]`, or a date with optional time and
    /// zone (`offset` seconds east of UTC when it names none).
    pub fn parse_parameter(text: &str, now: Self, offset: i64) -> Option<Self> {
        if let Ok(ago) = go::duration(text) {
            return Some(Self::from_nanos(now.to_nanos() - i128::from(ago)));
        }
        Self::parse_unix(text)
            .or_else(|| Self::parse_rfc3339(text))
            .or_else(|| Self::parse_local(text, offset))
    }

    /// Reads `seconds[.fraction]`.
    pub fn parse_unix(text: &str) -> Option<Self> {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let nanos = parse_fraction(fraction)?;
        Some(Self { seconds: seconds.parse().ok()?, nanos })
    }

    /// Reads `2006-01-02[T15[:04[:05[.999999999]]]]`.
    fn parse_local(text: &str, offset: i64) -> Option<Self> {
        let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
        let mut parts = date.splitn(3, '-').map(digits);
        let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
        let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
        let mut parts = time.splitn(3, ':').map(digits);
        let (hour, minute, second) =
            (parts.next()??, parts.next().unwrap_or(Some(0))?, parts.next().unwrap_or(Some(0))?);
        let sane = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && year <= 9999
            && hour < 24
            && minute < 60
            && second <= 60;
        let seconds =
            days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
        sane.then_some(Self { seconds, nanos: parse_fraction(fraction)? })
    }
}

fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Up to nine digits after the point, as nanoseconds.
fn parse_fraction(text: &str) -> Option<u32> {
    let plain = text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| format!("{text:0<9}").parse().ok()).flatten()
}

fn offset_of(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = (if zone.starts_with('-') { -1 } else { 1 }, zone.get(1..)?);
    let (hours, minutes) = rest.split_once(':')?;
    Some(sign * (digits(hours)? * 3600 + digits(minutes)? * 60))
}

/// Days since 1970 to a date of the Gregorian calendar (years of 400 × 365.2425 days, counted from March).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// The reverse of [`civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_prints_times_so() {
        for (seconds, nanos, expect) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (1_700_000_000, 120_000_000, "2023-11-14T22:13:20.12Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000000001Z"),
            (-62_135_596_800, 0, ZERO),
            (4_107_542_399, 999_999_999, "2100-02-28T23:59:59.999999999Z"),
        ] {
            let time = Timestamp { seconds, nanos };
            assert_eq!(time.rfc3339_nano(), expect);
            assert_eq!(Timestamp::parse_rfc3339(expect), Some(time), "{expect}");
        }
        let fixed = Timestamp { seconds: 0, nanos: 120 }.rfc3339_nano_fixed();
        assert_eq!(fixed, "1970-01-01T00:00:00.000000120Z");
    }

    #[test]
    fn parameters_come_in_many_forms() {
        let now = Timestamp { seconds: 10_000, nanos: 0 };
        for (text, expect) in [
            ("10m", Some((9_400, 0))),
            ("1h30m", Some((4_600, 0))),
            ("1.5s", Some((9_998, 500_000_000))),
            ("123", Some((123, 0))),
            ("123.000000009", Some((123, 9))),
            ("1970-01-01T01:00:00+01:00", Some((0, 0))),
            ("1970-01-01T00:00:00-01:30", Some((5_400, 0))),
            ("1970-01-02", Some((86_400 - 3_600, 0))),
            ("1970-01-01T02", Some((3_600, 0))),
            ("1970-01-01T02:30:10.5", Some((5_410, 500_000_000))),
            ("", None),
            ("bogus", None),
            ("1970-13-01", None),
            ("1970-01-01T25", None),
            ("5x", None),
        ] {
            let expect = expect.map(|(seconds, nanos)| Timestamp { seconds, nanos });
            assert_eq!(Timestamp::parse_parameter(text, now, 3_600), expect, "{text}");
        }
    }
}
