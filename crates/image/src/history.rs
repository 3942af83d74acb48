//! How an image came to be, layer by layer.

use boxship_oci::digest::Digest;
use boxship_oci::reference::Reference;
use boxship_store::Store;

use crate::{Result, config};

/// One line of `docker history`, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The image that ends here (the first line is the image itself), else `None` (`<missing>`).
    pub id: Option<Digest>,
    /// When, as RFC 3339 text in the configuration.
    pub created: Option<String>,
    /// The instruction.
    pub created_by: String,
    /// A comment.
    pub comment: String,
    /// Bytes of the layer, 0 when the instruction made none.
    pub size: u64,
    /// The names of the image that ends here.
    pub names: Vec<Reference>,
}

/// The history of an image. Layers beyond what the configuration's history tells are listed without text.
pub fn history(store: &Store, id: &Digest) -> Result<Vec<HistoryEntry>> {
    let image = store.images().get(id)?;
    let config = config(store, id)?;
    let mut sizes = Vec::new();
    if let Some(top) = image.top() {
        sizes = store.layers().chain(top)?.into_iter().map(|layer| layer.size).collect();
    }
    let mut sizes = sizes.into_iter();
    let mut lines: Vec<HistoryEntry> = config
        .history
        .into_iter()
        .map(|step| HistoryEntry {
            id: None,
            created: step.created,
            created_by: step.created_by.unwrap_or_default(),
            comment: step.comment.unwrap_or_default(),
            size: if step.empty_layer { 0 } else { sizes.next().unwrap_or(0) },
            names: Vec::new(),
        })
        .collect();
    lines.extend(sizes.map(|size| HistoryEntry {
        id: None,
        created: None,
        created_by: String::new(),
        comment: String::new(),
        size,
        names: Vec::new(),
    }));
    lines.reverse();
    if let Some(newest) = lines.first_mut() {
        newest.id = Some(image.id);
        newest.names = image.names;
    }
    Ok(lines)
}
