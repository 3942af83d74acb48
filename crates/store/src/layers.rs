//! Layers, unpacked once per chain id and then never changed.

use std::io::Read;
use std::path::PathBuf;

use boxship_layer::Limits;
use boxship_oci::digest::Digest;

use crate::{Lease, Result};

/// The unpacked layers of a store.
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    _store: std::marker::PhantomData<&'a ()>,
}

/// A layer as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The layer and all below it.
    pub chain_id: Digest,
    /// The chain below, if any.
    pub parent: Option<Digest>,
    /// Digest of the layer's uncompressed archive.
    pub diff_id: Digest,
    /// Bytes in its regular files.
    pub size: u64,
    /// Its root folder on disk.
    pub path: PathBuf,
}

/// A layer that is on disk but not yet recorded. Dropped, it is thrown away; `Images::create` records it.
pub struct UnpackedLayer {
    /// What will be recorded.
    pub layer: Layer,
}

impl Layers<'_> {
    /// Finds a layer and protects it by `lease`.
    pub fn get(&self, chain_id: &Digest, lease: &Lease) -> Result<Option<Layer>> {
        let _ = (chain_id, lease);
        todo!()
    }

    /// Unpacks an archive (plain, gzip or zstd) on top of `parents` (lowest first), verifying `diff_id` when given.
    pub fn unpack(
        &self,
        archive: &mut (dyn Read + Send),
        parents: &[Layer],
        diff_id: Option<&Digest>,
        limits: &Limits,
        lease: &Lease,
    ) -> Result<UnpackedLayer> {
        let _ = (archive, parents, diff_id, limits, lease);
        todo!()
    }

    /// The layers of a chain, lowest first.
    pub fn chain(&self, chain_id: &Digest) -> Result<Vec<Layer>> {
        let _ = chain_id;
        todo!()
    }
}
