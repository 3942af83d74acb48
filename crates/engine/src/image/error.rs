//! What archives and the store refuse, as the engine's error: the archive's fault is the caller's.

use crate::error::with_causes;
use crate::{Error, Kind};

/// From the image room's error, with its causes told.
pub(super) fn from_image(source: boxship_image::Error) -> Error {
    match source {
        boxship_image::Error::Store(store) => store.into(),
        other => {
            let kind = if other.is_invalid_input() { Kind::Invalid } else { Kind::Internal };
            Error::new(kind, with_causes(&other))
        }
    }
}
