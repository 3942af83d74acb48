//! Images by id, and the names that point at them.

use boxship_oci::digest::Digest;
use boxship_oci::reference::Reference;
use rusqlite::Transaction;

use crate::{Lease, Result, UnpackedLayer};

/// The images of a store.
#[derive(Clone, Copy)]
pub struct Images<'a> {
    _store: std::marker::PhantomData<&'a ()>,
}

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLayer {
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    /// This layer and all below it.
    pub chain_id: Digest,
    /// The archive as it came (perhaps compressed), kept in the content.
    pub blob: Digest,
    /// The archive's length.
    pub blob_size: u64,
    /// Its media type.
    pub media_type: String,
}

/// An image as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Digest of its configuration: its id.
    pub id: Digest,
    /// Digest of its manifest, kept in the content.
    pub manifest: Digest,
    /// Its layers, lowest first.
    pub layers: Vec<ImageLayer>,
    /// Bytes in the regular files of all its layers.
    pub size: u64,
    /// Names (`repository:tag`, in full: `docker.io/library/busybox:latest`), sorted.
    pub names: Vec<Reference>,
    /// `repository@digest` of registries it came from or went to, sorted.
    pub repo_digests: Vec<Reference>,
    /// The image it was made from, when made here.
    pub parent: Option<Digest>,
    /// When a name was last given, seconds since 1970 (0: never).
    pub last_tagged: i64,
}

impl Image {
    /// The chain id of its topmost layer; `None` when it has no layer.
    #[must_use]
    pub fn top(&self) -> Option<&Digest> {
        self.layers.last().map(|layer| &layer.chain_id)
    }
}

/// An image to be recorded. Its configuration, manifest and layers' blobs are in the content already.
pub struct NewImage {
    /// Digest of its configuration.
    pub id: Digest,
    /// Digest of its manifest.
    pub manifest: Digest,
    /// Its layers, lowest first.
    pub layers: Vec<ImageLayer>,
    /// The image it was made from, when made here.
    pub parent: Option<Digest>,
    /// Names that shall point at it; each is taken from the image that has it.
    pub names: Vec<Reference>,
    /// `repository@digest` it is known by.
    pub repo_digests: Vec<Reference>,
}

/// What a deletion did, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// A name (or repository digest) doesn't point at it any more.
    Untagged(Reference),
    /// An image or a layer (by chain id) is gone.
    Deleted(Digest),
}

impl Images<'_> {
    /// Records an image with the layers unpacked for it, in one transaction. Recorded already: names are added.
    pub fn create(&self, image: NewImage, unpacked: Vec<UnpackedLayer>, lease: &Lease) -> Result<Image> {
        let _ = (image, unpacked, lease);
        todo!()
    }

    /// All images, newest record first.
    pub fn list(&self) -> Result<Vec<Image>> {
        todo!()
    }

    /// The image with exactly this id.
    pub fn get(&self, id: &Digest) -> Result<Image> {
        let _ = id;
        todo!()
    }

    /// Finds an image as Docker does: by name (tag `latest` when none is said), `name@digest`, whole id with or
    /// without `sha256:`, or the beginning of an id.
    pub fn resolve(&self, name: &str) -> Result<Image> {
        let _ = name;
        todo!()
    }

    /// The bytes of the image's configuration.
    pub fn config(&self, id: &Digest) -> Result<Vec<u8>> {
        let _ = id;
        todo!()
    }

    /// Points a name at an image. Returns the image that had the name before, if another.
    pub fn tag(&self, id: &Digest, name: &Reference) -> Result<Option<Digest>> {
        let _ = (id, name);
        todo!()
    }

    /// Takes a name (or repository digest) away; the image stays. `false` when there was no such name.
    pub fn untag(&self, name: &Reference) -> Result<bool> {
        let _ = name;
        todo!()
    }

    /// Removes the image with all its names, and the layers and blobs that nobody else uses. Whether it may be
    /// removed (containers, names, children) is the caller's question: [`Images::containers`], [`Images::children`].
    /// Containers made from it keep their layers.
    pub fn delete(&self, id: &Digest) -> Result<Vec<Deleted>> {
        let _ = id;
        todo!()
    }

    /// Ids of containers made from the image.
    pub fn containers(&self, id: &Digest) -> Result<Vec<String>> {
        let _ = id;
        todo!()
    }

    /// Images whose parent it is.
    pub fn children(&self, id: &Digest) -> Result<Vec<Digest>> {
        let _ = id;
        todo!()
    }

    /// [`Images::get`] inside a transaction of the engine's.
    pub fn get_in(&self, tx: &Transaction<'_>, id: &Digest) -> Result<Image> {
        let _ = (tx, id);
        todo!()
    }
}
