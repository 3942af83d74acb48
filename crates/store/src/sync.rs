//! Making files durable before the row that owns them is written.
//!
//! Few files are synced one by one: syncing the whole file system would also wait for everything that others have
//! just written (a build, another container). For many it is far cheaper than a call for each.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use boxship_oci::digest::Digest;
use rustix::fs::{CWD, Mode, OFlags, fsync, openat, syncfs};
use rustix::io::Errno;

use crate::error::io;
use crate::open::Inner;
use crate::{NewImage, Result, UnpackedLayer};

/// Up to this many files are synced one by one.
const FEW: u64 = 256;

/// Makes the images' blobs and the layers unpacked for them durable.
pub(crate) fn sync(store: &Inner, images: &[NewImage], unpacked: &[UnpackedLayer]) -> Result<()> {
    let entries: u64 = unpacked.iter().map(UnpackedLayer::entries).sum();
    let blobs: Vec<&Digest> = images.iter().flat_map(blobs).collect();
    if entries + blobs.len() as u64 > FEW {
        let root = store.paths.data_root();
        let folder = File::open(root).map_err(io("open", root))?;
        return syncfs(&folder).map_err(io("sync", root));
    }
    for digest in blobs {
        match sync_path(&store.paths.blob(digest)) {
            // A layer's archive needn't be here: see `sources`.
            Err(crate::Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            outcome => outcome?,
        }
    }
    unpacked.iter().try_for_each(|layer| sync_tree(layer.folder()))
}

fn blobs(image: &NewImage) -> impl Iterator<Item = &Digest> {
    [&image.id, &image.manifest].into_iter().chain(image.layers.iter().map(|layer| &layer.blob))
}

/// Syncs a folder and all below it. Few entries, so not deep either.
fn sync_tree(path: &Path) -> Result<()> {
    for entry in path.read_dir().map_err(io("list", path))? {
        let entry = entry.map_err(io("list", path))?;
        let kind = entry.file_type().map_err(io("list", path))?;
        match () {
            () if kind.is_dir() => sync_tree(&entry.path())?,
            () if kind.is_file() => sync_path(&entry.path())?,
            // Links, devices and pipes are in their folder.
            () => {}
        }
    }
    sync_path(path)
}

/// Makes a file's bytes, or a folder's entries (renames in it), durable.
pub(crate) fn sync_path(path: &Path) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::empty()).map_err(io("open", path))?;
    match fsync(file.as_fd()) {
        // Not a thing that can be synced.
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(errno) => Err(io("sync", path)(errno)),
    }
}
