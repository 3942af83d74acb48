//! `GET /images/get`: images become one archive. What is asked for is looked up before the answer begins.

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
        let engine = self.clone();
        Ok(transfer::bytes(move |writer| {
            boxship_image::save(engine.store(), &items, &Default::default(), writer)
                .map_err(super::error::from_image)?;
            for item in &items {
                engine.tell_image("save", &item.id, &item.id.to_string(), Default::default());
            }
            Ok(())
        }))
    }
}
