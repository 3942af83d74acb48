//! `POST /images/create?fromSrc=-`: a folder's archive becomes an image of one layer.

use boxship_api::progress::ProgressMessage;
use boxship_image::Import;
use boxship_oci::Platform;

use super::transfer::{self, Reader};
use super::{ImageImportOptions, Input, ProgressStream, tag};
use crate::error::blocking;
use crate::{Engine, Error, Result};

impl Engine {
    /// `POST /images/create?fromSrc=`.
    pub async fn image_import(&self, options: ImageImportOptions, input: Input) -> Result<ProgressStream> {
        if options.source != "-" {
            return Err(Error::invalid(format!(
                "cannot import from {:?}: this version downloads nothing; send the archive itself (source \"-\")",
                options.source
            )));
        }
        let import = import_of(options)?;
        let (engine, mut reader) = (self.clone(), Reader::new(input));
        let turn = transfer::turn().await;
        let id = blocking(move || {
            let id = boxship_image::import(engine.store(), &mut reader, &import)
                .map_err(super::error::from_image)?;
            reader.drain();
            let name = import.name.as_ref().map_or_else(|| id.to_string(), |name| name.familiar());
            engine.tell_image("import", &id, &name, Default::default());
            Ok(id)
        })
        .await?;
        drop(turn);
        Ok(transfer::told(vec![ProgressMessage::status(id.to_string())]))
    }
}

fn import_of(options: ImageImportOptions) -> Result<Import> {
    let platform = options.platform.filter(|text| !text.is_empty());
    let platform = platform
        .map(|text| text.parse::<Platform>().map_err(|error| Error::invalid(error.to_string())))
        .transpose()?;
    if platform.as_ref().is_some_and(|platform| platform.os != "linux") {
        return Err(Error::invalid("operating system is not supported"));
    }
    let message = if options.message.is_empty() {
        format!("Imported from {}", options.source)
    } else {
        options.message
    };
    Ok(Import {
        name: tag::target(&options.repo, &options.tag)?,
        changes: options.changes,
        message,
        platform,
        source: options.source,
    })
}
