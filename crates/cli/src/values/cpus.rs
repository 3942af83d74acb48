//! `--cpus`: a decimal number or a fraction, in billionths of a processor.

/// Nano CPUs.
pub fn parse(text: &str) -> Result<i64, String> {
    let wrong = || format!("failed to parse {text} as a rational number");
    let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
    let (above, scale) = decimal(numerator).ok_or_else(wrong)?;
    let below: i128 = denominator.parse().map_err(|_| wrong())?;
    let below = below.checked_mul(scale).filter(|below| *below > 0).ok_or_else(wrong)?;
    let scaled = above.checked_mul(1_000_000_000).ok_or_else(wrong)?;
    if scaled % below != 0 {
        return Err("value is too precise".into());
    }
    i64::try_from(scaled / below).map_err(|_| wrong())
}

/// The same for checking a flag.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

/// `1.25` as 125 and 100.
fn decimal(text: &str) -> Option<(i128, i128)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fine = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() <= 18;
    let negative = whole.starts_with('-');
    let digits = whole.trim_start_matches(['-', '+']);
    if !fine(digits) || !fine(fraction) || digits.len() + fraction.len() == 0 {
        return None;
    }
    let value: i128 = format!("{digits}{fraction}").parse().ok()?;
    Some((if negative { -value } else { value }, 10i128.pow(fraction.len() as u32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_rational_numbers() {
        for (text, nanos) in [
            ("1.5", Ok(1_500_000_000)),
            ("0.000000001", Ok(1)),
            ("2", Ok(2_000_000_000)),
            (".5", Ok(500_000_000)),
            ("1/2", Ok(500_000_000)),
            ("1/3", Err("value is too precise")),
            ("x", Err("failed to parse x as a rational number")),
            ("", Err("failed to parse  as a rational number")),
        ] {
            assert_eq!(parse(text), nanos.map_err(String::from), "{text}");
        }
    }
}
