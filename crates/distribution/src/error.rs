//! What can go wrong between this machine and a registry, in the words that Docker's users know.

use std::io;
use std::sync::Arc;

use boxship_oci::digest::Digest;

use crate::url::Url;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation with a registry that failed, and its object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request got no answer.
    #[error("{} {url:?}: {source}", verb(method))]
    Request {
        /// The method.
        method: http::Method,
        /// The address asked.
        url: String,
        /// What happened.
        source: Failure,
    },
    /// The registry answered with an error.
    #[error("{0}")]
    Answer(Answer),
    /// A request for credentials to a server that must not have them, or another rule of ours.
    #[error("{0}")]
    Refused(String),
    /// Docker's sentence for what the registry's answer means for the image.
    #[error("{message}")]
    Told {
        /// What sort of failure it is.
        kind: Kind,
        /// The sentence.
        message: String,
    },
    /// What the registry sent is not what it must be.
    #[error("{0}")]
    Invalid(String),
    /// A layer's bytes aren't those of its digest.
    #[error("filesystem layer verification failed for digest {0}")]
    Verification(Digest),
    /// A layer could not be fetched or sent.
    #[error("layer {digest}: {source}")]
    Blob {
        /// The layer.
        digest: Digest,
        /// The last of the attempts.
        source: Box<Error>,
    },
    /// A layer could not be unpacked.
    #[error("failed to register layer: {0}")]
    Layer(String),
    /// A configuration of certificates, hosts or proxies is wrong.
    #[error("{0}")]
    Configuration(String),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] boxship_store::Error),
    /// Images refused.
    #[error(transparent)]
    Image(#[from] boxship_image::Error),
    /// A file could not be worked with.
    #[error("{operation}")]
    Io {
        /// The verb and its object.
        operation: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Nobody wants the result any more.
    #[error("context canceled")]
    Cancelled,
    /// The same failure, told to several.
    #[error("{0}")]
    Shared(Arc<Error>),
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The name has no address.
    #[error("dial tcp: lookup {host}: {reason}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        reason: String,
    },
    /// No connection.
    #[error("dial tcp {address}: {}", dial(source))]
    Connect {
        /// Where to.
        address: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The proxy doesn't let us through.
    #[error("proxyconnect tcp: {0}")]
    Proxy(String),
    /// No agreement on encryption.
    #[error("tls: {0}")]
    Tls(String),
    /// The server speaks plain HTTP where TLS was expected.
    #[error("http: server gave HTTP response to HTTPS client")]
    Plain,
    /// It took too long.
    #[error("net/http: timeout awaiting {0}")]
    Timeout(&'static str),
    /// The connection broke.
    #[error("{0}")]
    Broken(String),
    /// Too many redirects, or one that must not be followed.
    #[error("{0}")]
    Redirect(String),
}

/// An answer of 400 and above.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// What was asked for.
    pub url: String,
    /// The errors in its body, code and message.
    pub errors: Vec<(String, String)>,
    /// The body's beginning when it has no errors that can be read.
    pub text: String,
    /// How long the registry asks to wait before the next try.
    pub retry_after: Option<std::time::Duration>,
}

/// What sort of failure it was, for the caller's own errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No such image, blob or repository (or not for us).
    NotFound,
    /// Wrong or missing credentials.
    Unauthorized,
    /// Not allowed.
    Denied,
    /// What was asked for, or what came, makes no sense.
    Invalid,
    /// The registry can't be reached or is not well.
    Unavailable,
    /// A fault on this side.
    Internal,
}

impl Error {
    /// What sort of failure it was.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Error::Answer(answer) => answer.kind(),
            Error::Told { kind, .. } => *kind,
            Error::Invalid(_) => Kind::Invalid,
            Error::Request { .. } => Kind::Unavailable,
            Error::Refused(_) => Kind::Denied,
            Error::Blob { source, .. } => source.kind(),
            Error::Shared(source) => source.kind(),
            _ => Kind::Internal,
        }
    }

    /// Whether another try may help: the connection broke, or the registry is not well just now.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Error::Request { source, .. } => {
                !matches!(source, Failure::Redirect(_) | Failure::Tls(_) | Failure::Plain | Failure::Proxy(_))
            }
            Error::Answer(answer) => answer.status == 429 || answer.status == 408 || answer.status >= 500,
            Error::Blob { source, .. } => source.is_temporary(),
            Error::Shared(source) => source.is_temporary(),
            _ => false,
        }
    }

    /// Whether no registry was reached at all.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Error::Request { .. })
    }

    /// Whether the disk (or quota) was full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Error::Store(source) => source.is_disk_full(),
            Error::Image(source) => source.is_disk_full(),
            Error::Io { source, .. } => boxship_layer::is_disk_full(source),
            Error::Blob { source, .. } => source.is_disk_full(),
            Error::Shared(source) => source.is_disk_full(),
            _ => false,
        }
    }

    /// How long the registry asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Error::Answer(answer) => answer.retry_after,
            _ => None,
        }
    }

    /// Credentials that were missing or refused before the question itself was put: with the question, as Docker
    /// tells it.
    pub(crate) fn asked(self, verb: &str, url: &Url) -> Error {
        match self {
            Error::Told { kind: Kind::Unauthorized, message } => {
                let url = url.without_query().to_string();
                Error::told(Kind::Unauthorized, format!("{verb} {url:?}: {message}"))
            }
            error => error,
        }
    }

    pub(crate) fn told(kind: Kind, message: impl Into<String>) -> Error {
        Error::Told { kind, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Error {
        Error::Invalid(message.into())
    }
}

impl Answer {
    /// Whether the registry names this code among its errors.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.errors.iter().any(|(found, _)| found == code)
    }

    fn kind(&self) -> Kind {
        match self.status {
            401 => Kind::Unauthorized,
            403 => Kind::Denied,
            404 => Kind::NotFound,
            400 | 405 | 406 | 415 | 416 => Kind::Invalid,
            408 | 429 | 500.. => Kind::Unavailable,
            _ => Kind::Internal,
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told: Vec<String> = self
            .errors
            .iter()
            .map(|(code, message)| {
                let code = code.to_lowercase().replace('_', " ");
                if message.is_empty() { code } else { format!("{code}: {message}") }
            })
            .collect();
        match &told[..] {
            [] if self.status == 429 => f.write_str("toomanyrequests: too many requests"),
            [] if self.text.is_empty() => {
                write!(f, "received unexpected HTTP status: {}", status(self.status))
            }
            [] => write!(
                f,
                "received unexpected HTTP status: {}: error parsing HTTP {} response body: {:?}",
                status(self.status),
                self.status,
                self.text
            ),
            [one] => f.write_str(one),
            many => write!(f, "errors:\n{}", many.join("\n")),
        }
    }
}

/// `404 Not Found`.
pub(crate) fn status(code: u16) -> String {
    let reason = http::StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason());
    reason.map_or_else(|| code.to_string(), |reason| format!("{code} {reason}"))
}

/// `Get`, as Go's client names it.
fn verb(method: &http::Method) -> String {
    let (first, rest) = method.as_str().split_at(1);
    format!("{first}{}", rest.to_lowercase())
}

fn dial(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        _ => source.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let refused = Error::Request {
            method: http::Method::GET,
            url: "http://localhost:5000/v2/".into(),
            source: Failure::Connect {
                address: "127.0.0.1:5000".into(),
                source: io::Error::from(io::ErrorKind::ConnectionRefused),
            },
        };
        assert_eq!(
            refused.to_string(),
            "Get \"http://localhost:5000/v2/\": dial tcp 127.0.0.1:5000: connect: connection refused"
        );
        let unknown = Answer {
            status: 404,
            errors: vec![("MANIFEST_UNKNOWN".into(), "manifest unknown".into())],
            ..Answer::default()
        };
        assert_eq!(unknown.to_string(), "manifest unknown: manifest unknown");
        assert_eq!(
            Answer { status: 502, ..Answer::default() }.to_string(),
            "received unexpected HTTP status: 502 Bad Gateway"
        );
    }
}
