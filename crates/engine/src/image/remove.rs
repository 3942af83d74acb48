//! `DELETE /images/{name}`, with Docker's rules: a name given is untagged; the image goes with its last name, unless a
//! child or container needs it. Conflicts are hard (a child, a running container) or soft (a stopped container, further
//! names: `force` goes over them).

use boxship_api::image::DeleteResponseItem;
use boxship_oci::{Digest, Reference};
use boxship_store::{Deleted, Image, Store};

use super::ImageRemoveOptions;
use super::known::Known;
use crate::error::blocking;
use crate::{Engine, Error, Result};

/// A container as far as images are concerned.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub id: String,
    pub image: String,
    pub running: bool,
}

/// Which conflicts count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Checks {
    names: bool,
    stopped: bool,
}

struct Conflict {
    error: Error,
    /// A container uses the image.
    used: bool,
}

/// One removal: what it looks at, what it has done.
pub(super) struct Removal<'a> {
    engine: &'a Engine,
    users: Vec<User>,
    done: Vec<DeleteResponseItem>,
}

impl Engine {
    /// `DELETE /images/{name}`.
    pub async fn image_remove(
        &self,
        name: &str,
        options: ImageRemoveOptions,
    ) -> Result<Vec<DeleteResponseItem>> {
        let (engine, name) = (self.clone(), name.to_owned());
        let done = blocking(move || Removal::new(&engine).remove(&name, options)).await?;
        self.sweep();
        Ok(done)
    }
}

impl<'a> Removal<'a> {
    pub fn new(engine: &'a Engine) -> Self {
        let users = engine.inner.registry.all().into_iter().map(|container| User {
            id: container.id.clone(),
            image: container.configuration().image.clone(),
            running: container.state().is_running(),
        });
        Self { engine, users: users.collect(), done: Vec::new() }
    }

    fn store(&self) -> &'a Store {
        self.engine.store()
    }

    /// Removes what `name` names, and tells what was done.
    pub fn remove(mut self, name: &str, options: ImageRemoveOptions) -> Result<Vec<DeleteResponseItem>> {
        let image = self.store().images().resolve(name)?;
        let quiet = if is_id_of(&image.id, name) {
            self.untag_single(&image, options.force)?;
            false
        } else {
            if !self.untag(&image, name, options.force)? {
                return Ok(self.done);
            }
            true
        };
        self.delete(&image.id, options.force, !options.no_prune, quiet)?;
        Ok(self.done)
    }

    /// Takes the name away. `false` when other names are left, and the image with them.
    fn untag(&mut self, image: &Image, name: &str, force: bool) -> Result<bool> {
        if !force
            && is_single(image)
            && let Some(user) = self.users.iter().find(|user| user.image == image.id.to_string())
        {
            return Err(Error::conflict(format!(
                "conflict: unable to remove repository reference \"{name}\" (must force) - container {} is using its \
                 referenced image {}",
                short(&user.id),
                short_digest(&image.id)
            )));
        }
        let reference = Reference::parse_tagged(name).map_err(|error| Error::invalid(error.to_string()))?;
        self.take_away(image, &reference)?;
        if reference.digest().is_none() {
            self.untag_orphaned_digests(image, &reference)?;
        }
        let left = self.store().images().get(&image.id)?;
        Ok(left.names.is_empty() && left.repo_digests.is_empty())
    }

    /// With the last tag of a repository its digests go.
    fn untag_orphaned_digests(&mut self, image: &Image, gone: &Reference) -> Result<()> {
        let left = self.store().images().get(&image.id)?;
        if left.names.iter().any(|name| name.name() == gone.name()) {
            return Ok(());
        }
        for digest in left.repo_digests.iter().filter(|digest| digest.name() == gone.name()) {
            self.take_away(image, digest)?;
        }
        Ok(())
    }

    fn take_away(&mut self, image: &Image, reference: &Reference) -> Result<()> {
        let labels = Known::of(self.store(), image.clone()).map(|known| known.labels()).unwrap_or_default();
        self.store().images().untag(reference)?;
        self.engine.tell_image("untag", &image.id, &image.id.to_string(), labels);
        self.done.push(DeleteResponseItem { untagged: reference.familiar(), ..Default::default() });
        Ok(())
    }

    /// An identifier was given: the only name goes with the image.
    fn untag_single(&mut self, image: &Image, force: bool) -> Result<()> {
        if !is_single(image) {
            return Ok(());
        }
        if let Some(conflict) = self.conflict(image, Checks { names: false, stopped: !force })? {
            return Err(conflict.error);
        }
        for reference in image.names.iter().chain(&image.repo_digests) {
            self.take_away(image, reference)?;
        }
        Ok(())
    }

    /// Deletes the image, and its parents as long as nothing needs them. `quiet`: a conflict leaves it and is no error,
    /// unless the image would be left without name and use.
    fn delete(&mut self, id: &Digest, force: bool, prune: bool, quiet: bool) -> Result<()> {
        let (mut id, mut force, mut quiet) = (id.clone(), force, quiet);
        loop {
            let image = self.store().images().get(&id)?;
            if let Some(conflict) = self.conflict(&image, Checks { names: !force, stopped: !force })? {
                let dangling = image.names.is_empty()
                    && image.repo_digests.is_empty()
                    && self.store().images().children(&id)?.is_empty();
                return if quiet && (!dangling || conflict.used) { Ok(()) } else { Err(conflict.error) };
            }
            self.delete_one(&image)?;
            match image.parent.filter(|_| prune) {
                Some(parent) => (id, force, quiet) = (parent, false, true),
                None => return Ok(()),
            }
        }
    }

    fn delete_one(&mut self, image: &Image) -> Result<()> {
        let labels = Known::of(self.store(), image.clone()).map(|known| known.labels()).unwrap_or_default();
        let id = image.id.to_string();
        for deleted in self.store().images().delete(&image.id)? {
            self.done.push(match deleted {
                Deleted::Untagged(reference) => {
                    self.engine.tell_image("untag", &image.id, &id, labels.clone());
                    DeleteResponseItem { untagged: reference.familiar(), ..Default::default() }
                }
                Deleted::Deleted(digest) => {
                    DeleteResponseItem { deleted: digest.to_string(), ..Default::default() }
                }
            });
        }
        self.engine.tell_image("delete", &image.id, &id, labels);
        Ok(())
    }

    fn conflict(&self, image: &Image, checks: Checks) -> Result<Option<Conflict>> {
        let found = |used, hard: bool, reason: String| {
            let force = if hard { "cannot be forced" } else { "must be forced" };
            let id = short_digest(&image.id);
            let error = Error::conflict(format!("conflict: unable to delete {id} ({force}) - {reason}"));
            Ok(Some(Conflict { error, used }))
        };
        if !self.store().images().children(&image.id)?.is_empty() {
            return found(false, true, "image has dependent child images".to_owned());
        }
        let id = image.id.to_string();
        let user = |running| self.users.iter().find(|user| user.image == id && user.running == running);
        if let Some(user) = user(true) {
            let reason = format!("image is being used by running container {}", short(&user.id));
            return found(true, true, reason);
        }
        if checks.names && !(image.names.is_empty() && image.repo_digests.is_empty()) {
            return found(false, false, "image is referenced in multiple repositories".to_owned());
        }
        if checks.stopped
            && let Some(user) = user(false)
        {
            let reason = format!("image is being used by stopped container {}", short(&user.id));
            return found(true, false, reason);
        }
        Ok(None)
    }
}

/// Whether an identifier (or its beginning) was given rather than a name.
fn is_id_of(id: &Digest, name: &str) -> bool {
    let id = id.to_string();
    id.starts_with(name) || id.split_once(':').is_some_and(|(_, hex)| hex.starts_with(name))
}

/// All names are in one repository, with one tag at most.
fn is_single(image: &Image) -> bool {
    match (&image.names[..], &image.repo_digests[..]) {
        ([], []) => false,
        ([_], []) | ([], [_]) => true,
        ([_, _, ..], _) => false,
        (names, digests) => {
            let repository = names.first().unwrap_or(&digests[0]).name();
            digests.iter().all(|digest| digest.name() == repository)
        }
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn short_digest(id: &Digest) -> String {
    short(id.hex()).to_owned()
}
