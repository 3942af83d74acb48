//! All containers, by id and by name. A name is reserved before its container exists, so that two creates race
//! for the name and not for the row. Never holds its lock across an await.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::handle::Container;
use super::names;
use crate::{Error, Result};

#[derive(Default)]
struct Tables {
    /// Sorted, so that a prefix is a range.
    by_id: BTreeMap<String, Arc<Container>>,
    /// Names (without slash) to ids, reserved ones too.
    by_name: HashMap<String, String>,
}

/// The containers of the engine.
#[derive(Default)]
pub(crate) struct Registry {
    tables: RwLock<Tables>,
}

impl Registry {
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves a wanted name for `id`; gives it back without its slash.
    pub(crate) fn reserve(&self, name: &str, id: &str) -> Result<String> {
        let plain = names::plain(name);
        if !names::is_valid(plain) {
            return Err(Error::invalid(format!(
                "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )));
        }
        let mut tables = self.write();
        if let Some(owner) = tables.by_name.get(plain) {
            return Err(Error::conflict(format!(
                "Conflict. The container name \"/{plain}\" is already in use by container \"{owner}\". You have to \
                 remove (or rename) that container to be able to reuse that name."
            )));
        }
        tables.by_name.insert(plain.to_owned(), id.to_owned());
        Ok(plain.to_owned())
    }

    /// Reserves a generated name for `id`.
    pub(crate) fn reserve_generated(&self, id: &str) -> Result<String> {
        let mut tables = self.write();
        let mut candidates = (0..6).map(names::generate).chain([id[..12].to_owned()]);
        let name = candidates
            .find(|name| !tables.by_name.contains_key(name))
            .ok_or_else(|| Error::conflict("no free name could be generated"))?;
        tables.by_name.insert(name.clone(), id.to_owned());
        Ok(name)
    }

    /// Gives a name back, if `id` has it.
    pub(crate) fn release(&self, name: &str, id: &str) {
        let mut tables = self.write();
        if tables.by_name.get(name).is_some_and(|owner| owner == id) {
            tables.by_name.remove(name);
        }
    }

    /// Adds a container whose name is reserved.
    pub(crate) fn insert(&self, container: Arc<Container>) {
        self.write().by_id.insert(container.id.clone(), container);
    }

    /// Forgets a container and all its names.
    pub(crate) fn remove(&self, id: &str) {
        let mut tables = self.write();
        tables.by_id.remove(id);
        tables.by_name.retain(|_, owner| owner != id);
    }

    /// The container with exactly this id.
    pub(crate) fn by_id(&self, id: &str) -> Option<Arc<Container>> {
        self.read().by_id.get(id).cloned()
    }

    /// Finds a container as Docker does: whole id, then name, then the beginning of an id.
    pub(crate) fn find(&self, reference: &str) -> Result<Arc<Container>> {
        if reference.is_empty() {
            return Err(Error::invalid("invalid name or ID supplied: \"\""));
        }
        let tables = self.read();
        if let Some(container) = tables.by_id.get(reference) {
            return Ok(container.clone());
        }
        if let Some(container) =
            tables.by_name.get(names::plain(reference)).and_then(|id| tables.by_id.get(id))
        {
            return Ok(container.clone());
        }
        let mut found = tables
            .by_id
            .range(reference.to_owned()..)
            .take_while(|(id, _)| id.starts_with(reference))
            .map(|(_, container)| container);
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only.clone()),
            (Some(_), Some(_)) => {
                Err(Error::invalid(format!("multiple IDs found with provided prefix: {reference}")))
            }
            (None, _) => Err(Error::no_container(reference)),
        }
    }

    /// All containers, in no particular order.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        self.read().by_id.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::container::configuration::Configuration;

    fn registry(containers: &[(&str, &str)]) -> Registry {
        let registry = Registry::default();
        for (id, name) in containers {
            registry.reserve(name, id).unwrap();
            let configuration =
                Configuration { id: (*id).into(), name: (*name).into(), ..Default::default() };
            registry.insert(Container::detached(configuration));
        }
        registry
    }

    #[test]
    fn references_resolve_as_docker_does() {
        let registry = registry(&[("abc111", "web"), ("abc222", "abc1"), ("def333", "db")]);
        for (reference, expect) in [
            ("abc111", Ok("abc111")),
            ("web", Ok("abc111")),
            ("/web", Ok("abc111")),
            ("abc1", Ok("abc222")),
            ("abc11", Ok("abc111")),
            ("d", Ok("def333")),
            ("abc", Err(Kind::Invalid)),
            ("zzz", Err(Kind::NotFound)),
            ("", Err(Kind::Invalid)),
        ] {
            let found = registry.find(reference).map(|c| c.id.clone()).map_err(|e| e.kind());
            assert_eq!(found, expect.map(String::from), "{reference}");
        }
    }

    #[test]
    fn names_are_unique_until_released() {
        let registry = registry(&[("abc111", "web")]);
        let error = registry.reserve("/web", "def").unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(error.to_string().contains("\"/web\" is already in use by container \"abc111\""), "{error}");
        registry.release("web", "other");
        assert!(registry.reserve("web", "def").is_err());
        registry.remove("abc111");
        assert_eq!(registry.reserve("web", "def").unwrap(), "web");
        for bad in ["", "/", "a", "-ab", "a b", "a/b", "ä1"] {
            assert_eq!(registry.reserve(bad, "x").unwrap_err().kind(), Kind::Invalid, "{bad}");
        }
        let generated = registry.reserve_generated("0123456789abcdef").unwrap();
        assert!(names::is_valid(&generated));
    }
}
