//! A container's own upper folder on top of an image's layers.
//!
//! The row of a snapshot is what keeps the image "in use" and its layers alive.

use std::os::fd::AsFd;
use std::path::PathBuf;

use boxship_layer::Change;
use boxship_oci::digest::Digest;
use boxship_oci::rootfs::OverlayMount;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid, chmod, chown, mkdir, statat};
use rustix::io::Errno;

use crate::error::io;
use crate::layers::{digest, open_folder};
use crate::open::Inner;
use crate::{Error, Images, Result, trash};

/// Said for each mount, so that no kernel's or module's default makes upper folders that only overlayfs understands.
const OPTIONS: [&str; 3] = ["index=off", "redirect_dir=off", "metacopy=off"];

/// The containers' root filesystems of a store.
#[derive(Clone, Copy)]
pub struct Snapshots<'a> {
    pub(crate) store: &'a Inner,
}

/// A container's root filesystem as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rootfs {
    /// The container.
    pub container: String,
    /// The image it was made from.
    pub image: Digest,
    /// The chain id of the image's topmost layer; `None` when the image has no layer.
    pub top: Option<Digest>,
    /// The container's upper folder.
    pub upper: PathBuf,
}

impl Snapshots<'_> {
    /// Makes a container's folders and records them, in a transaction of its own: [`Snapshots::make`], then
    /// [`Snapshots::record`].
    pub fn prepare(&self, container: &str, image: &Digest) -> Result<Rootfs> {
        self.make(container, image)?;
        self.store.db.write(|tx| self.record(tx, container, image))
    }

    /// Makes `containers/<id>/{upper,work}`. Without a record they are removed at the next open.
    pub fn make(&self, container: &str, image: &Digest) -> Result<()> {
        let paths = &self.store.paths;
        let (mode, owner) = self.root_of(image)?;
        let folder = paths.container(container);
        match mkdir(&folder, Mode::from_raw_mode(0o710)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(io("create", &folder)(errno)),
        }
        let upper = paths.upper(container);
        for path in [&upper, &paths.work(container)] {
            mkdir(path, Mode::from_raw_mode(0o755)).map_err(io("create", path))?;
        }
        // The upper folder's own attributes are those of the container's root.
        if owner != (0, 0) {
            let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
            chown(&upper, Some(uid), Some(gid)).map_err(io("change owner of", &upper))?;
        }
        chmod(&upper, mode).map_err(io("change mode of", &upper))
    }

    /// Mode and owner of the topmost layer's root.
    fn root_of(&self, image: &Digest) -> Result<(Mode, (u32, u32))> {
        let top = self.store.db.read(|c| {
            let top = Images { store: self.store }.top_in(c, image)?;
            top.map(|top| self.store.layers().path_in(c, &top)).transpose()
        })?;
        let Some(path) = top else { return Ok((Mode::from_raw_mode(0o755), (0, 0))) };
        let stat = statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW).map_err(io("stat", &path))?;
        Ok((Mode::from_raw_mode(stat.st_mode), (stat.st_uid, stat.st_gid)))
    }

    /// Records the root filesystem in the transaction that writes the container's row. The image must be there.
    pub fn record(&self, tx: &Transaction<'_>, container: &str, image: &Digest) -> Result<Rootfs> {
        let top = Images { store: self.store }.top_in(tx, image)?;
        let mut insert = tx.prepare_cached("INSERT INTO snapshots VALUES (?1, ?2, ?3)")?;
        insert.execute(params![container, image.to_string(), top.as_ref().map(Digest::to_string)])?;
        let upper = self.store.paths.upper(container);
        Ok(Rootfs { container: container.to_owned(), image: image.clone(), top, upper })
    }

    /// The record of a container's root filesystem.
    pub fn get(&self, container: &str) -> Result<Rootfs> {
        self.store.db.read(|c| self.find(c, container))
    }

    fn find(&self, c: &Connection, container: &str) -> Result<Rootfs> {
        let mut query = c.prepare_cached("SELECT image, top FROM snapshots WHERE container = ?1")?;
        let row: Option<(String, Option<String>)> =
            query.query_row([container], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (image, top) = row.ok_or_else(|| Error::NoSuchSnapshot(container.to_owned()))?;
        Ok(Rootfs {
            container: container.to_owned(),
            image: digest(&image)?,
            top: top.as_deref().map(digest).transpose()?,
            upper: self.store.paths.upper(container),
        })
    }

    /// The overlay to be mounted as the container's root. Nothing is mounted here.
    pub fn mount(&self, container: &str) -> Result<OverlayMount> {
        let lower = match self.lowers(container)? {
            // overlayfs wants at least one lower folder.
            lower if lower.is_empty() => vec![self.store.paths.empty()],
            lower => lower,
        };
        let paths = &self.store.paths;
        let options = OPTIONS.map(str::to_owned).to_vec();
        Ok(OverlayMount { lower, upper: paths.upper(container), work: paths.work(container), options })
    }

    /// The folders of the image's layers, topmost first.
    fn lowers(&self, container: &str) -> Result<Vec<PathBuf>> {
        self.store.db.read(|c| {
            let Some(top) = self.find(c, container)?.top else { return Ok(Vec::new()) };
            let chain = self.store.layers().chain_in(c, &top)?;
            Ok(chain.into_iter().rev().map(|layer| layer.path).collect())
        })
    }

    /// Forgets and discards: [`Snapshots::forget`] in a transaction of its own, then [`Snapshots::discard`].
    pub fn remove(&self, container: &str) -> Result<()> {
        self.store.db.write(|tx| self.forget(tx, container))?;
        self.discard(container)
    }

    /// Deletes the record in the transaction that deletes the container's row.
    pub fn forget(&self, tx: &Transaction<'_>, container: &str) -> Result<()> {
        tx.prepare_cached("DELETE FROM snapshots WHERE container = ?1")?.execute([container])?;
        Ok(())
    }

    /// Moves the whole folder `containers/<id>` to the trash, and layers nobody uses any more. After the
    /// transaction that forgot it; no harm done when there is nothing.
    pub fn discard(&self, container: &str) -> Result<()> {
        trash::discard(&self.store.paths, &self.store.paths.container(container))?;
        self.store.collect_layers()
    }

    /// Bytes in the upper folder's regular files (`SizeRw`).
    pub fn usage(&self, container: &str) -> Result<u64> {
        let upper = open_folder(&self.store.paths.upper(container))?;
        let looked_through = boxship_layer::usage(upper.as_fd());
        looked_through.map_err(|source| Error::Changes { id: container.to_owned(), source })
    }

    /// What the container changed (`docker diff`).
    pub fn changes(&self, container: &str) -> Result<Vec<Change>> {
        let lowers = self.lowers(container)?;
        let lowers = lowers.iter().map(|path| open_folder(path)).collect::<Result<Vec<_>>>()?;
        let lowers: Vec<_> = lowers.iter().map(AsFd::as_fd).collect();
        let upper = open_folder(&self.store.paths.upper(container))?;
        boxship_layer::changes(upper.as_fd(), &lowers)
            .map_err(|source| Error::Changes { id: container.to_owned(), source })
    }
}
