//! `--restart`.

use boxship_api::container::RestartPolicy;

/// `no`, `always`, `unless-stopped`, `on-failure[:n]`; other names are judged by the daemon.
pub fn parse(text: &str) -> Result<RestartPolicy, String> {
    if text.is_empty() {
        return Ok(RestartPolicy::default());
    }
    let (name, count) = text.split_once(':').map_or((text, None), |(name, count)| (name, Some(count)));
    if name.is_empty() {
        return Err("invalid restart policy format: no policy provided before colon".into());
    }
    let maximum_retry_count = match count {
        None | Some("") => 0,
        Some(count) => count
            .parse()
            .map_err(|_| "invalid restart policy format: maximum retry count must be an integer")?,
    };
    Ok(RestartPolicy { name: name.to_string(), maximum_retry_count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        let policy = parse("on-failure:3").unwrap();
        assert_eq!((policy.name.as_str(), policy.maximum_retry_count), ("on-failure", 3));
        assert_eq!(parse("always").unwrap().name, "always");
        assert!(parse(":3").unwrap_err().contains("no policy"));
        assert!(parse("on-failure:x").unwrap_err().contains("must be an integer"));
    }
}
