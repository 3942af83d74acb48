//! `POST /images/{name}/tag`, and the events of images.

use std::collections::BTreeMap;

use boxship_oci::{Digest, Reference};

use super::known::Known;
use crate::error::blocking;
use crate::{Engine, Error, Result};

impl Engine {
    /// `POST /images/{name}/tag`.
    pub async fn image_tag(&self, name: &str, repo: &str, tag: &str) -> Result<()> {
        let target = target(repo, tag)?
            .ok_or_else(|| Error::invalid("invalid reference format: repository name must not be empty"))?;
        if target.familiar_name() == "sha256" {
            return Err(Error::invalid("refusing to create an ambiguous tag using digest algorithm as name"));
        }
        let (engine, name) = (self.clone(), name.to_owned());
        blocking(move || {
            let known = Known::resolve(engine.store(), &name)?;
            engine.store().images().tag(&known.image.id, &target)?;
            engine.tell_image("tag", &known.image.id, &target.familiar(), known.labels());
            Ok(())
        })
        .await
    }

    /// Tells that something happened to an image.
    pub(super) fn tell_image(&self, action: &str, id: &Digest, name: &str, labels: BTreeMap<String, String>) {
        let mut attributes = labels;
        attributes.insert("name".to_owned(), name.to_owned());
        self.inner.events.tell("image", action, &id.to_string(), attributes);
    }
}

/// The name that `repo` and `tag` make together; none when `repo` is empty.
pub(super) fn target(repo: &str, tag: &str) -> Result<Option<Reference>> {
    if repo.is_empty() {
        return Ok(None);
    }
    let invalid = |error: boxship_oci::Error| Error::invalid(error.to_string());
    let name = Reference::parse(repo).map_err(invalid)?;
    if name.digest().is_some() {
        return Err(Error::invalid("cannot import digest reference"));
    }
    let name = if tag.is_empty() { name.tagged() } else { name.with_tag(tag).map_err(invalid)? };
    Ok(Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_put_together() {
        for (repo, tag, expect) in [
            ("a", "", "a:latest"),
            ("a", "b", "a:b"),
            ("a:c", "", "a:c"),
            ("a:c", "b", "a:b"),
            ("localhost:5000/x", "1", "localhost:5000/x:1"),
        ] {
            assert_eq!(target(repo, tag).unwrap().unwrap().familiar(), expect);
        }
        assert!(target("", "x").unwrap().is_none());
        assert_eq!(target("A", "").unwrap_err().kind(), crate::Kind::Invalid);
        assert!(target("a", "!").is_err());
    }
}
