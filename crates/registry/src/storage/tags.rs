//! Tags: small files that hold a digest.

use std::fs;
use std::time::{Duration, SystemTime};

use boxship_oci::Digest;

use super::{Storage, disk};
use crate::error::{Error, Named, Result};
use crate::name::{RepositoryName, Tag};

/// How old the time of a tag's last use may be before it is written again.
const RENEW: Duration = Duration::from_secs(300);

impl Storage {
    /// What a tag points at.
    pub(crate) fn tag_target(&self, repository: &RepositoryName, tag: &Tag) -> Result<Option<Digest>> {
        let path = self.tag_path(repository, tag);
        let Some(bytes) = disk::if_there(fs::read(&path), "read", &path)? else { return Ok(None) };
        // A tag that was damaged is none: the next push repairs it.
        Ok(std::str::from_utf8(&bytes).ok().and_then(|text| text.trim_end().parse().ok()))
    }

    /// Points a tag at a manifest. Its time is that of the push, even if it pointed there before.
    pub(crate) fn point(&self, repository: &RepositoryName, tag: &Tag, digest: &Digest) -> Result<()> {
        self.write(&self.tag_path(repository, tag), digest.to_string().as_bytes())
    }

    /// The same for a mirror's tag, whose time is that of its last use: written when there is something to write.
    pub(crate) fn point_again(&self, repository: &RepositoryName, tag: &Tag, digest: &Digest) -> Result<()> {
        let time = self.tag_time(repository, tag)?;
        let fresh = time.is_some_and(|time| time.elapsed().is_ok_and(|age| age < RENEW));
        if fresh && self.tag_target(repository, tag)?.as_ref() == Some(digest) {
            return Ok(());
        }
        self.point(repository, tag, digest)
    }

    /// All tags, in no order.
    pub(crate) fn all_tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>> {
        let names = disk::names(&self.part(repository, "_tags"))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// All tags in the specification's order, which ignores case first.
    pub(crate) fn tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>> {
        if !self.knows(repository) {
            return Err(Error::NoRepository(repository.to_string()));
        }
        let mut tags = self.all_tags(repository)?;
        tags.sort_by_cached_key(|tag| order(tag.as_str()));
        Ok(tags)
    }

    /// When a tag was last pushed.
    pub(crate) fn tag_time(&self, repository: &RepositoryName, tag: &Tag) -> Result<Option<SystemTime>> {
        let path = self.tag_path(repository, tag);
        let Some(found) = disk::if_there(fs::metadata(&path), "stat", &path)? else { return Ok(None) };
        found.modified().named("stat", &path).map(Some)
    }

    /// Removes a tag, and nothing else.
    pub(crate) fn delete_tag(&self, repository: &RepositoryName, tag: &Tag) -> Result<()> {
        let _alone = disk::lock(&self.folder(repository), true)?;
        match disk::remove_file(&self.tag_path(repository, tag))? {
            true => Ok(()),
            false if self.knows(repository) => Err(Error::NoManifest(tag.to_string())),
            false => Err(Error::NoRepository(repository.to_string())),
        }
    }
}

/// What tags are sorted by.
pub(crate) fn order(tag: &str) -> (String, String) {
    (tag.to_ascii_lowercase(), tag.to_owned())
}
