//! Images from the store into one archive: docker-archive and OCI layout at once.

use std::io::Write;

use boxship_oci::digest::Digest;
use boxship_oci::platform::Platform;
use boxship_oci::reference::Reference;
use boxship_store::Store;

use crate::Result;

/// One image to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveItem {
    /// The image.
    pub id: Digest,
    /// The names to save it under; none when it was asked for by id.
    pub names: Vec<Reference>,
}

/// What `docker save` is told beside the names.
#[derive(Debug, Clone, Default)]
pub struct SaveOptions {
    /// Fail unless every image is for this platform.
    pub platform: Option<Platform>,
}

/// Finds what `docker save NAME…` means: a name with tag is that name, a name without tag all its tags, an id no name.
pub fn select(store: &Store, names: &[String]) -> Result<Vec<SaveItem>> {
    let _ = (store, names);
    todo!()
}

/// Writes the archive. The same images and names give the same bytes.
pub fn save(store: &Store, items: &[SaveItem], options: &SaveOptions, archive: &mut dyn Write) -> Result<()> {
    let _ = (store, items, options, archive);
    todo!()
}
