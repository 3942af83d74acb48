//! The one error of this crate: a text from outside that is not what it claims to be.

use thiserror::Error;

/// What was wrong with an untrusted name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// A digest that isn't `algorithm:hex` of the right length.
    #[error("invalid digest {0:?}: {1}")]
    Digest(String, &'static str),
    /// A container id outside of runc's rule.
    #[error("invalid container ID format: {0:?}")]
    Id(String),
    /// A reference outside of Docker's grammar; the text is Docker's own.
    #[error("{0}")]
    Reference(String),
    /// A platform that isn't `os[/arch[/variant]]`.
    #[error("{0:?}: {1}: invalid argument")]
    Platform(String, &'static str),
}
