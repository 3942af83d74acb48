//! Go's and go-units' notations of durations, sizes and booleans, in which images, requests, flags and options of
//! logs are written, with the messages of their parsers: one reading for all rooms, so that no two disagree.

/// Nanoseconds of a duration such as `1h30m`, `250ms`, `-1.5s` (`time.ParseDuration`).
pub fn duration(text: &str) -> Result<i64, String> {
    let wrong = || format!("time: invalid duration {text:?}");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (unit, after) = rest.split_at(letters);
        total += number
            * match unit {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 6e10,
                "h" => 3.6e12,
                "" => return Err(format!("time: missing unit in duration {text:?}")),
                other => return Err(format!("time: unknown unit {other:?} in duration {text:?}")),
            };
        rest = after;
    }
    if total < i64::MAX as f64 { Ok((sign * total) as i64) } else { Err(wrong()) }
}

/// Bytes of a size such as `10m`, `1.5 GiB`, never negative. Units are powers of `base`, whatever the suffix says:
/// 1024 (`RAMInBytes`) or 1000 (`FromHumanSize`).
pub fn size(text: &str, base: u64) -> Result<i64, String> {
    let wrong = || format!("invalid size: '{text}'");
    let at = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').ok_or_else(wrong)?;
    let end = if text.as_bytes()[at] == b' ' { at } else { at + 1 };
    let (digits, suffix) = (&text[..end], text[at + 1..].to_ascii_lowercase());
    let number: f64 = match digits.parse() {
        // Rust reads "inf" and "nan" too.
        Ok(number) if digits.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) => number,
        _ => return Err(format!("strconv.ParseFloat: parsing {digits:?}: invalid syntax")),
    };
    if number < 0.0 {
        return Err(wrong());
    }
    let power = match suffix.as_bytes() {
        [] | b"b" => 0,
        [letter, rest @ ..] if b"kmgtp".contains(letter) && matches!(rest, b"" | b"b" | b"ib") => {
            1 + b"kmgtp".iter().take_while(|known| *known != letter).count() as i32
        }
        _ => return Err(format!("invalid suffix: '{suffix}'")),
    };
    let bytes = number * (base as f64).powi(power);
    if bytes < i64::MAX as f64 { Ok(bytes as i64) } else { Err(wrong()) }
}

/// A truth (`strconv.ParseBool`).
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_go_durations() {
        assert_eq!(duration("-1.5h"), Ok(-5_400_000_000_000));
        assert_eq!(duration("300ms"), Ok(300_000_000));
        assert_eq!(duration("0"), Ok(0));
        for bad in ["", "1", "h", "1d", "1h30", "é", "99999999999h"] {
            assert_eq!(duration(bad).ok(), None, "{bad}");
        }
    }

    #[test]
    fn units_of_sizes_are_powers_of_the_base() {
        assert_eq!(size("32MiB", 1000), Ok(32_000_000));
        assert_eq!(size("32MB", 1024), Ok(32 << 20));
        assert_eq!(size("1e3", 1000), Ok(1000));
        assert_eq!(size("3 kk", 1000), Err("invalid suffix: 'kk'".into()));
        assert_eq!(size("99999p", 1024), Err("invalid size: '99999p'".into()));
    }

    #[test]
    fn sizes() {
        for (text, expect) in [
            ("64m", Some(64 << 20)),
            ("1GiB", Some(1 << 30)),
            ("1.5k", Some(1536)),
            ("1048576", Some(1 << 20)),
            ("10b", Some(10)),
            ("", None),
            ("x", None),
            ("1x", None),
            ("-1", None),
            ("99999p", None),
        ] {
            assert_eq!(size(text, 1024).ok(), expect, "{text}");
        }
    }

    #[test]
    fn truths() {
        assert_eq!(boolean("True"), Ok(true));
        assert_eq!(boolean("f"), Ok(false));
        assert_eq!(boolean("yes"), Err("strconv.ParseBool: parsing \"yes\": invalid syntax".into()));
    }
}
