//! An image's configuration, read and checked.

use boxship_oci::digest::Digest;
use boxship_oci::image::ImageConfig;
use boxship_store::Store;

use crate::{Error, Result};

/// The configuration of the image with this id.
pub fn config(store: &Store, id: &Digest) -> Result<ImageConfig> {
    let bytes = store.images().config(id)?;
    serde_json::from_slice(&bytes)
        .map_err(|source| Error::Json { file: format!("configuration {id}"), source })
}
