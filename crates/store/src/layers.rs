//! Layers, unpacked once per chain id and then never changed.
//!
//! ```text
//! unpack ──> layers/unpack-<random>/fs ──(sync, rename, row: one transaction)──> layers/<name>/fs
//!                 │ dropped, crash                                                    │ nobody uses it
//!                 └──────────────> trash <────────────────(row deleted, rename)───────┘
//! ```
//! A row is used by images (all layers of theirs), containers (their topmost layer) and the layer above it.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use boxship_layer::{Apply, Limits, Lowers};
use boxship_oci::digest::{Digest, chain_id};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use rustix::fs::{CWD, Mode, OFlags, chmod, mkdir, openat};

use crate::error::io;
use crate::leases::Held;
use crate::open::Inner;
use crate::{Error, Lease, Result, trash};

/// How a layer's folder is called while it is being unpacked.
pub(crate) const UNPACKING: &str = "unpack-";

/// The unpacked layers of a store.
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    pub(crate) store: &'a Inner,
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
    layer: Layer,
    /// Its own folder below `layers/`, and where it goes when dropped; `None` once it is recorded.
    folder: Option<PathBuf>,
    trash: PathBuf,
    entries: u64,
}

/// What is known about an archive that is to be unpacked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected<'a> {
    /// What the digest of the uncompressed archive must be.
    pub diff_id: Option<&'a Digest>,
    /// The digest that the archive itself was verified to have: a plain archive needn't be hashed again.
    pub verified: Option<&'a Digest>,
}

impl Layers<'_> {
    /// Finds a layer and protects it by `lease`.
    pub fn get(&self, chain_id: &Digest, lease: &Lease) -> Result<Option<Layer>> {
        lease.hold_layer(chain_id);
        self.store.db.read(|c| self.find(c, chain_id))
    }

    /// Unpacks an archive (plain, gzip or zstd) on top of `parents` (lowest first).
    pub fn unpack(
        &self,
        archive: &mut (dyn Read + Send),
        parents: &[Layer],
        expected: Expected<'_>,
        limits: &Limits,
        lease: &Lease,
    ) -> Result<UnpackedLayer> {
        let lowers = open_lowers(parents)?;
        let lowers: Vec<BorrowedFd<'_>> = lowers.iter().map(AsFd::as_fd).collect();
        let lowers = Lowers::Ready(&lowers);
        let mut unpacked = self.unpack_on(archive, lowers, expected, limits)?;
        unpacked.stand_on(parents.last(), lease);
        Ok(unpacked)
    }

    /// The same while the layers below may still be being unpacked: `parents` waits for them and is asked when they
    /// are needed, at the latest at the end.
    pub fn unpack_ahead(
        &self,
        archive: &mut (dyn Read + Send),
        parents: &(dyn Fn() -> Result<Vec<Layer>> + Sync),
        expected: Expected<'_>,
        limits: &Limits,
        lease: &Lease,
    ) -> Result<UnpackedLayer> {
        let find = || {
            let parents = parents().map_err(std::io::Error::other)?;
            open_lowers(&parents).map_err(std::io::Error::other)
        };
        let mut unpacked = self.unpack_on(archive, Lowers::Later(&find), expected, limits)?;
        unpacked.stand_on(parents()?.last(), lease);
        Ok(unpacked)
    }

    fn unpack_on(
        &self,
        archive: &mut (dyn Read + Send),
        lowers: Lowers<'_>,
        expected: Expected<'_>,
        limits: &Limits,
    ) -> Result<UnpackedLayer> {
        let mut unpacked = self.begin()?;
        let label =
            || expected.diff_id.map_or_else(|| "archive".to_owned(), |diff_id| format!("layer {diff_id}"));
        let root = open_folder(&unpacked.layer.path)?;
        let apply =
            Apply { lowers, limits, hash: expected.verified.is_none(), end_mark: expected.diff_id.is_none() };
        let applied =
            apply.run(archive, root.as_fd()).map_err(|source| Error::Unpack { layer: label(), source })?;
        let diff_id = applied.diff_id.or_else(|| expected.verified.cloned());
        let diff_id = diff_id
            .ok_or_else(|| Error::Corrupt { object: label(), reason: "its digest is unknown".to_owned() })?;
        if let Some(expected) = expected.diff_id.filter(|expected| **expected != diff_id) {
            return Err(Error::DigestMismatch { expected: expected.clone(), found: diff_id });
        }
        unpacked.layer.diff_id = diff_id;
        unpacked.layer.size = applied.size;
        unpacked.entries = applied.entries;
        Ok(unpacked)
    }

    /// Makes the folder to unpack into.
    fn begin(&self) -> Result<UnpackedLayer> {
        let name = trash::random_name()?;
        let folder = self.store.paths.layers().join(format!("{UNPACKING}{name}"));
        let path = folder.join("fs");
        mkdir(&folder, Mode::RWXU).map_err(io("create", &folder))?;
        let nothing = Digest::of("");
        let layer = Layer { chain_id: nothing.clone(), parent: None, diff_id: nothing, size: 0, path };
        let trash = self.store.paths.trash().join(name);
        let unpacked = UnpackedLayer { layer, folder: Some(folder), trash, entries: 0 };
        let path = &unpacked.layer.path;
        mkdir(path, Mode::RWXU).map_err(io("create", path))?;
        chmod(path, Mode::from_raw_mode(0o755)).map_err(io("create", path))?;
        Ok(unpacked)
    }

    /// The layers of a chain, lowest first.
    pub fn chain(&self, chain_id: &Digest) -> Result<Vec<Layer>> {
        self.store.db.read(|c| self.chain_in(c, chain_id))
    }

    pub(crate) fn chain_in(&self, c: &Connection, chain_id: &Digest) -> Result<Vec<Layer>> {
        let mut chain = Vec::new();
        let mut next = Some(chain_id.clone());
        while let Some(id) = next {
            let layer = self.find(c, &id)?.ok_or(Error::NoSuchLayer(id))?;
            next = layer.parent.clone();
            chain.push(layer);
        }
        chain.reverse();
        Ok(chain)
    }

    /// The root folder of a layer.
    pub(crate) fn path_in(&self, c: &Connection, chain_id: &Digest) -> Result<PathBuf> {
        let layer = self.find(c, chain_id)?;
        layer.map(|layer| layer.path).ok_or_else(|| Error::NoSuchLayer(chain_id.clone()))
    }

    fn find(&self, c: &Connection, chain_id: &Digest) -> Result<Option<Layer>> {
        let mut query =
            c.prepare_cached("SELECT chain_id, parent, diff_id, size, name FROM layers WHERE chain_id = ?1")?;
        let row = query.query_row([chain_id.to_string()], |row| Ok(self.read(row))).optional()?;
        row.transpose()
    }

    fn read(&self, row: &Row<'_>) -> Result<Layer> {
        let parent: Option<String> = row.get(1)?;
        let name: String = row.get(4)?;
        Ok(Layer {
            chain_id: digest(&row.get::<_, String>(0)?)?,
            parent: parent.as_deref().map(digest).transpose()?,
            diff_id: digest(&row.get::<_, String>(2)?)?,
            size: row.get::<_, i64>(3)? as u64,
            path: self.store.paths.layer_fs(&name),
        })
    }

    /// Deletes the rows of layers that nobody uses, from the top of chains downwards; their folders' names are for
    /// [`Layers::discard`] after the commit. `leases` stays locked until then.
    pub(crate) fn delete_unused(
        &self,
        tx: &Transaction<'_>,
        leases: &crate::leases::LeasesGuard<'_>,
    ) -> Result<Vec<(Layer, String)>> {
        let mut deleted = Vec::new();
        loop {
            let mut progress = false;
            for (layer, name) in self.unused(tx)? {
                if leases.holds(&Held::Layer(layer.chain_id.clone())) {
                    continue;
                }
                tx.prepare_cached("DELETE FROM layers WHERE chain_id = ?1")?
                    .execute([layer.chain_id.to_string()])?;
                deleted.push((layer, name));
                progress = true;
            }
            if !progress {
                return Ok(deleted);
            }
        }
    }

    /// Layers that no image, container or other layer stands on.
    pub(crate) fn unused(&self, c: &Connection) -> Result<Vec<(Layer, String)>> {
        let mut query = c.prepare_cached(
            "SELECT chain_id, parent, diff_id, size, name FROM layers AS l
             WHERE NOT EXISTS (SELECT 1 FROM image_layers WHERE chain_id = l.chain_id)
               AND NOT EXISTS (SELECT 1 FROM snapshots WHERE top = l.chain_id)
               AND NOT EXISTS (SELECT 1 FROM layers WHERE parent = l.chain_id)",
        )?;
        let rows = query.query_map([], |row| Ok((self.read(row), row.get::<_, String>(4)?)))?;
        rows.map(|row| {
            let (layer, name) = row?;
            Ok((layer?, name))
        })
        .collect()
    }

    /// Moves the folders of deleted rows to the trash.
    pub(crate) fn discard(&self, deleted: &[(Layer, String)]) -> Result<()> {
        for (_, name) in deleted {
            trash::discard(&self.store.paths, &self.store.paths.layers().join(name))?;
        }
        Ok(())
    }
}

impl Layer {
    fn identify(&mut self, parent: Option<&Layer>) {
        self.parent = parent.map(|layer| layer.chain_id.clone());
        let diff_id = &self.diff_id;
        self.chain_id = match &self.parent {
            // A chain's id depends on the chain below by its id only.
            Some(parent) => chain_id(&[parent.clone(), diff_id.clone()]).unwrap_or_else(|| diff_id.clone()),
            None => diff_id.clone(),
        };
    }
}

impl UnpackedLayer {
    /// What will be recorded; its path is valid until then.
    #[must_use]
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    fn stand_on(&mut self, parent: Option<&Layer>, lease: &Lease) {
        self.layer.identify(parent);
        lease.hold_layer(&self.layer.chain_id);
    }

    /// Entries of its archive.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// Where it is now, until it is recorded.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.as_deref().unwrap_or(&self.layer.path)
    }

    /// Renames the folder to its final name. Dropped before [`UnpackedLayer::keep`], it is still thrown away.
    pub(crate) fn settle(&mut self, layers: &Path, name: &str) -> Result<()> {
        let Some(folder) = &mut self.folder else { return Ok(()) };
        let target = layers.join(name);
        rustix::fs::rename(&*folder, &target).map_err(io("rename", folder))?;
        *folder = target;
        Ok(())
    }

    /// The row is written: the folder stays.
    pub(crate) fn keep(mut self) {
        self.folder = None;
    }
}

impl Drop for UnpackedLayer {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take() {
            // What can't be moved now is found at the next open.
            let _ = rustix::fs::rename(folder, &self.trash);
        }
    }
}

/// Topmost first, as the extractor wants them.
fn open_lowers(parents: &[Layer]) -> Result<Vec<OwnedFd>> {
    parents.iter().rev().map(|layer| open_folder(&layer.path)).collect()
}

pub(crate) fn open_folder(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).map_err(io("open", path))
}

/// A digest that the database holds.
pub(crate) fn digest(text: &str) -> Result<Digest> {
    text.parse().map_err(|_| Error::Corrupt {
        object: "database".to_owned(),
        reason: format!("{text:?} is no digest"),
    })
}
