//! Numbers, sizes and truths in the forms that Docker takes for log options, with Go's messages.

/// A size such as `10m`, `1.5 GB`, with `base` 1000 or 1024 for the units (go-units `FromHumanSize`, `RAMInBytes`).
pub(super) fn parse(text: &str, base: u64) -> Result<u64, String> {
    let bad_size = || format!("invalid size: '{text}'");
    let last = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').ok_or_else(bad_size)?;
    let number = if text.as_bytes()[last] == b' ' { &text[..last] } else { &text[..=last] };
    let suffix = text[last + 1..].to_ascii_lowercase();
    let plain =
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
    let value: f64 = match number.parse() {
        Ok(value) if plain => value,
        _ => return Err(format!("strconv.ParseFloat: parsing \"{number}\": invalid syntax")),
    };
    if value < 0.0 {
        return Err(bad_size());
    }
    let (unit, rest) = suffix.split_at(suffix.char_indices().nth(1).map_or(suffix.len(), |(at, _)| at));
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == unit);
    let factor = match (unit, rest, power) {
        ("b", "", _) => 1,
        ("", _, _) => 1,
        (_, "" | "b" | "ib", Some(power)) => base.pow(power as u32),
        _ => return Err(format!("invalid suffix: '{suffix}'")),
    };
    Ok((value * factor as f64) as u64)
}

/// Go's `strconv.Atoi`.
pub(super) fn integer(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("strconv.Atoi: parsing \"{text}\": invalid syntax"))
}

/// Go's `strconv.ParseBool`.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing \"{text}\": invalid syntax")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, base, expect) in [
            ("32", 1000, Some(32)),
            ("32b", 1000, Some(32)),
            ("32k", 1000, Some(32_000)),
            ("32k", 1024, Some(32_768)),
            ("32KB", 1000, Some(32_000)),
            ("32 MiB", 1000, Some(32_000_000)),
            ("1.5g", 1000, Some(1_500_000_000)),
            ("32kx", 1000, None),
            ("32x", 1000, None),
            ("32é", 1000, None),
            ("-32", 1000, None),
            ("", 1000, None),
            ("k", 1000, None),
            ("nan", 1000, None),
        ] {
            assert_eq!(parse(text, base).ok(), expect, "{text}");
        }
    }
}
