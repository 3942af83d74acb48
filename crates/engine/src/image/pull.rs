//! `POST /images/create?fromImage=`: an image from its registry. One image is built into the executable, for machines
//! that reach no registry: there a first `run hello-world` works all the same.

use boxship_api::progress::ProgressMessage;
use boxship_distribution::{Events, Pull};
use boxship_oci::reference::{DEFAULT_DOMAIN, DEFAULT_TAG};
use boxship_oci::{Platform, Reference};
use futures_util::StreamExt;

use super::{ImagePullOptions, ProgressStream, distribution, load, transfer};
use crate::error::blocking;
use crate::{Engine, Error, Kind, Result};

/// The repository of the built-in image.
const BUILT_IN: &str = "library/hello-world";

impl Engine {
    /// `POST /images/create?fromImage=`.
    pub async fn image_pull(&self, options: ImagePullOptions) -> Result<ProgressStream> {
        let wanted = wanted(&options)?;
        let platform = platform(options.platform.as_deref())?;
        let fits = platform.as_ref().is_none_or(|platform| platform.matches(&Platform::host()));
        let credentials = distribution::credentials(options.auth.as_ref());
        let pull = Pull { reference: wanted.clone(), platform, credentials };
        let engine = self.clone();
        let pulled =
            distribution::transfer(move |events| async move { engine.pull(&pull, &events).await }).await;
        match pulled {
            Err(error) if error.kind() == Kind::Unavailable && is_built_in(&wanted) && fits => {
                Ok(self.load_built_in(&wanted, &error))
            }
            // What Docker answers when a registry can't be reached or wants other credentials: at 401 its client would
            // ask for a name and a password in the middle of a script.
            Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Unauthorized) => {
                Err(Error::internal(error.to_string()))
            }
            outcome => outcome,
        }
    }

    async fn pull(&self, pull: &Pull, events: &Events) -> Result<()> {
        let pulled = match self.inner.registries.pull(pull, events).await {
            Ok(pulled) => pulled,
            Err(error) => {
                if error.is_disk_full() {
                    self.make_room().await;
                }
                return Err(distribution::error(error));
            }
        };
        for image in pulled {
            let name = image.reference.familiar_name();
            let attributes = [("name".to_owned(), name)].into();
            self.inner.events.tell("image", "pull", &image.reference.familiar(), attributes);
        }
        Ok(())
    }

    /// The disk is full: what given up pulls have left is worth less than what others want to write.
    async fn make_room(&self) {
        let store = self.store().clone();
        if let Err(error) = blocking(move || Ok(store.prune_partials()?)).await {
            tracing::warn!(%error, "what a pull has left on a full disk could not be removed");
        }
    }

    /// No registry was reached: the image that every Boxship carries.
    fn load_built_in(&self, wanted: &Reference, error: &Error) -> ProgressStream {
        let (engine, reason, wanted) = (self.clone(), error.to_string(), wanted.clone());
        let loading = transfer::progress(move |reporter| {
            let name = wanted.tagged().familiar();
            reporter.tell(ProgressMessage::status(format!("The registry cannot be reached: {reason}")));
            reporter.tell(ProgressMessage::status(format!(
                "{name} is built into this engine: loading it instead"
            )));
            let loaded = load::load(
                &engine,
                &mut boxship_image::hello::archive().as_slice(),
                &Default::default(),
                Some(reporter),
            )?;
            for image in loaded {
                reporter.tell(ProgressMessage::status(format!("Image ID: {}", image.id)));
            }
            reporter.tell(ProgressMessage::status(format!("Status: Loaded built-in image {name}")));
            Ok(())
        });
        loading.boxed()
    }
}

/// The reference that `image` and `tag` (a digest perhaps) make together.
fn wanted(options: &ImagePullOptions) -> Result<Reference> {
    let invalid = |error: boxship_oci::Error| Error::invalid(error.to_string());
    let name = Reference::parse(&options.image).map_err(invalid)?;
    if name.familiar_name() == "scratch" {
        return Err(Error::forbidden("'scratch' is a reserved name"));
    }
    if options.tag.is_empty() {
        return Ok(name);
    }
    match options.tag.parse() {
        Ok(digest) => Ok(name.with_digest(digest)),
        Err(_) => name.with_tag(&options.tag).map_err(invalid),
    }
}

fn is_built_in(wanted: &Reference) -> bool {
    let plain = wanted.digest().is_none() && wanted.tag().is_none_or(|tag| tag == DEFAULT_TAG);
    wanted.domain() == DEFAULT_DOMAIN && wanted.path() == BUILT_IN && plain
}

fn platform(text: Option<&str>) -> Result<Option<Platform>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|error: boxship_oci::Error| Error::invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(image: &str, tag: &str) -> ImagePullOptions {
        ImagePullOptions { image: image.into(), tag: tag.into(), ..Default::default() }
    }

    #[test]
    fn only_hello_world_is_built_in() {
        for (image, tag, expect) in [
            ("hello-world", "", true),
            ("hello-world", "latest", true),
            ("library/hello-world:latest", "", true),
            ("hello-world", "linux", false),
            ("localhost:5000/hello-world", "latest", false),
            ("busybox", "latest", false),
        ] {
            assert_eq!(is_built_in(&wanted(&options(image, tag)).unwrap()), expect, "{image} {tag}");
        }
        assert_eq!(wanted(&options("scratch", "")).unwrap_err().kind(), Kind::Forbidden);
        assert_eq!(wanted(&options("A", "")).unwrap_err().kind(), Kind::Invalid);
    }
}
