//! Uploads: blobs on their way in. Each is a file in its repository that grows; its length is how far it has come, so
//! that it can be gone on with after a restart of the server too. The hash runs along while the server remembers it.
//!
//! An upload is written to by one request at a time: a request holds a [`Lease`] with the [`Writer`], and gives it
//! back when it ends, however it ends.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use boxship_oci::{Algorithm, Digest};

use super::blobs::{Hasher, hash_file};
use super::{Storage, disk};
use crate::error::{Error, Named, Result};
use crate::name::{RepositoryName, UploadId};

/// All uploads that are under way.
pub(crate) struct Uploads {
    storage: Arc<Storage>,
    open: Mutex<HashMap<UploadId, Entry>>,
    /// The most uploads at once.
    most: usize,
    /// The most bytes of a blob.
    largest: u64,
}

struct Entry {
    repository: RepositoryName,
    /// Absent while a request writes.
    writer: Option<Writer>,
}

/// The growing file.
pub(crate) struct Writer {
    file: File,
    path: PathBuf,
    size: u64,
    largest: u64,
    /// Absent after a restart: then the file is read once when it is finished.
    hasher: Option<Hasher>,
}

/// The right to write to an upload.
pub(crate) struct Lease {
    uploads: Arc<Uploads>,
    repository: RepositoryName,
    id: UploadId,
    /// Present until the upload is finished or given up.
    writer: Option<Writer>,
    /// Whether what came goes when the lease ends unfinished, instead of being gone on with.
    fleeting: bool,
}

impl Uploads {
    /// The uploads of a storage: those that a server before left are under way still.
    pub(crate) fn new(storage: Arc<Storage>, most: usize, largest: u64) -> Result<Self> {
        let mut open = HashMap::new();
        for repository in storage.every_folder()? {
            for name in disk::names(&storage.part(&repository, "_uploads"))? {
                let Ok(id) = name.parse::<UploadId>() else { continue };
                open.insert(id, Entry { repository: repository.clone(), writer: None });
            }
        }
        let uploads = Self { storage, open: Mutex::new(HashMap::new()), most, largest };
        for (id, mut entry) in open {
            entry.writer = uploads.reopen(&entry.repository, &id)?;
            uploads.table().insert(id, entry);
        }
        Ok(uploads)
    }

    fn table(&self) -> MutexGuard<'_, HashMap<UploadId, Entry>> {
        // Entries are inserted and removed whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, repository: &RepositoryName, id: &UploadId) -> PathBuf {
        self.storage.part(repository, "_uploads").join(id.as_str())
    }

    fn reopen(&self, repository: &RepositoryName, id: &UploadId) -> Result<Option<Writer>> {
        let path = self.path(repository, id);
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let Some(file) = disk::if_there(opened, "open", &path)? else { return Ok(None) };
        let size = file.metadata().named("stat", &path)?.len();
        Ok(Some(Writer { file, path, size, largest: self.largest, hasher: None }))
    }

    /// Begins an upload; `algorithm` is the hash that runs along.
    pub(crate) fn begin(
        self: &Arc<Self>,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<Lease> {
        let id = UploadId::random().map_err(|why| Error::Setting(format!("random numbers: {why}")))?;
        {
            let mut table = self.table();
            if table.len() >= self.most {
                return Err(Error::TooManyUploads(table.len()));
            }
            table.insert(id.clone(), Entry { repository: repository.clone(), writer: None });
        }
        let mut lease = Lease {
            uploads: self.clone(),
            repository: repository.clone(),
            id,
            writer: None,
            fleeting: false,
        };
        let path = self.path(repository, &lease.id);
        let folder = path.parent().unwrap_or(&path);
        let _held = self.storage.hold(repository)?;
        disk::make_folder(folder)?;
        let opened = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = opened.named("create", &path)?;
        let hasher = Some(Hasher::new(algorithm));
        lease.writer = Some(Writer { file, path, size: 0, largest: self.largest, hasher });
        Ok(lease)
    }

    /// Takes up an upload.
    pub(crate) fn resume(self: &Arc<Self>, repository: &RepositoryName, id: &UploadId) -> Result<Lease> {
        let mut table = self.table();
        let absent = || Error::NoUpload(id.to_string());
        let entry = table.get_mut(id).filter(|entry| entry.repository == *repository).ok_or_else(absent)?;
        let writer = entry.writer.take().ok_or_else(|| Error::UploadBusy(id.to_string()))?;
        drop(table);
        Ok(Lease {
            uploads: self.clone(),
            repository: repository.clone(),
            id: id.clone(),
            writer: Some(writer),
            fleeting: false,
        })
    }

    /// How many bytes of an upload have come.
    pub(crate) fn size(&self, repository: &RepositoryName, id: &UploadId) -> Result<u64> {
        let absent = || Error::NoUpload(id.to_string());
        let known = self.table().get(id).is_some_and(|entry| entry.repository == *repository);
        if !known {
            return Err(absent());
        }
        let path = self.path(repository, id);
        disk::if_there(fs::metadata(&path), "stat", &path)?.map(|file| file.len()).ok_or_else(absent)
    }

    /// Refuses what is known beforehand to be too much, for a blob or for the disk.
    pub(crate) fn expect(&self, size: u64, more: u64) -> Result<()> {
        if size.saturating_add(more) > self.largest {
            return Err(Error::TooLarge(self.largest));
        }
        let root = self.storage.root();
        let disk = rustix::fs::statvfs(root).named("statvfs", root)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < more {
            return Err(std::io::Error::from(std::io::ErrorKind::StorageFull)).named("write", root);
        }
        Ok(())
    }

    /// Removes uploads that nobody has written to for so long; how many.
    pub(crate) fn expire(&self, age: Duration) -> Result<usize> {
        let idle: Vec<(UploadId, RepositoryName)> = {
            let table = self.table();
            let resting = table.iter().filter(|(_, entry)| entry.writer.is_some());
            resting.map(|(id, entry)| (id.clone(), entry.repository.clone())).collect()
        };
        let mut removed = 0;
        for (id, repository) in idle {
            let path = self.path(&repository, &id);
            let found = disk::if_there(fs::metadata(&path), "stat", &path)?;
            let old = found.is_none_or(|file| {
                let modified = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                modified.elapsed().is_ok_and(|idle| idle >= age)
            });
            let mut table = self.table();
            if old && table.get(&id).is_some_and(|entry| entry.writer.is_some()) {
                table.remove(&id);
                drop(table);
                disk::remove_file(&path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

impl Lease {
    /// The upload's name.
    pub(crate) fn id(&self) -> &UploadId {
        &self.id
    }

    /// Nothing of the upload shall stay unless it is finished: nobody knows its name.
    pub(crate) fn fleeting(mut self) -> Self {
        self.fleeting = true;
        self
    }

    /// The growing file, for reading along.
    pub(crate) fn reader(&self) -> Result<File> {
        let writer = self.writer.as_ref().ok_or_else(|| Error::NoUpload(self.id.to_string()))?;
        File::open(&writer.path).named("open", &writer.path)
    }

    /// How many bytes have come.
    pub(crate) fn size(&self) -> u64 {
        self.writer.as_ref().map_or(0, |writer| writer.size)
    }

    /// Refuses what is known beforehand to be too much. Where it is the disk that is too small, the upload is given up as
    /// when writing fails: what came of it holds the room that others need, and its client can't go on.
    pub(crate) fn expect(&mut self, more: u64) -> Result<()> {
        let expected = self.uploads.expect(self.size(), more);
        if expected.as_ref().is_err_and(Error::is_full) {
            self.give_up()?;
        }
        expected
    }

    /// Appends. When the disk is full the upload is given up, so that the room it took is there for others.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let id = &self.id;
        let writer = self.writer.as_mut().ok_or_else(|| Error::NoUpload(id.to_string()))?;
        let appended = writer.append(bytes);
        if appended.as_ref().is_err_and(|error| error.is_full() || matches!(error, Error::TooLarge(_))) {
            self.give_up()?;
        }
        appended
    }

    /// Ends the upload: what came becomes a blob if it has this digest, and is gone if not.
    pub(crate) fn finish(mut self, digest: &Digest) -> Result<()> {
        let id = self.id.to_string();
        let mut writer = self.writer.take().ok_or(Error::NoUpload(id))?;
        let done = self.adopt(&mut writer, digest);
        // The lease's end takes the upload off the list; a file that was not adopted goes with it.
        disk::remove_file(&writer.path)?;
        done
    }

    fn adopt(&self, writer: &mut Writer, digest: &Digest) -> Result<()> {
        let found = writer.hash(digest.algorithm())?;
        if found != *digest {
            return Err(Error::Mismatch { wanted: digest.clone(), found });
        }
        self.uploads.storage.adopt(&writer.path, &writer.file, &self.repository, digest)
    }

    /// Cancels the upload.
    pub(crate) fn give_up(&mut self) -> Result<()> {
        match self.writer.take() {
            Some(writer) => disk::remove_file(&writer.path).map(drop),
            None => Ok(()),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.fleeting
            && let Err(error) = self.give_up()
        {
            tracing::warn!(%error, "what came of a blob could not be removed");
        }
        let mut table = self.uploads.table();
        match (self.writer.take(), table.get_mut(&self.id)) {
            (Some(writer), Some(entry)) => entry.writer = Some(writer),
            (None, Some(_)) => drop(table.remove(&self.id)),
            (_, None) => {}
        }
    }
}

impl Writer {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.size + bytes.len() as u64 > self.largest {
            return Err(Error::TooLarge(self.largest));
        }
        // What a write that failed half way left behind is no part of the upload.
        if let Err(error) = self.file.write_all_at(bytes, self.size) {
            let _ = self.file.set_len(self.size);
            return Err(error).named("write", &self.path);
        }
        self.size += bytes.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        Ok(())
    }

    fn hash(&mut self, algorithm: Algorithm) -> Result<Digest> {
        match self.hasher.take() {
            Some(hasher) if hasher.algorithm() == algorithm => Ok(hasher.finish()),
            _ => hash_file(&self.file, algorithm, &self.path),
        }
    }
}
