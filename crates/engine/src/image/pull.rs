//! `POST /images/create?fromImage=`: this version reaches no registry, and says what to do instead. One image is built
//! into the executable, so that a first `run hello-world` works on a machine that has nothing else.

use boxship_api::progress::ProgressMessage;
use boxship_oci::reference::{DEFAULT_DOMAIN, DEFAULT_TAG};
use boxship_oci::{Platform, Reference};

use super::{ImagePullOptions, ProgressStream, load, transfer};
use crate::{Engine, Error, Result};

/// The repository of the built-in image.
const BUILT_IN: &str = "library/hello-world";

impl Engine {
    /// `POST /images/create?fromImage=`.
    pub async fn image_pull(&self, options: ImagePullOptions) -> Result<ProgressStream> {
        let wanted = wanted(&options)?;
        if !is_built_in(&wanted) {
            return Err(unreachable(&wanted));
        }
        check_platform(options.platform.as_deref())?;
        let engine = self.clone();
        Ok(transfer::progress(move |reporter| {
            let name = wanted.tagged().familiar();
            reporter.tell(ProgressMessage::status(format!(
                "{name} is built into this engine: loading it, no registry is asked"
            )));
            let loaded =
                load::load(&engine, &mut boxship_image::hello::archive().as_slice(), Some(reporter))?;
            for image in loaded {
                reporter.tell(ProgressMessage::status(format!("Image ID: {}", image.id)));
            }
            reporter.tell(ProgressMessage::status(format!("Status: Loaded built-in image {name}")));
            Ok(())
        }))
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

fn unreachable(wanted: &Reference) -> Error {
    Error::not_found(format!(
        "pull access denied for {}: this version cannot reach registries; add the image with 'load' (an archive made \
         by 'save') or 'import' (a root file system)",
        wanted.familiar_name()
    ))
}

fn check_platform(text: Option<&str>) -> Result<()> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(()) };
    let platform: Platform =
        text.parse().map_err(|error: boxship_oci::Error| Error::invalid(error.to_string()))?;
    if platform.matches(&Platform::host()) {
        return Ok(());
    }
    Err(Error::not_found(format!(
        "no matching manifest for {text}: the built-in image is for this machine only"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

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

    #[test]
    fn the_refusal_says_what_to_do() {
        let text = unreachable(&Reference::parse("busybox:1").unwrap()).to_string();
        assert!(text.starts_with("pull access denied for busybox: ") && text.contains("'load'"), "{text}");
    }
}
