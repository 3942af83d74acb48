//! Commands on images.

pub mod history;
pub mod import;
pub mod load;
pub mod ls;
pub mod progress;
pub mod prune;
pub mod pull;
pub mod push;
pub mod rm;
pub mod save;
pub mod search;
pub mod tag;
mod tree;

use std::path::Path;

use boxship_api::auth::AuthConfig;
use boxship_client::{Body, Client, Query};
use http::{HeaderName, Method};

use crate::credentials;
use crate::failure::{Failure, Result};
use crate::invocation::Invocation;

/// The header that carries a user's credentials for a registry.
const AUTH: HeaderName = HeaderName::from_static("x-registry-auth");

/// The path of a request about an image. A name's slashes stay: the API's routes expect them.
pub fn path(name: &str, what: &str) -> String {
    let name: Vec<String> = name.split('/').map(Client::segment).collect();
    let what = if what.is_empty() { String::new() } else { format!("/{what}") };
    format!("/images/{}{what}", name.join("/"))
}

/// A request that the daemon passes on to a registry, with the user's credentials for it.
async fn ask_registry(
    invocation: &Invocation,
    method: Method,
    path: &str,
    query: Query,
    domain: &str,
) -> Result<Body> {
    // Whoever can't be told who asks, asks as nobody: public images need no more.
    let header =
        invocation.credentials().header(domain).or_else(|_| credentials::encode(&AuthConfig::default()))?;
    let client = invocation.client().await?;
    Ok(client.request_with(method, path, query, &[(AUTH, &header)], None::<&()>).await?)
}

/// `--platform` as the API takes it where it wants JSON. A daemon older than `1.since` would overlook it there.
pub async fn platform_json(
    invocation: &Invocation,
    text: Option<String>,
    since: u16,
) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    let platform: boxship_oci::platform::Platform =
        text.parse().map_err(|why| Failure::new(format!("invalid platform: {why}")))?;
    let client = invocation.client().await?;
    client.settle().await?;
    let spoken = client.version();
    if !spoken.at_least(since) {
        return Err(Failure::new(format!(
            "\"--platform\" requires API version 1.{since}, but the Docker daemon API version is {spoken}"
        )));
    }
    serde_json::to_string(&platform).map(Some).map_err(|why| Failure::new(why.to_string()))
}

/// Opens an archive, with the path in the error.
async fn open(path: &str) -> Result<tokio::fs::File> {
    let opened = tokio::fs::File::open(Path::new(path)).await;
    opened.map_err(|e| Failure::new(format!("open {path}: {}", crate::values::environment::reason(&e))))
}
