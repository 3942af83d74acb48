//! Go's durations: `1h30m`, `500ms`.

pub use boxship_oci::go::duration as parse;

/// The same for checking a flag.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, nanos) in [
            ("1h30m", Ok(5_400_000_000_000)),
            ("1.5s", Ok(1_500_000_000)),
            ("-1ms", Ok(-1_000_000)),
            ("0", Ok(0)),
            ("10", Err("time: missing unit in duration \"10\"")),
            ("1y", Err("time: unknown unit \"y\" in duration \"1y\"")),
            ("", Err("time: invalid duration \"\"")),
        ] {
            assert_eq!(parse(text), nanos.map_err(String::from), "{text}");
        }
    }
}
