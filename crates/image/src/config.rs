//! An image's configuration, read and checked.

use boxship_oci::digest::Digest;
use boxship_oci::image::ImageConfig;
use boxship_store::Store;

use crate::Result;

/// The configuration of the image with this id.
pub fn config(store: &Store, id: &Digest) -> Result<ImageConfig> {
    let _ = (store, id);
    todo!()
}
