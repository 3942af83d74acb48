//! How an image came to be, layer by layer.

use boxship_oci::digest::Digest;
use boxship_oci::reference::Reference;
use boxship_store::Store;

use crate::Result;

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

/// The history of an image.
pub fn history(store: &Store, id: &Digest) -> Result<Vec<HistoryEntry>> {
    let _ = (store, id);
    todo!()
}
