//! Collection: removes what nobody needs, while pushes and pulls go on, in this process or beside a server.
//!
//! Repository by repository: tags that the policy does not keep; if asked for, manifests that no tag leads to; blobs
//! that no manifest names. Then blobs that are in no repository. What makes this safe beside a running push:
//!
//! - Within the grace nothing goes. A blob's (and a manifest's) change time is its lease: push, mount, and being found
//!   by a client that looks before it pushes all renew it. So the lease outlives a restart and is seen by every process.
//! - A repository into which an upload is under way keeps its blobs and untagged manifests altogether. One that has
//!   rested for longer than the grace (and for a while at least) holds nothing: clients that gave up, on a full disk
//!   above all, leave such, and what they had sent before must go to make room.
//! - A manifest is written under the repository's shared lock, after a look at all it names; here the lock is held
//!   alone while the repository is swept. Either the manifest comes first, and what it names stays, or the sweep comes
//!   first, and the push is told which blobs to send again. Manifests that came before the lock was taken are read
//!   without it, so it is held for as long as it takes to list folders.
//! - A blob's file goes with its last name. Should a repository mount it at that very moment, the mount either comes
//!   first and keeps the file, or finds nothing and the client sends the blob.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use boxship_oci::Digest;

use crate::error::Result;
use crate::name::{RepositoryName, Tag, matches};
use crate::storage::{Storage, blobs, disk, manifest};

/// How long an upload may rest between two requests of its client, whatever the grace.
const UPLOAD_REST: Duration = Duration::from_secs(10 * 60);

/// What may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What was pushed or asked for within this time stays.
    pub grace: Duration,
    /// How many of a repository's tags, the newest, stay; all when absent.
    pub keep_tags: Option<usize>,
    /// Tags that were pushed within this time stay; all when absent. With both, what either keeps stays.
    pub keep_age: Option<Duration>,
    /// Whether manifests that no tag leads to go.
    pub untagged: bool,
    /// Patterns of the repositories that the three rules above are for; all when empty.
    pub repositories: Vec<String>,
    /// Whether nothing is removed, only counted.
    pub dry_run: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(24 * 3600),
            keep_tags: None,
            keep_age: None,
            untagged: false,
            repositories: Vec::new(),
            dry_run: false,
        }
    }
}

/// What went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Tags.
    pub tags: usize,
    /// Manifests.
    pub manifests: usize,
    /// Blobs, each once for every repository it was in.
    pub blobs: usize,
    /// Bytes of blobs that are in no repository any more.
    pub bytes: u64,
    /// Repositories that had become empty.
    pub repositories: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tags, manifests, blobs, bytes, repositories } = self;
        write!(
            f,
            "{tags} tags, {manifests} manifests, {blobs} blobs, {repositories} repositories, {bytes} bytes"
        )
    }
}

/// One run.
struct Run<'a> {
    storage: &'a Storage,
    policy: &'a Policy,
    report: Report,
    /// Files that lost names in this run, and how many: losing one renews the lease, which must not count.
    loosened: HashMap<u64, u64>,
}

/// What a manifest leads to.
struct Node {
    blobs: Vec<Digest>,
    children: Vec<Digest>,
    subject: Option<Digest>,
}

/// Removes what the policy lets go.
pub fn collect(storage: &Storage, policy: &Policy) -> Result<Report> {
    let mut run = Run { storage, policy, report: Report::default(), loosened: HashMap::new() };
    for repository in storage.every_folder()? {
        run.repository(&repository)?;
    }
    run.pool()?;
    if run.report.repositories > 0 && !policy.dry_run {
        storage.tell_changed()?;
    }
    Ok(run.report)
}

impl Run<'_> {
    fn repository(&mut self, repository: &RepositoryName) -> Result<()> {
        let folder = self.storage.folder(repository);
        let mut nodes = HashMap::new();
        self.read(repository, &mut nodes)?;
        let Some(_alone) = disk::lock(&folder, true)? else { return Ok(()) };
        self.read(repository, &mut nodes)?;
        let patterns = &self.policy.repositories;
        let named = patterns.is_empty() || patterns.iter().any(|one| matches(one, repository.as_str()));
        let kept = if named { self.tags(repository)? } else { self.storage.all_tags(repository)? };
        if self.is_pushed_to(&folder.join("_uploads"))? {
            return Ok(());
        }
        if named && self.policy.untagged {
            self.untagged(repository, &mut nodes, &kept)?;
        }
        self.blobs(repository, &nodes)?;
        if !self.policy.dry_run {
            self.stale_referrers(repository)?;
            self.empty(&folder);
        }
        Ok(())
    }

    /// Reads the manifests that were not read before.
    fn read(&self, repository: &RepositoryName, nodes: &mut HashMap<Digest, Node>) -> Result<()> {
        let there: HashSet<Digest> = self.storage.manifests(repository)?.into_iter().collect();
        nodes.retain(|digest, _| there.contains(digest));
        for digest in there {
            if nodes.contains_key(&digest) {
                continue;
            }
            let path = self.storage.manifest_path(repository, &digest);
            let Some(bytes) = disk::if_there(fs::read(&path), "read", &path)? else { continue };
            let node = match manifest::parse(&bytes, None) {
                Ok(parsed) => {
                    Node { blobs: parsed.blobs, children: parsed.children, subject: parsed.subject }
                }
                // A damaged manifest leads nowhere; a push that repairs it brings its blobs along.
                Err(_) => Node { blobs: Vec::new(), children: Vec::new(), subject: None },
            };
            nodes.insert(digest, node);
        }
        Ok(())
    }

    /// Removes the tags that the policy does not keep; those that stay.
    fn tags(&mut self, repository: &RepositoryName) -> Result<Vec<Tag>> {
        let all = self.storage.all_tags(repository)?;
        if self.policy.keep_tags.is_none() && self.policy.keep_age.is_none() {
            return Ok(all);
        }
        let mut timed = Vec::new();
        for tag in all {
            if let Some(time) = self.storage.tag_time(repository, &tag)? {
                timed.push((time, tag));
            }
        }
        timed.sort_by(|a, b| b.cmp(a));
        let mut kept = Vec::new();
        for (rank, (time, tag)) in timed.into_iter().enumerate() {
            let among = self.policy.keep_tags.is_some_and(|count| rank < count);
            let young = |age: Duration| time.elapsed().map_or(true, |since| since < age);
            if among || self.policy.keep_age.is_some_and(young) {
                kept.push(tag);
                continue;
            }
            self.report.tags += 1;
            self.remove(&self.storage.part(repository, "_tags").join(tag.as_str()))?;
        }
        Ok(kept)
    }

    /// Removes manifests that no tag, and no young manifest, leads to.
    fn untagged(
        &mut self,
        repository: &RepositoryName,
        nodes: &mut HashMap<Digest, Node>,
        tags: &[Tag],
    ) -> Result<()> {
        let mut wanted: HashSet<Digest> = HashSet::new();
        let mut next: Vec<Digest> = Vec::new();
        for tag in tags {
            next.extend(self.storage.tag_target(repository, tag)?);
        }
        for digest in nodes.keys() {
            if self.is_young(&self.storage.manifest_path(repository, digest))? {
                next.push(digest.clone());
            }
        }
        // Who refers to a manifest stays with it: signatures, inventories.
        let mut referrers: HashMap<&Digest, Vec<&Digest>> = HashMap::new();
        for (digest, node) in nodes.iter() {
            if let Some(subject) = &node.subject {
                referrers.entry(subject).or_default().push(digest);
            }
        }
        while let Some(digest) = next.pop() {
            if !wanted.insert(digest.clone()) {
                continue;
            }
            next.extend(nodes.get(&digest).into_iter().flat_map(|node| node.children.iter().cloned()));
            next.extend(referrers.get(&digest).into_iter().flatten().map(|one| (*one).clone()));
        }
        drop(referrers);
        let unwanted: Vec<Digest> = nodes.keys().filter(|digest| !wanted.contains(digest)).cloned().collect();
        for digest in unwanted {
            self.report.manifests += 1;
            nodes.remove(&digest);
            if !self.policy.dry_run {
                self.storage.remove_manifest(repository, &digest)?;
            }
        }
        Ok(())
    }

    /// Takes blobs that no manifest names out of the repository.
    fn blobs(&mut self, repository: &RepositoryName, nodes: &HashMap<Digest, Node>) -> Result<()> {
        let needed: HashSet<&Digest> = nodes.values().flat_map(|node| &node.blobs).collect();
        for digest in self.storage.digests(&self.storage.part(repository, "_blobs"))? {
            if needed.contains(&digest) {
                continue;
            }
            let path = self.storage.blob_path(repository, &digest);
            let Some(found) = disk::if_there(fs::symlink_metadata(&path), "stat", &path)? else { continue };
            if !self.is_over(&found) {
                continue;
            }
            self.report.blobs += 1;
            let lost = self.loosened.entry(found.ino()).or_default();
            *lost += 1;
            if found.nlink() == if self.policy.dry_run { *lost } else { 1 } {
                self.report.bytes += found.len();
            }
            self.remove(&path)?;
        }
        Ok(())
    }

    /// Removes blobs that are in no repository.
    fn pool(&mut self) -> Result<()> {
        let pool = self.storage.pool();
        for algorithm in ["sha256", "sha512"] {
            for shelf in disk::names(&pool.join(algorithm))? {
                let shelf = pool.join(algorithm).join(shelf);
                for name in disk::names(&shelf)? {
                    let path = shelf.join(name);
                    let Some(found) = disk::if_there(fs::symlink_metadata(&path), "stat", &path)? else {
                        continue;
                    };
                    let lost = self.loosened.get(&found.ino()).copied().unwrap_or_default();
                    let names = if self.policy.dry_run {
                        found.nlink() - lost.min(found.nlink() - 1)
                    } else {
                        found.nlink()
                    };
                    if names == 1 && (lost > 0 || self.is_over(&found)) {
                        self.report.bytes += found.len();
                        self.remove(&path)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Entries of the referrers API whose manifest has gone, or never came.
    fn stale_referrers(&self, repository: &RepositoryName) -> Result<()> {
        let folder = self.storage.part(repository, "_referrers");
        for subject in self.storage.digests(&folder)? {
            let entries = folder.join(subject.algorithm().as_str()).join(subject.hex());
            for name in disk::names(&entries)? {
                let there = |digest: Digest| self.storage.manifest_path(repository, &digest).is_file();
                if !name.parse().is_ok_and(there) {
                    disk::remove_file(&entries.join(name))?;
                }
            }
        }
        Ok(())
    }

    /// Removes folders that have become empty: removing one that has not is refused by the kernel.
    fn empty(&mut self, folder: &Path) {
        let mut below = Vec::new();
        for part in ["_referrers", "_tags", "_manifests", "_blobs", "_uploads"] {
            let part = folder.join(part);
            for algorithm in ["sha256", "sha512"] {
                let shelf = part.join(algorithm);
                if part.ends_with("_referrers") {
                    let entries = disk::names(&shelf).unwrap_or_default();
                    below.extend(entries.into_iter().map(|name| shelf.join(name)));
                }
                below.push(shelf);
            }
            below.push(part);
        }
        for path in below {
            let _ = fs::remove_dir(path);
        }
        if fs::remove_dir(folder).is_err() {
            return;
        }
        self.report.repositories += 1;
        disk::remove_empty_above(folder, &self.storage.repositories_folder());
    }

    fn remove(&self, path: &Path) -> Result<()> {
        if !self.policy.dry_run {
            disk::remove_file(path)?;
        }
        Ok(())
    }

    /// Whether an upload has got something of late.
    fn is_pushed_to(&self, uploads: &Path) -> Result<bool> {
        let rest = self.policy.grace.max(UPLOAD_REST);
        for name in disk::names(uploads)? {
            let path = uploads.join(name);
            let found = disk::if_there(fs::symlink_metadata(&path), "stat", &path)?;
            let written = found.and_then(|found| found.modified().ok());
            // A time to come, after the clock was set back, is of late, too.
            if written.is_some_and(|written| written.elapsed().unwrap_or_default() < rest) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_over(&self, found: &fs::Metadata) -> bool {
        blobs::age(found) >= self.policy.grace.as_secs()
    }

    fn is_young(&self, path: &Path) -> Result<bool> {
        let found = disk::if_there(fs::symlink_metadata(path), "stat", path)?;
        Ok(found.is_some_and(|found| !self.is_over(&found)))
    }
}
