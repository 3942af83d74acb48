//! Numbers, sizes and truths in the forms that Docker takes for log options, with Go's messages.

pub(super) use boxship_oci::go::boolean;

/// A size such as `10m`, `1.5 GB`, with `base` 1000 or 1024 for the units.
pub(super) fn parse(text: &str, base: u64) -> Result<u64, String> {
    boxship_oci::go::size(text, base).map(i64::unsigned_abs)
}

/// Go's `strconv.Atoi`.
pub(super) fn integer(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("strconv.Atoi: parsing \"{text}\": invalid syntax"))
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
