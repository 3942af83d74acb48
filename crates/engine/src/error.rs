//! What can go wrong in the domain: one error with a kind and the sentence a user reads.
//!
//! The sentences are the contract: the docker command line and docker-py look for parts of them, so the
//! constructors here hold Docker's wording in one place. It never knows an HTTP status; `daemon` maps [`Kind`].

use std::error::Error as StdError;

use boxship_oci::Reference;
use boxship_sys::error::plain;

/// The outcome of an operation of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it was, mapped once to HTTP, once to exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The object does not exist (404).
    NotFound,
    /// The object's state or another object forbids it (409).
    Conflict,
    /// The request itself is wrong (400).
    Invalid,
    /// Not allowed (403).
    Forbidden,
    /// Wrong or missing credentials for a registry (401).
    Unauthorized,
    /// Something this needs is not there now (503).
    Unavailable,
    /// It already is as asked (304).
    NotModified,
    /// It failed on our side (500).
    Internal,
}

/// A failed operation: kind, sentence, and where it came from.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` saying `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: plain(&message.into()), source: None }
    }

    /// The same with its cause, whose text is appended: the API carries one string.
    pub fn caused(
        kind: Kind,
        message: impl std::fmt::Display,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        let text = format!("{message}: {}", with_causes(&*source));
        Self { source: Some(source), ..Self::new(kind, text) }
    }

    /// What sort of failure it was.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A missing object.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// A state that forbids it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// A wrong request.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// A forbidden one.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    /// Something needed is missing now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// Already so.
    pub fn not_modified(message: impl Into<String>) -> Self {
        Self::new(Kind::NotModified, message)
    }

    /// Our failure.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// `No such container: x`.
    pub fn no_container(reference: &str) -> Self {
        Self::not_found(format!("No such container: {reference}"))
    }

    /// `container x is not running`.
    pub fn not_running(id: &str) -> Self {
        Self::conflict(format!("container {id} is not running"))
    }

    /// `Container x is restarting, wait until the container is running`.
    pub fn restarting(id: &str) -> Self {
        Self::conflict(format!("Container {id} is restarting, wait until the container is running"))
    }

    /// `No such image: x:latest`; of what can't be an image's name or identifier, why it can't.
    pub fn no_image(reference: &str) -> Self {
        let is_id = reference.len() == 64 && reference.bytes().all(|b| b.is_ascii_hexdigit());
        match Reference::parse(reference) {
            Err(error) if !is_id => Self::invalid(error.to_string()),
            _ => Self::not_found(format!("No such image: {reference}")),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        Self { kind: Kind::Internal, message: plain(&source.to_string()), source: Some(Box::new(source)) }
    }
}

impl From<boxship_api::filters::InvalidFilter> for Error {
    fn from(source: boxship_api::filters::InvalidFilter) -> Self {
        Self::invalid(source.to_string())
    }
}

impl From<boxship_store::Error> for Error {
    fn from(source: boxship_store::Error) -> Self {
        use boxship_store::Error as Store;
        if let Store::NoSuchImage(reference) = &source {
            return Self::no_image(reference);
        }
        let kind = match &source {
            Store::NoSuchBlob(_) | Store::NoSuchLayer(_) => Kind::NotFound,
            Store::Ambiguous(_) => Kind::Invalid,
            Store::Locked(_) => Kind::Unavailable,
            _ => Kind::Internal,
        };
        let text = with_causes(&source);
        Self { source: Some(Box::new(source)), ..Self::new(kind, text) }
    }
}

/// The error's text followed by its causes', each told once.
pub(crate) fn with_causes(error: &dyn StdError) -> String {
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

/// Runs blocking work (store, files) off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(failure) => Err(Error::caused(Kind::Internal, "background work failed", failure)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wordings_and_kinds() {
        use boxship_store::Error as Store;
        let id = "ab".repeat(32);
        let (whole, no_id) = (&format!("sha256:{id}"), &format!("No such image: {id}"));
        let table = [
            (Error::no_container("x"), Kind::NotFound, "No such container: x"),
            (Error::not_running("x"), Kind::Conflict, "container x is not running"),
            (Error::no_image("a:latest"), Kind::NotFound, "No such image: a:latest"),
            (Error::no_image(&id), Kind::NotFound, no_id),
            (Error::no_image(whole), Kind::NotFound, &format!("No such image: {whole}")),
            (
                Error::no_image("X"),
                Kind::Invalid,
                "invalid reference format: repository name (library/X) must be lowercase",
            ),
            (Error::no_image("a:b:c"), Kind::Invalid, "invalid reference format"),
            (Error::no_image("-"), Kind::Invalid, "invalid reference format"),
            (Store::NoSuchImage("a@b".into()).into(), Kind::Invalid, "invalid reference format"),
            (Store::NoSuchImage("a:b".into()).into(), Kind::NotFound, "No such image: a:b"),
        ];
        for (error, kind, text) in table {
            assert_eq!(error.kind(), kind);
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = std::io::Error::other("disk full");
        let error = Error::caused(Kind::Internal, "write row", cause);
        assert_eq!(error.to_string(), "write row: disk full");
        assert!(std::error::Error::source(&error).is_some());
    }
}
