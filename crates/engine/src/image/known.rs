//! An image with what its configuration says, as list, prune and events need it. Reads the store; blocking.

use std::collections::BTreeMap;

use boxship_api::timestamp::Timestamp;
use boxship_oci::ImageConfig;
use boxship_oci::Reference;
use boxship_store::{Image, Store};

use crate::Result;

/// An image and its configuration.
pub(super) struct Known {
    /// What the store records.
    pub image: Image,
    /// What the image says.
    pub config: ImageConfig,
}

impl Known {
    /// All images of the store. One that is removed meanwhile is left out.
    pub fn all(store: &Store) -> Result<Vec<Self>> {
        let images = store.images().list()?;
        Ok(images.into_iter().filter_map(|image| Self::of(store, image).ok()).collect())
    }

    /// The image of a name or identifier.
    pub fn resolve(store: &Store, name: &str) -> Result<Self> {
        Self::of(store, store.images().resolve(name)?)
    }

    pub fn of(store: &Store, image: Image) -> Result<Self> {
        let config = boxship_image::config(store, &image.id).map_err(super::error::from_image)?;
        Ok(Self { image, config })
    }

    /// When it says that it was made.
    pub fn created(&self) -> Option<Timestamp> {
        Timestamp::parse_rfc3339(self.config.created.as_deref()?)
    }

    /// Its labels.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.config.config.iter().flat_map(|config| &config.labels);
        labels.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Names with tags, as people write them.
    pub fn tags(&self) -> Vec<String> {
        self.image.names.iter().map(Reference::familiar).collect()
    }

    /// Names with digests, as people write them.
    pub fn digests(&self) -> Vec<String> {
        self.image.repo_digests.iter().map(Reference::familiar).collect()
    }
}
