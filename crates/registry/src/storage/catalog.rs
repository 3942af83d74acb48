//! The catalog: names of the repositories that hold manifests, kept in memory in order. Read from the disk when first
//! asked for, and again when a command that works on the storage beside the server says that it removed some.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::{Storage, disk};
use crate::error::{Named, Result};
use crate::name::RepositoryName;

#[derive(Default)]
pub(super) struct Catalog {
    known: Mutex<Option<Known>>,
}

struct Known {
    names: BTreeSet<RepositoryName>,
    /// The time of the last change that another process made.
    changed: Option<SystemTime>,
}

impl Catalog {
    /// A manifest was put into the repository.
    pub(super) fn add(&self, repository: &RepositoryName) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_mut().filter(|known| !known.names.contains(repository)) {
            known.names.insert(repository.clone());
        }
    }
}

impl Storage {
    /// Up to `count` names that `admit` lets through, after `last`.
    pub(crate) fn catalog(
        &self,
        last: Option<&RepositoryName>,
        count: usize,
        admit: impl Fn(&RepositoryName) -> bool,
    ) -> Result<Vec<RepositoryName>> {
        let marker = self.root.join("changed");
        let changed = fs::metadata(&marker).and_then(|marker| marker.modified()).ok();
        let mut known = self.catalog.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| known.changed != changed) {
            let all = self.every_folder()?.into_iter();
            let names = all.filter(|name| self.part(name, "_manifests").is_dir()).collect();
            *known = Some(Known { names, changed });
        }
        let Some(known) = known.as_ref() else { return Ok(Vec::new()) };
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let names = known.names.range::<RepositoryName, _>((after, Bound::Unbounded));
        Ok(names.filter(|name| admit(name)).take(count).cloned().collect())
    }

    /// Tells a server that works here that repositories have gone.
    pub(crate) fn tell_changed(&self) -> Result<()> {
        let marker = self.root.join("changed");
        // A new file each time: that its time differs does not depend on the clock's step.
        disk::write_whole(&self.draft()?, &marker, b"")?;
        *self.catalog.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    /// Every repository that has a folder of its own, in order.
    pub(crate) fn every_folder(&self) -> Result<Vec<RepositoryName>> {
        let mut found = Vec::new();
        walk(&self.repositories_folder(), "", &mut found)?;
        found.sort();
        Ok(found)
    }
}

fn walk(folder: &Path, name: &str, found: &mut Vec<RepositoryName>) -> Result<()> {
    let Some(entries) = disk::if_there(fs::read_dir(folder), "read", folder)? else { return Ok(()) };
    let mut own = false;
    for entry in entries {
        let entry = entry.named("read", folder)?;
        let Ok(part) = entry.file_name().into_string() else { continue };
        if part.starts_with('_') {
            own = true;
            continue;
        }
        let is_folder = entry.file_type().named("stat", folder)?.is_dir();
        let below = if name.is_empty() { part.clone() } else { format!("{name}/{part}") };
        if is_folder && below.parse::<RepositoryName>().is_ok() {
            walk(&folder.join(part), &below, found)?;
        }
    }
    if own {
        found.extend(name.parse().ok());
    }
    Ok(())
}
