//! Resize: the terminal of a container.

use boxship_shim::protocol::Request as Ask;

use crate::{Engine, Error, Result};

impl Engine {
    /// `POST /containers/{id}/resize`.
    pub async fn container_resize(&self, reference: &str, height: u16, width: u16) -> Result<()> {
        let container = self.inner.registry.find(reference)?;
        if !container.state().is_alive() {
            return Err(Error::not_running(&container.id));
        }
        container.shim.tell(&Ask::Resize { exec: None, height, width }).await?;
        let extra = [("height", height.to_string()), ("width", width.to_string())];
        self.tell_container(&container.configuration(), "resize", &extra);
        Ok(())
    }
}
