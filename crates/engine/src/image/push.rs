//! `POST /images/{name}/push`: an image to its registry. What fails after the first line is the stream's last line.

use boxship_api::auth::AuthConfig;
use boxship_distribution::{Events, Push};
use boxship_oci::Reference;

use super::{ProgressStream, distribution};
use crate::{Engine, Error, Result};

/// `POST /images/{name}/push`.
#[derive(Clone, Debug, Default)]
pub struct ImagePushOptions {
    /// The repository, perhaps with a tag.
    pub image: String,
    /// The tag; empty: all tags when `image` has none.
    pub tag: String,
    /// Decoded `X-Registry-Auth`.
    pub auth: Option<AuthConfig>,
}

impl Engine {
    /// `POST /images/{name}/push`.
    pub async fn image_push(&self, options: ImagePushOptions) -> Result<ProgressStream> {
        let invalid = |error: boxship_oci::Error| Error::invalid(error.to_string());
        let mut reference = Reference::parse(&options.image).map_err(invalid)?;
        if !options.tag.is_empty() {
            reference = reference.with_tag(&options.tag).map_err(invalid)?;
        }
        if reference.digest().is_some() {
            return Err(Error::invalid("cannot push a digest reference"));
        }
        let push = Push { reference, credentials: distribution::credentials(options.auth.as_ref()) };
        let engine = self.clone();
        distribution::transfer(move |events| async move { engine.push(&push, &events).await }).await
    }

    async fn push(&self, push: &Push, events: &Events) -> Result<()> {
        let pushed = self.inner.registries.push(push, events).await.map_err(distribution::error)?;
        for image in pushed {
            let attributes = [("name".to_owned(), image.reference.familiar_name())].into();
            self.inner.events.tell("image", "push", &image.reference.familiar(), attributes);
        }
        Ok(())
    }
}
