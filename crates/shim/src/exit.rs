//! How a process ended, and the record of it that outlives the shim: `exit.json`.

use std::{fs, io, path::Path};

use boxship_sys::process;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, protocol};

/// How a container or an exec ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code; 128 and the signal's number if a signal ended it.
    pub code: i32,
    /// When.
    pub time: Timestamp,
    /// The kernel ended processes of the container for want of memory.
    #[serde(default)]
    pub oom_killed: bool,
}

impl Exit {
    pub(crate) fn now(exit: process::Exit, oom_killed: bool) -> Self {
        Self { code: exit.status(), time: Timestamp::now(), oom_killed }
    }

    /// The record in a container's folder below the exec root; `None` if the container has not ended.
    pub fn read(directory: &Path) -> Result<Option<Self>> {
        let path = protocol::exit_path(directory);
        match fs::read(&path) {
            Ok(text) => protocol::decode(&text, "exit record").map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::File { action: "read", path, source }),
        }
    }

    /// Writes the record: whole or not at all, but without waiting for the disk (the folder doesn't outlive the
    /// machine anyway).
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        let path = protocol::exit_path(directory);
        let new = path.with_extension("new");
        fs::write(&new, protocol::encode(self)).map_err(Error::file("write", &new))?;
        fs::rename(&new, &path).map_err(Error::file("rename", &new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Exit::read(folder.path()).unwrap(), None);
        let exit = Exit::now(process::Exit::Signal(9), true);
        assert_eq!(exit.code, 137);
        exit.write(folder.path()).unwrap();
        assert_eq!(Exit::read(folder.path()).unwrap(), Some(exit));
    }
}
