//! What takes space below the data root beside unpacked layers, blobs and what containers wrote: `system df -v` names
//! it, so that the sum is what the disk says.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::open::Inner;
use crate::{Result, Store};

/// Folders nested deeper are not looked into: none of ours are, and what is being deleted is counted by its upper parts.
const DEEPEST: usize = 64;

/// Bytes on disk that belong to no image and are nothing that a container wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Others {
    /// The database, the engine's identifier and locks.
    pub database: u64,
    /// Containers' logs and the files that are mounted over theirs.
    pub containers: u64,
    /// What is being deleted.
    pub trash: u64,
    /// What is being unpacked, and places that are mounted over.
    pub working: u64,
}

impl Store {
    /// Looks at the disk. What others remove meanwhile counts nothing.
    pub fn others(&self) -> Result<Others> {
        Others::of(self.inner())
    }
}

impl Others {
    fn of(store: &Inner) -> Result<Others> {
        let paths = &store.paths;
        let root = paths.data_root();
        let mut others = Others { trash: below(&paths.trash(), DEEPEST), ..Others::default() };
        for (path, metadata) in entries(root) {
            let ours = [paths.blobs(), paths.layers(), paths.containers(), paths.trash()];
            if !metadata.is_dir() {
                others.database += on_disk(&metadata);
            } else if !ours.iter().any(|one| one.starts_with(&path)) {
                others.working += on_disk(&metadata) + below(&path, DEEPEST);
            }
        }
        for (container, _) in entries(&paths.containers()) {
            let own = entries(&container).filter(|(path, _)| !path.ends_with("upper"));
            others.containers +=
                own.map(|(path, metadata)| on_disk(&metadata) + below(&path, DEEPEST)).sum::<u64>();
        }
        let unpacking = entries(&paths.layers()).filter(|(path, _)| {
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"unpack-"))
        });
        others.working += unpacking.map(|(path, _)| below(&path, DEEPEST)).sum::<u64>();
        Ok(others)
    }
}

/// A folder's entries; none where there is no folder.
fn entries(folder: &Path) -> impl Iterator<Item = (PathBuf, Metadata)> + use<> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
}

fn on_disk(metadata: &Metadata) -> u64 {
    metadata.blocks() * 512
}

/// Bytes on disk of all below a folder; links are not followed.
fn below(folder: &Path, depth: usize) -> u64 {
    if depth == 0 || !folder.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return 0;
    }
    let sizes = entries(folder).map(|(path, metadata)| match metadata.is_dir() {
        true => on_disk(&metadata) + below(&path, depth - 1),
        false => on_disk(&metadata),
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Paths;

    #[test]
    fn everything_has_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().join("data"), dir.path().join("exec"));
        let store = Store::open(paths.clone()).unwrap().0;
        let before = store.others().unwrap();
        assert!(before.database > 0 && before.containers == 0 && before.trash == 0, "{before:?}");
        let write = |path: std::path::PathBuf| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![7; 1 << 20]).unwrap();
        };
        write(paths.container("a").join("a-json.log"));
        write(paths.upper("a").join("data"));
        write(paths.trash().join("x/y/z"));
        write(paths.layers().join("unpack-1/fs/data"));
        write(paths.layers().join("1/fs/data"));
        let after = store.others().unwrap();
        let about = |now: u64, then: u64| (1 << 20..(1 << 20) + (64 << 10)).contains(&(now - then));
        assert!(about(after.containers, before.containers), "{after:?}");
        assert!(about(after.trash, before.trash), "{after:?}");
        assert!(about(after.working, before.working), "{after:?}");
    }
}
