//! Rename: the new name is reserved, written, shown; then the old one is free.

use super::driver::Driver;
use super::names::plain;
use super::request::Request;
use crate::{Engine, Error, Result, error::blocking};

impl Engine {
    /// `POST /containers/{id}/rename`.
    pub async fn container_rename(&self, reference: &str, name: &str) -> Result<()> {
        let (old, name) = (reference.trim(), name.trim().to_owned());
        if plain(old).is_empty() || plain(&name).is_empty() {
            return Err(Error::invalid("Neither old nor new names may be empty"));
        }
        let container = self.inner.registry.find(old)?;
        container.ask(|reply| Request::Rename { name, reply }).await
    }
}

impl Driver {
    pub(super) async fn rename(&mut self, name: &str) -> Result<()> {
        let mut configuration = (*self.configuration()).clone();
        let old = configuration.name.clone();
        if plain(name) == old {
            return Err(Error::invalid("Renaming a container with the same name as its current name"));
        }
        let registry = &self.engine.inner.registry;
        // Docker tells a wrong name with its slash here.
        let name = registry
            .reserve(&format!("/{}", plain(name)), &configuration.id)
            .map_err(|error| Error::new(error.kind(), format!("Error when allocating new name: {error}")))?;
        configuration.name = name.clone();
        let (engine, row) = (self.engine.clone(), configuration.clone());
        if let Err(error) = blocking(move || engine.inner.rows.update(&row)).await {
            registry.release(&name, &configuration.id);
            return Err(error);
        }
        registry.release(&old, &configuration.id);
        self.adopt(configuration);
        if let Err(error) = self.rename_endpoints().await {
            tracing::warn!(container = self.container.id, %error, "run-time files keep the old name");
        }
        self.tell("rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }
}
