//! `GET /images/get`: images become one archive. What is asked for is looked up before the answer begins.

use std::sync::Arc;

use super::{ByteStream, transfer};
use crate::error::blocking;
use crate::{Engine, Error, Result};

impl Engine {
    /// `GET /images/get`, `GET /images/{name}/get`.
    pub async fn image_save(&self, names: Vec<String>) -> Result<ByteStream> {
        if names.is_empty() {
            return Err(Error::invalid("no image was named"));
        }
        let store = self.store().clone();
        let items =
            blocking(move || boxship_image::select(&store, &names).map_err(super::error::from_image)).await?;
        let lease = Arc::new(self.store().lease());
        for item in &items {
            let (store, id) = (self.store().clone(), item.id.clone());
            let image = blocking(move || Ok(store.images().get(&id)?)).await?;
            // Archives that were not kept are fetched again.
            self.inner.registries.complete(&image, None, &lease).await.map_err(super::distribution::error)?;
        }
        let engine = self.clone();
        Ok(transfer::bytes(move |writer| {
            let _lease = lease;
            boxship_image::save(engine.store(), &items, &Default::default(), writer)
                .map_err(super::error::from_image)?;
            for item in &items {
                engine.tell_image("save", &item.id, &item.id.to_string(), Default::default());
            }
            Ok(())
        }))
    }
}
