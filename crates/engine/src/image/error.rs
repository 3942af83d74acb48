//! What archives and the store refuse, as the engine's error: the archive's fault is the caller's.

use crate::{Error, Kind};

/// From the image room's error, with its causes told.
pub(super) fn from_image(source: boxship_image::Error) -> Error {
    let kind = match &source {
        boxship_image::Error::Store(_) => return from_store(source),
        _ if source.is_invalid_input() => Kind::Invalid,
        _ => Kind::Internal,
    };
    Error::new(kind, with_causes(&source))
}

fn from_store(source: boxship_image::Error) -> Error {
    match source {
        boxship_image::Error::Store(store) => store.into(),
        other => Error::new(Kind::Internal, with_causes(&other)),
    }
}

/// The error's text followed by its causes'.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let words = deeper.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = deeper.source();
    }
    text
}
