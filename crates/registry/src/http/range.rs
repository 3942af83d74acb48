//! Ranges: which bytes of a blob are wanted, and where a chunk of an upload lies. Pure.

/// What a `Range` header asks of content of this size.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: there is no range, or one that may be ignored (several ranges, other units, no grammar).
    Whole,
    /// From the first byte up to, not including, the second.
    Part(u64, u64),
    /// Nothing that is there.
    Unsatisfiable,
}

/// Reads a `Range` header (RFC 9110, section 14).
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((first, last)) = header
        .and_then(|text| text.trim().strip_prefix("bytes="))
        .and_then(|text| text.trim().split_once('-'))
    else {
        return Wanted::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let range = match (number(first), number(last)) {
        // The last so many bytes.
        (None, Some(length)) if first.is_empty() => (length > 0).then(|| (size.saturating_sub(length), size)),
        (Some(start), None) if last.is_empty() => Some((start, size)),
        (Some(start), Some(end)) if start <= end => Some((start, size.min(end.saturating_add(1)))),
        _ => return Wanted::Whole,
    };
    match range {
        Some((start, end)) if start < end => Wanted::Part(start, end),
        _ => Wanted::Unsatisfiable,
    }
}

/// Reads a chunk's `Content-Range`, `first-last`, also in RFC 9110's form `bytes first-last/size`: where it begins and
/// how long it is. `None` is no range.
pub(crate) fn chunk(header: &str) -> Option<(u64, u64)> {
    let text = header.trim();
    let text = text.strip_prefix("bytes ").or_else(|| text.strip_prefix("bytes=")).unwrap_or(text);
    let text = text.split('/').next().unwrap_or(text);
    let (first, last) = text.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let length = last.checked_sub(first)?.checked_add(1)?;
    Some((first, length))
}

/// Digits and nothing else: Rust's own parser takes a plus sign too.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        use Wanted::{Part, Unsatisfiable, Whole};
        for (header, expect) in [
            ("bytes=0-9", Part(0, 10)),
            ("bytes=5-", Part(5, 100)),
            ("bytes=-10", Part(90, 100)),
            ("bytes=-1000", Part(0, 100)),
            ("bytes=90-1000", Part(90, 100)),
            ("bytes=99-18446744073709551615", Part(99, 100)),
            ("bytes=100-", Unsatisfiable),
            ("bytes=100-200", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=9-0", Whole),
            ("bytes=0-1,5-6", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=+1-2", Whole),
            ("lines=0-1", Whole),
            ("bytes=99999999999999999999-", Whole),
        ] {
            assert_eq!(wanted(Some(header), 100), expect, "{header}");
        }
        assert_eq!(wanted(None, 100), Whole);
        assert_eq!(wanted(Some("bytes=0-0"), 0), Unsatisfiable);
    }

    #[test]
    fn chunks() {
        for (header, expect) in [
            ("0-0", Some((0, 1))),
            ("10-19", Some((10, 10))),
            ("bytes 10-19/*", Some((10, 10))),
            ("bytes=0-4", Some((0, 5))),
            ("5-4", None),
            ("x-1", None),
            ("", None),
            ("-1", None),
            ("0-18446744073709551615", None),
        ] {
            assert_eq!(chunk(header), expect, "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn parts_lie_inside(header in "bytes=[0-9]{0,20}-[0-9]{0,20}", size in 0u64..1000) {
            if let Wanted::Part(start, end) = wanted(Some(&header), size) {
                assert!(start < end && end <= size);
            }
            chunk(&header);
        }
    }
}
