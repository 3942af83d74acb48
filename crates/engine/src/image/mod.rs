//! Images: the engine's operations on them, each an `impl Engine` block in a file per verb.
//!
//! Names become digests here; bytes and layers are `store`'s business, registries `image`'s.

mod commit;
pub(crate) mod distribution;
mod error;
mod glob;
mod import;
mod inherit;
mod inspect;
mod known;
mod list;
mod load;
mod manifests;
mod prune;
mod pull;
mod push;
mod remove;
mod save;
mod search;
mod tag;
mod transfer;

use std::pin::Pin;

use boxship_api as api;
use bytes::Bytes;
use futures_util::Stream;
use tokio::io::AsyncRead;

use crate::Result;

pub use commit::CommitOptions;
pub use push::ImagePushOptions;

/// Progress of a long operation, one JSON object per item.
pub type ProgressStream = Pin<Box<dyn Stream<Item = api::progress::ProgressMessage> + Send>>;
/// Bytes of an archive.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;
/// An archive that a client sends.
pub type Input = Pin<Box<dyn AsyncRead + Send>>;

/// `GET /images/json`.
#[derive(Clone, Debug, Default)]
pub struct ImageListOptions {
    /// Intermediate ones too.
    pub all: bool,
    /// The filters.
    pub filters: api::Filters,
    /// Compute shared sizes.
    pub shared_size: bool,
    /// Tell digests.
    pub digests: bool,
    /// Tell platforms.
    pub manifests: bool,
}

/// `DELETE /images/{name}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageRemoveOptions {
    /// Even when stopped containers use it or several names point at it.
    pub force: bool,
    /// Keep untagged parents.
    pub no_prune: bool,
}

/// `POST /images/create` with `fromSrc`.
#[derive(Clone, Debug, Default)]
pub struct ImageImportOptions {
    /// `-` (the body); anything else is refused: nothing is downloaded.
    pub source: String,
    /// Repository of the new image; empty: none.
    pub repo: String,
    /// Tag.
    pub tag: String,
    /// Comment.
    pub message: String,
    /// Dockerfile instructions to apply to its configuration.
    pub changes: Vec<String>,
    /// Platform.
    pub platform: Option<String>,
}

/// `POST /images/create` with `fromImage`.
#[derive(Clone, Debug, Default)]
pub struct ImagePullOptions {
    /// Repository or full reference.
    pub image: String,
    /// Tag or digest; empty: all tags when `image` has none.
    pub tag: String,
    /// Platform.
    pub platform: Option<String>,
    /// Decoded `X-Registry-Auth`.
    pub auth: Option<api::auth::AuthConfig>,
}

#[cfg(test)]
mod tests;
