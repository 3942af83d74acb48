//! `state.json`: what another process must know to go on with a container. One file per container, written once.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use boxship_oci::runtime::Hooks;
use boxship_sys::{Errno, path};
use indexmap::IndexMap;
use rustix::fs::{FlockOperation, OFlags};
use serde::{Deserialize, Serialize};

use crate::cgroup;
use crate::error::{Error, Result};

/// The name of the record in the container's folder.
const FILE: &str = "state.json";
/// The name of the fifo whose byte starts the program; it is there until then.
pub(crate) const FIFO: &str = "exec.fifo";
/// The longest id, so that it and its files fit the file system's names.
const MOST_ID: usize = 1024;

/// What is known of a container since its creation. Nothing in it changes later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The version of the specification it was made by.
    pub oci_version: String,
    /// Its name.
    pub id: String,
    /// Its first process.
    pub pid: i32,
    /// When that process started, in clock ticks since boot: tells it from a later one of the same number.
    pub start_time: u64,
    /// The bundle, absolute.
    pub bundle: PathBuf,
    /// The root folder on the host, absolute.
    pub rootfs: PathBuf,
    /// When it was created, RFC 3339.
    pub created: String,
    /// The user who created it.
    pub owner: u32,
    /// Annotations of the specification.
    #[serde(default)]
    pub annotations: IndexMap<String, String>,
    /// `CLONE_NEW*` bits of the namespaces that are not the host's.
    pub namespaces: u64,
    /// Its session keyring, if it got one.
    #[serde(default)]
    pub keyring: Option<String>,
    /// Its mounts are in the host's tree, below the root folder.
    #[serde(default)]
    pub mounted_on_host: bool,
    /// Its control groups.
    pub cgroup: cgroup::Record,
    /// Hooks still to be run by whoever starts or deletes it.
    #[serde(default)]
    pub hooks: Hooks,
}

/// Checks that an id is the name of one folder, of letters, digits and `_+-.` only.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let sane = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte));
    if id.is_empty() || id == "." || id == ".." || id.len() > MOST_ID || !sane {
        return Err(Error::InvalidId { id: id.to_owned() });
    }
    Ok(())
}

/// The folder of a container being made. Whoever makes it holds a lock on it, so that the remains of a maker who died
/// can be told from a container that somebody else is making just now.
#[derive(Debug)]
pub(crate) struct Claim {
    pub folder: PathBuf,
    _lock: OwnedFd,
}

/// Makes the folder of a new container; that it was not there before, or holds nothing but remains, makes the id its
/// own.
pub(crate) fn claim(root: &Path, id: &str) -> Result<Claim> {
    check_id(id)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(Error::file("create", root))?;
    let folder = root.join(id);
    let exists = || Error::Exists { id: id.to_owned() };
    let remains = match fs::DirBuilder::new().mode(0o711).create(&folder) {
        Ok(()) => false,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => true,
        Err(error) => return Err(Error::file("create", folder)(error)),
    };
    let lock = path::open(&folder, OFlags::RDONLY | OFlags::DIRECTORY)
        .map_err(Error::system("open state folder"))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(exists()),
        Err(errno) => return Err(Error::file("lock", &folder)(errno.into())),
    }
    if remains {
        if folder.join(FILE).exists() {
            return Err(exists());
        }
        match fs::remove_file(folder.join(FIFO)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::file("remove", folder)(error));
            }
            _ => {}
        }
    }
    Ok(Claim { folder, _lock: lock })
}

impl Record {
    /// Writes the record: whole or not at all for whoever reads meanwhile.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let new = folder.join(".state.json.new");
        let text = serde_json::to_vec(self).map_err(|source| Error::Record { path: path.clone(), source })?;
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(&text))
            .and_then(|()| fs::rename(&new, &path));
        written.map_err(Error::file("write", path))
    }

    /// Reads the record of a container's folder.
    pub(crate) fn read(folder: &Path, id: &str) -> Result<Self> {
        let path = folder.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Err(Error::NotFound { id: id.to_owned() });
            }
            Err(error) => return Err(Error::file("read", path)(error)),
        };
        serde_json::from_slice(&text).map_err(|source| Error::Record { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_names() {
        for (id, fine) in [
            ("a", true),
            ("A1_.+-", true),
            ("", false),
            (".", false),
            ("..", false),
            ("a/b", false),
            ("é", false),
            ("a b", false),
        ] {
            assert_eq!(check_id(id).is_ok(), fine, "{id}");
        }
    }

    #[test]
    fn an_id_is_claimed_once() {
        let root = tempfile::tempdir().unwrap();
        let first = claim(root.path(), "one").unwrap();
        let folder = first.folder.clone();
        assert!(matches!(claim(root.path(), "one"), Err(Error::Exists { .. })));
        assert!(matches!(Record::read(&folder, "one"), Err(Error::NotFound { .. })));
        // Its maker died: the remains are nobody's.
        fs::write(folder.join(FIFO), "").unwrap();
        drop(first);
        // A program that another test starts holds the lock, too, until it runs.
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let second = loop {
            match claim(root.path(), "one") {
                Err(Error::Exists { .. }) if std::time::Instant::now() < patience => std::thread::yield_now(),
                claimed => break claimed.unwrap(),
            }
        };
        assert!(!folder.join(FIFO).exists());
        let record = Record { id: "one".into(), pid: 7, ..Record::default() };
        record.write(&folder).unwrap();
        assert_eq!(Record::read(&folder, "one").unwrap(), record);
        drop(second);
        assert!(matches!(claim(root.path(), "one"), Err(Error::Exists { .. })));
    }
}
