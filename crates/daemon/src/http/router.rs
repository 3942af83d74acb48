//! From a path to a route: a table of patterns in which `{name}` may span slashes, as image names do.
//!
//! The first match wins, so fixed paths stand before patterns.

use std::future::Future;
use std::pin::Pin;

use http::Method;

use super::query::decode;
use super::{Call, Failure, Reply, Version};

/// A route's work.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Reply, Failure>> + Send>>;

/// One route.
pub(crate) struct Route {
    /// Its method.
    pub method: Method,
    /// Its path, `{name}` where the object's name stands.
    pub pattern: &'static str,
    /// The API version that brought it.
    pub since: Version,
    /// Whether its work is given up when the client leaves; else what has begun is finished.
    pub ends_with_client: bool,
    /// What answers it.
    pub handler: fn(Call) -> Answer,
}

/// A table row: `route!(GET "/containers/{name}/json" => inspect)`, optionally `since MINOR`. Only reading
/// ends with the client, and what `waits`.
macro_rules! route {
    ($method:ident $pattern:literal => $handler:path) => {
        $crate::http::router::route!($method $pattern since 0 => $handler)
    };
    ($method:ident $pattern:literal since $minor:literal => $handler:path) => {
        $crate::http::router::Route {
            method: http::Method::$method,
            pattern: $pattern,
            since: $crate::http::Version::v1($minor),
            ends_with_client: matches!(http::Method::$method, http::Method::GET),
            handler: |call| Box::pin($handler(call)),
        }
    };
    ($method:ident $pattern:literal waits => $handler:path) => {
        $crate::http::router::Route {
            ends_with_client: true,
            ..$crate::http::router::route!($method $pattern => $handler)
        }
    };
}
pub(crate) use route;

/// Find the route of a path (without version prefix), and the object's name in it.
pub(crate) fn find<'t>(
    tables: &[&'t [Route]],
    method: &Method,
    path: &str,
    version: Version,
) -> Result<(&'t Route, String), Failure> {
    let path = decode(path, false)?;
    for route in tables.iter().flat_map(|table| table.iter()) {
        if route.method != method || version < route.since {
            continue;
        }
        if let Some(name) = matched(route.pattern, &path) {
            return Ok((route, name.to_owned()));
        }
    }
    Err(Failure::no_page())
}

fn matched<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    match pattern.split_once("{name}") {
        None => (pattern == path).then_some(""),
        Some((before, after)) => path.strip_prefix(before)?.strip_suffix(after),
    }
}

#[cfg(test)]
mod tests {
    use super::matched;

    #[test]
    fn patterns() {
        for (pattern, path, expect) in [
            ("/info", "/info", Some("")),
            ("/info", "/info/", None),
            ("/images/{name}/json", "/images/a/b:c/json", Some("a/b:c")),
            ("/images/{name}/json", "/images/json", None),
            ("/images/{name}", "/images/a/b", Some("a/b")),
            ("/containers/{name}/json", "/containers/x/top", None),
        ] {
            assert_eq!(matched(pattern, path), expect, "{pattern} {path}");
        }
    }
}
