//! The API version in a path: found, read, and refused in Docker's words if it isn't served.

pub(crate) use boxship_api::ApiVersion as Version;
use boxship_api::version::{MAX, MIN};

/// Split `/v1.43/rest` into the version as written and `/rest`.
pub(crate) fn split(path: &str) -> (Option<&str>, &str) {
    let versioned = path.strip_prefix("/v").and_then(|rest| {
        let end = rest.find('/')?;
        let digits = &rest[..end];
        let only = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        (only && !digits.is_empty()).then_some((digits, &rest[end..]))
    });
    match versioned {
        Some((version, rest)) => (Some(version), rest),
        None => (None, path),
    }
}

/// The version that `asked` means, or why it isn't served. No version means the newest.
pub(crate) fn negotiate(asked: Option<&str>) -> Result<Version, String> {
    let Some(asked) = asked else { return Ok(MAX) };
    let version = read(asked);
    if version < MIN {
        return Err(format!(
            "client version {asked} is too old. Minimum supported API version is {MIN}, \
             please upgrade your client to a newer version"
        ));
    }
    if version > MAX {
        return Err(format!("client version {asked} is too new. Maximum supported API version is {MAX}"));
    }
    Ok(version)
}

/// `1`, `1.43` and `1.43.0` are all versions to Docker; numbers too large to hold are simply too new.
fn read(text: &str) -> Version {
    let mut numbers = text.split('.').map(|number| match number {
        "" => 0,
        number => number.parse().unwrap_or(u16::MAX),
    });
    Version { major: numbers.next().unwrap_or(0), minor: numbers.next().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_paths() {
        for (path, expect) in [
            ("/v1.43/info", (Some("1.43"), "/info")),
            ("/info", (None, "/info")),
            ("/version", (None, "/version")),
            ("/v1.43", (None, "/v1.43")),
            ("/volumes/x", (None, "/volumes/x")),
            ("/v1/x", (Some("1"), "/x")),
        ] {
            assert_eq!(split(path), expect, "{path}");
        }
    }

    #[test]
    fn what_is_served() {
        for (asked, expect) in [
            (None, Ok(MAX)),
            (Some("1.24"), Ok(MIN)),
            (Some("1.24.1"), Ok(MIN)),
            (Some("1.51"), Ok(MAX)),
            (Some("1.52"), Err("client version 1.52 is too new. Maximum supported API version is 1.51")),
            (
                Some("1.12"),
                Err(
                    "client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
                ),
            ),
            (
                Some("1"),
                Err(
                    "client version 1 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
                ),
            ),
            (
                Some("999999.1"),
                Err("client version 999999.1 is too new. Maximum supported API version is 1.51"),
            ),
        ] {
            assert_eq!(negotiate(asked), expect.map_err(str::to_owned), "{asked:?}");
        }
    }
}
