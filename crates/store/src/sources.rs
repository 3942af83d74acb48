//! Which repositories have a blob, and which blobs are compressed forms of others: what pushes and repairs need.
//!
//! A layer's archive is needed only to save or push its image; where a repository is known to have it, it may be
//! missing here and is fetched again when it is asked for ([`Content::evict`], [`Content::sources`]).

use boxship_oci::digest::Digest;
use boxship_oci::reference::Reference;
use rusqlite::{OptionalExtension, params};

use crate::error::io;
use crate::layers::digest;
use crate::leases::Held;
use crate::open::Inner;
use crate::{Blob, Content, Error, Result};

/// Repositories remembered of one blob: the newest are of use, more are none.
const MOST: usize = 16;

impl Content<'_> {
    /// Remembers that `repository` has these blobs.
    pub fn add_sources(&self, repository: &Reference, blobs: &[Digest]) -> Result<()> {
        let name = repository.name();
        self.store.db.write(|tx| {
            let mut insert = tx.prepare_cached("INSERT OR IGNORE INTO blob_sources VALUES (?1, ?2)")?;
            blobs.iter().try_for_each(|blob| insert.execute([blob.to_string(), name.clone()]).map(drop))?;
            Ok(())
        })
    }

    /// Repositories that had the blob when last heard of.
    pub fn sources(&self, blob: &Digest) -> Result<Vec<Reference>> {
        self.store.db.read(|c| {
            let mut query =
                c.prepare_cached("SELECT repository FROM blob_sources WHERE blob = ?1 LIMIT ?2")?;
            let rows = query.query_map(params![blob.to_string(), MOST as i64], |row| row.get(0))?;
            let names: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
            Ok(names.iter().filter_map(|name| Reference::parse(name).ok()).collect())
        })
    }

    /// The compressed form of a plain archive, if it was made and is still there.
    pub fn packed(&self, plain: &Digest) -> Result<Option<Blob>> {
        let row = self.store.db.read(|c| {
            let mut query = c.prepare_cached("SELECT blob, size FROM packed WHERE plain = ?1")?;
            let row = query.query_row([plain.to_string()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)? as u64))
            });
            Ok::<_, Error>(row.optional()?)
        })?;
        let Some((blob, size)) = row else { return Ok(None) };
        let blob = Blob { digest: digest(&blob)?, size };
        Ok(self.size(&blob.digest)?.is_some_and(|found| found == size).then_some(blob))
    }

    /// Remembers the compressed form of a plain archive that an image has; it lives as long as the image.
    pub fn set_packed(&self, plain: &Digest, blob: &Blob) -> Result<()> {
        self.store.db.write(|tx| {
            let mut insert = tx.prepare_cached("INSERT OR REPLACE INTO packed VALUES (?1, ?2, ?3)")?;
            insert.execute(params![plain.to_string(), blob.digest.to_string(), blob.size as i64])?;
            Ok(())
        })
    }

    /// Removes layers' archives that can be fetched again until those left take `budget` bytes at most; those that were
    /// read or written longest ago go first. What is held stays. Returns the bytes freed.
    pub fn evict(&self, budget: u64) -> Result<u64> {
        let mut evictable = Vec::new();
        for digest in self.replaceable()? {
            let path = self.store.paths.blob(&digest);
            if let Ok(metadata) = path.symlink_metadata() {
                let used = metadata.accessed().ok().max(metadata.modified().ok());
                evictable.push((used, digest, metadata.len()));
            }
        }
        let mut total: u64 = evictable.iter().map(|(_, _, size)| size).sum();
        evictable.sort();
        let mut freed = 0;
        for (_, digest, size) in evictable {
            if total <= budget {
                break;
            }
            let leases = self.store.leases.lock();
            if leases.holds(&Held::Blob(digest.clone())) {
                continue;
            }
            let path = self.store.paths.blob(&digest);
            std::fs::remove_file(&path).map_err(io("remove", &path))?;
            total -= size;
            freed += size;
        }
        Ok(freed)
    }

    /// Layers' archives that a repository has too.
    fn replaceable(&self) -> Result<Vec<Digest>> {
        self.store.db.read(|c| {
            let mut query = c.prepare_cached(
                "SELECT DISTINCT blob FROM image_layers WHERE blob IN (SELECT blob FROM blob_sources)",
            )?;
            let rows = query.query_map([], |row| row.get::<_, String>(0))?;
            rows.map(|row| digest(&row?)).collect()
        })
    }
}

impl Inner {
    /// Forgets what no image needs any more. Returns compressed forms that nobody owns now.
    pub(crate) fn forget_sources(&self) -> Result<Vec<Digest>> {
        self.db.write(|tx| {
            let mut query = tx.prepare_cached(
                "DELETE FROM packed WHERE plain NOT IN (SELECT blob FROM image_layers) RETURNING blob",
            )?;
            let rows = query.query_map([], |row| row.get::<_, String>(0))?;
            let blobs: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
            tx.prepare_cached(
                "DELETE FROM blob_sources WHERE blob NOT IN (SELECT blob FROM image_layers)
                     AND blob NOT IN (SELECT blob FROM packed)",
            )?
            .execute([])?;
            blobs.iter().map(|blob| digest(blob)).collect()
        })
    }
}
