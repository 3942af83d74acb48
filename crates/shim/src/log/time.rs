//! RFC 3339 in UTC with nanoseconds, in Go's two forms. Written by hand: every line of every log needs it.

use jiff::Timestamp;

/// `2006-01-02T15:04:05.000000000Z`, as `logs --timestamps` shows.
pub fn push_fixed(text: &mut Vec<u8>, time: Timestamp) {
    push_seconds(text, time.as_second());
    let mut digits = [0; 10];
    fraction(&mut digits, time.subsec_nanosecond().unsigned_abs());
    text.extend_from_slice(&digits);
    text.push(b'Z');
}

/// `2006-01-02T15:04:05.999999999Z`: as fixed, without trailing zeros (Go's RFC3339Nano).
pub fn push_nano(text: &mut Vec<u8>, time: Timestamp) {
    push_seconds(text, time.as_second());
    push_fraction_trimmed(text, time.subsec_nanosecond().unsigned_abs());
    text.push(b'Z');
}

/// The fraction without trailing zeros, nothing for a whole second.
pub(crate) fn push_fraction_trimmed(text: &mut Vec<u8>, nanoseconds: u32) {
    if nanoseconds == 0 {
        return;
    }
    let mut digits = [0; 10];
    fraction(&mut digits, nanoseconds);
    let end = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    text.extend_from_slice(&digits[..end]);
}

fn fraction(digits: &mut [u8; 10], mut nanoseconds: u32) {
    digits[0] = b'.';
    for digit in digits[1..].iter_mut().rev() {
        *digit = b'0' + (nanoseconds % 10) as u8;
        nanoseconds /= 10;
    }
}

/// Date and time to the second. Times before 1970 do not occur; they show as 1970.
pub(crate) fn push_seconds(text: &mut Vec<u8>, seconds: i64) {
    let seconds = seconds.max(0).unsigned_abs();
    let (year, month, day) = civil(seconds / 86_400);
    let second = seconds % 86_400;
    push_number(text, year, 4);
    text.push(b'-');
    push_number(text, month, 2);
    text.push(b'-');
    push_number(text, day, 2);
    text.push(b'T');
    push_number(text, second / 3600, 2);
    text.push(b':');
    push_number(text, second / 60 % 60, 2);
    text.push(b':');
    push_number(text, second % 60, 2);
}

fn push_number(text: &mut Vec<u8>, number: u64, width: u32) {
    for place in (0..width).rev() {
        text.push(b'0' + (number / 10_u64.pow(place) % 10) as u8);
    }
}

/// Year, month and day of a day counted from 1970-01-01 (the proleptic Gregorian calendar's 400-year eras, which begin
/// on the first of March).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_writes() {
        for (time, fixed, nano) in [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z", "1970-01-01T00:00:00Z"),
            ("2024-02-29T23:59:59.12Z", "2024-02-29T23:59:59.120000000Z", "2024-02-29T23:59:59.12Z"),
            (
                "2026-11-21T01:02:03.000000001Z",
                "2026-11-21T01:02:03.000000001Z",
                "2026-11-21T01:02:03.000000001Z",
            ),
            ("2100-03-01T00:00:00.9Z", "2100-03-01T00:00:00.900000000Z", "2100-03-01T00:00:00.9Z"),
        ] {
            let time: Timestamp = time.parse().unwrap();
            let (mut a, mut b) = (Vec::new(), Vec::new());
            push_fixed(&mut a, time);
            push_nano(&mut b, time);
            assert_eq!((a.as_slice(), b.as_slice()), (fixed.as_bytes(), nano.as_bytes()));
        }
    }
}
