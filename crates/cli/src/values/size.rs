//! Sizes: as users type them (`512m`, `1.5GiB`) and as tables show them (`1.23MB`, `7.5GiB`).

/// Reads a size as Docker does: binary units, whatever the suffix says.
pub fn parse(text: &str) -> Result<i64, String> {
    boxship_oci::go::size(text, 1024)
}

/// Checks a size given to a flag.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

/// Reads a size of which `-1` means without end.
pub fn parse_swap(text: &str) -> Result<i64, String> {
    if text == "-1" { Ok(-1) } else { parse(text) }
}

/// Checks a size of which `-1` means without end.
pub fn check_swap(text: &str) -> Result<(), String> {
    parse_swap(text).map(drop)
}

/// Decimal units with so many digits: `1.23MB`.
pub fn human(size: f64, digits: usize) -> String {
    scaled(size, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"], digits)
}

/// Binary units with four digits: `7.504GiB`.
pub fn binary(size: f64) -> String {
    scaled(size, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"], 4)
}

fn scaled(mut size: f64, base: f64, units: &[&str], digits: usize) -> String {
    let mut unit = 0;
    while size >= base && unit + 1 < units.len() {
        size /= base;
        unit += 1;
    }
    format!("{}{}", shortest(size, digits), units[unit])
}

/// C's and Go's `%.*g` for numbers that are not negative.
fn shortest(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    trim(&format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, value) in [
            ("32", Ok(32)),
            ("32b", Ok(32)),
            ("32k", Ok(32 << 10)),
            ("32KB", Ok(32 << 10)),
            ("32 mb", Ok(32 << 20)),
            ("1.5GiB", Ok(3 << 29)),
            ("2T", Ok(2 << 40)),
            ("3p", Ok(3 << 50)),
            ("", Err("invalid size: ''")),
            ("hello", Err("invalid size: 'hello'")),
            ("-32", Err("invalid size: '-32'")),
            ("3x", Err("invalid suffix: 'x'")),
            ("3kbx", Err("invalid suffix: 'kbx'")),
            ("3 kk", Err("invalid suffix: 'kk'")),
            ("x3", Err("strconv.ParseFloat: parsing \"x3\": invalid syntax")),
        ] {
            assert_eq!(parse(text), value.map_err(String::from), "{text}");
        }
        assert_eq!(parse_swap("-1"), Ok(-1));
    }

    #[test]
    fn sizes_are_shown_as_docker_shows_them() {
        for (size, text) in [
            (0.0, "0B"),
            (5.0, "5B"),
            (999.0, "999B"),
            (1000.0, "1kB"),
            (1234567.0, "1.23MB"),
            (999_900.0, "1e+03kB"),
        ] {
            assert_eq!(human(size, 3), text);
        }
        assert_eq!(human(72_934_000.0, 4), "72.93MB");
        assert_eq!(binary(8_057_000_000.0), "7.504GiB");
        assert_eq!(binary(1024.0), "1KiB");
    }
}
