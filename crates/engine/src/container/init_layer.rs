//! The layer between a container's own and its image's: the places that are mounted over in every container, and the
//! marker by which programs know Docker's containers. One for all containers, never written after it was made; so a
//! container that changed nothing has an empty layer of its own, and `diff` shows only what the container did.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use boxship_oci::OverlayMount;

use crate::{Engine, Error, Kind, Result};

const FOLDERS: [&str; 4] = ["dev", "etc", "proc", "sys"];
const FILES: [&str; 4] = [".dockerenv", "etc/hostname", "etc/hosts", "etc/resolv.conf"];

/// Makes it at `path`, unless it is there.
pub(crate) fn make(path: &Path) -> Result<()> {
    fill(path).map_err(|error| Error::caused(Kind::Internal, format!("make {}", path.display()), error))
}

fn fill(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root)?;
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
    for folder in FOLDERS.map(|folder| root.join(folder)) {
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    }
    for file in FILES.map(|file| root.join(file)).iter().filter(|file| !file.exists()) {
        fs::write(file, "")?;
        fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    }
    match symlink("/proc/mounts", root.join("etc/mtab")) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

impl Engine {
    /// The overlay to be mounted as a container's root.
    pub(super) fn root_of(&self, id: &str) -> Result<OverlayMount> {
        let mut mount = self.store().snapshots().mount(id)?;
        mount.lower.insert(0, self.store().paths().init_layer());
        Ok(mount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("init-layer");
        make(&root).unwrap();
        make(&root).unwrap();
        assert_eq!(fs::metadata(root.join("etc/hosts")).unwrap().len(), 0);
        assert_eq!(fs::read_link(root.join("etc/mtab")).unwrap(), Path::new("/proc/mounts"));
    }
}
