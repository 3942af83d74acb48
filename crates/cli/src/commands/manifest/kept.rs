//! Indexes that are being put together: a folder for each, a file for each image in it, in the stock client's names and
//! format.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use boxship_oci::Reference;

use super::part::Part;
use crate::failure::{Failure, Result};
use crate::values::environment::reason;

/// The folder of all.
pub struct Kept {
    root: PathBuf,
}

impl Kept {
    /// In this folder, which needn't be there.
    pub fn new(root: PathBuf) -> Kept {
        Kept { root }
    }

    fn folder(&self, list: &Reference) -> PathBuf {
        self.root.join(file_name(list))
    }

    /// The images of an index; `None`: nothing of that name is being put together.
    pub fn list(&self, list: &Reference) -> Result<Option<Vec<Part>>> {
        let folder = self.folder(list);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", &folder, &error)),
        };
        let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
        let mut paths = paths.map_err(|error| failed("read", &folder, &error))?;
        paths.sort();
        let mut parts = Vec::new();
        for path in paths {
            let part = read(&path)?.flatten();
            parts.push(part.ok_or_else(|| {
                Failure::new(format!(
                    "{} is of an older format: create the manifest list anew",
                    path.display()
                ))
            })?);
        }
        Ok(Some(parts))
    }

    /// One image of an index.
    pub fn get(&self, list: &Reference, image: &Reference) -> Result<Option<Part>> {
        Ok(read(&self.folder(list).join(file_name(image)))?.flatten())
    }

    /// Puts an image into an index, or changes it there.
    pub fn save(&self, list: &Reference, image: &Reference, part: &Part) -> Result<()> {
        let folder = self.folder(list);
        fs::create_dir_all(&folder).map_err(|error| failed("make", &folder, &error))?;
        let path = folder.join(file_name(image));
        // Read as a whole or not at all.
        let draft = self.root.join(format!(".{}", std::process::id()));
        let written = fs::write(&draft, part.json()?).and_then(|()| fs::rename(&draft, &path));
        written.map_err(|error| failed("write", &path, &error))
    }

    /// Forgets an index.
    pub fn remove(&self, list: &Reference) -> Result<()> {
        let folder = self.folder(list);
        fs::remove_dir_all(&folder).map_err(|error| failed("remove", &folder, &error))
    }
}

/// What a missing one is called.
pub fn missing(reference: &Reference) -> Failure {
    Failure::new(format!("No such manifest: {}", reference.canonical()))
}

/// `None`: there is no file; `Some(None)`: one so old that it has no manifest in it.
fn read(path: &Path) -> Result<Option<Option<Part>>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path, &error)),
    };
    let part = Part::read(&bytes);
    part.map(Some).map_err(|why| Failure::new(format!("invalid manifest file {}: {why}", path.display())))
}

fn failed(operation: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{operation} {}: {}", path.display(), reason(error)))
}

/// A reference as a file's name; references have no dots at their beginning and no other separators.
fn file_name(reference: &Reference) -> String {
    reference.canonical().replace(':', "-").replace('/', "_")
}
