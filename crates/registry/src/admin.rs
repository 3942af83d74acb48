//! What the commands `registry ls|tags|rm|du` do: they work on the storage folder, also while a server works on it.
//! The same locks and the same order of writes hold for both, and a server learns of repositories that have gone.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use boxship_oci::Digest;

use crate::error::{Error, Result};
use crate::name::{Reference, RepositoryName, Tag};
use crate::storage::{Storage, disk};

/// What a repository takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Its name.
    pub name: RepositoryName,
    /// How many tags it has.
    pub tags: usize,
    /// How many manifests.
    pub manifests: usize,
    /// How many blobs.
    pub blobs: usize,
    /// Bytes of its blobs and manifests.
    pub size: u64,
    /// Bytes of what no other repository has.
    pub unique: u64,
}

/// What the whole storage takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// Each repository.
    pub repositories: Vec<Usage>,
    /// Bytes on the disk, each file once.
    pub size: u64,
    /// Bytes of blobs that are in no repository.
    pub unused: u64,
    /// Bytes of uploads under way.
    pub uploads: u64,
}

/// A tag and what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagInfo {
    /// The tag.
    pub tag: Tag,
    /// The manifest.
    pub digest: Digest,
    /// Its media type; none when the manifest has gone.
    pub media_type: Option<String>,
    /// When the tag was pushed.
    pub pushed: SystemTime,
}

/// What takes how much.
pub fn usage(storage: &Storage) -> Result<Total> {
    let mut total = Total { repositories: Vec::new(), size: 0, unused: 0, uploads: 0 };
    let mut seen = HashSet::new();
    for name in storage.every_folder()? {
        let mut usage =
            Usage { tags: storage.all_tags(&name)?.len(), manifests: 0, blobs: 0, size: 0, unique: 0, name };
        let (manifests, blobs) =
            (storage.part(&usage.name, "_manifests"), storage.part(&usage.name, "_blobs"));
        for digest in storage.digests(&manifests)? {
            let Some(found) = stat(&storage.manifest_path(&usage.name, &digest))? else { continue };
            usage.manifests += 1;
            usage.size += found.len();
            usage.unique += found.len();
            total.size += found.len();
        }
        for digest in storage.digests(&blobs)? {
            let Some(found) = stat(&storage.blob_path(&usage.name, &digest))? else { continue };
            usage.blobs += 1;
            usage.size += found.len();
            // One name here, one in the pool.
            if found.nlink() <= 2 {
                usage.unique += found.len();
            }
            if seen.insert(found.ino()) {
                total.size += found.len();
            }
        }
        let uploads = storage.part(&usage.name, "_uploads");
        for id in disk::names(&uploads)? {
            total.uploads += stat(&uploads.join(id))?.map_or(0, |found| found.len());
        }
        total.repositories.push(usage);
    }
    let pool = storage.pool();
    for algorithm in ["sha256", "sha512"] {
        for shelf in disk::names(&pool.join(algorithm))? {
            let shelf = pool.join(algorithm).join(shelf);
            for name in disk::names(&shelf)? {
                let Some(found) = stat(&shelf.join(name))? else { continue };
                if seen.insert(found.ino()) {
                    total.unused += found.len();
                    total.size += found.len();
                }
            }
        }
    }
    total.size += total.uploads;
    Ok(total)
}

fn stat(path: &Path) -> Result<Option<fs::Metadata>> {
    disk::if_there(fs::symlink_metadata(path), "stat", path)
}

/// The names of all repositories that hold manifests.
pub fn repositories(storage: &Storage) -> Result<Vec<RepositoryName>> {
    storage.catalog(None, usize::MAX, |_| true)
}

/// The tags of a repository.
pub fn tags(storage: &Storage, repository: &RepositoryName) -> Result<Vec<TagInfo>> {
    let mut infos = Vec::new();
    for tag in storage.tags(repository)? {
        let target = storage.tag_target(repository, &tag)?;
        let (Some(digest), Some(pushed)) = (target, storage.tag_time(repository, &tag)?) else { continue };
        let media_type = storage.manifest(repository, &digest).ok().map(|manifest| manifest.media_type);
        infos.push(TagInfo { tag, digest, media_type, pushed });
    }
    Ok(infos)
}

/// Removes a tag, or a manifest with its tags.
pub fn remove(storage: &Storage, repository: &RepositoryName, reference: &Reference) -> Result<()> {
    match reference {
        Reference::Tag(tag) => storage.delete_tag(repository, tag),
        Reference::Digest(digest) => storage.delete_manifest(repository, digest),
    }
}

/// Removes a repository. Uploads into it that are under way go on, and make it again when they end.
pub fn remove_repository(storage: &Storage, repository: &RepositoryName) -> Result<()> {
    let unknown = || Error::NoRepository(repository.to_string());
    if !storage.knows(repository) {
        return Err(unknown());
    }
    let folder = storage.folder(repository);
    let _alone = disk::lock(&folder, true)?.ok_or_else(unknown)?;
    for part in ["_tags", "_manifests", "_referrers", "_blobs"] {
        let path = folder.join(part);
        disk::if_there(fs::remove_dir_all(&path), "remove", &path)?;
    }
    // What is not empty stays: uploads, and repositories whose names go on from this one.
    let _ = fs::remove_dir(folder.join("_uploads"));
    let top = storage.repositories_folder();
    if fs::remove_dir(&folder).is_ok() {
        disk::remove_empty_above(&folder, &top);
    }
    disk::sync_folder(&top)?;
    storage.tell_changed()
}
