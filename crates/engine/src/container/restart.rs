//! Restart: stop, then start.

use super::StopOptions;
use super::request::Request;
use crate::{Engine, Error, Kind, Result};

impl Engine {
    /// `POST /containers/{id}/restart`. A caller who goes away does not stop it.
    pub async fn container_restart(&self, reference: &str, options: StopOptions) -> Result<()> {
        let container = self.inner.registry.find(reference)?;
        let (engine, reference) = (self.clone(), reference.to_owned());
        let work = tokio::spawn(async move {
            let explain = |error: Error| {
                Error::new(error.kind(), format!("Cannot restart container {reference}: {error}"))
            };
            if container.settled().await.is_running() {
                container.ask(Request::ExpectRestart).await.map_err(explain)?;
                engine.stop(&container, &options).await.map_err(explain)?;
            }
            match container.ask(Request::Start).await {
                Err(error) if error.kind() == Kind::NotModified => {}
                outcome => outcome.map_err(explain)?,
            }
            engine.tell_container(&container.configuration(), "restart", &[]);
            Ok(())
        });
        work.await.unwrap_or_else(|error| Err(Error::caused(Kind::Internal, "restart container", error)))
    }
}
