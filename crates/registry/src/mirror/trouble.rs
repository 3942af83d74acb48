//! Why something of the upstream's could not be had, and what clients are told of it: as little as they need. What the
//! upstream said in its own words stays in our log.

use std::time::Duration;

use boxship_distribution::{Error as UpstreamError, Kind};
use http::{StatusCode, header};

use crate::error::Error;
use crate::http::Failure;

/// Why something could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The upstream does not have it.
    Absent,
    /// It does not give it to us, which may mean the same.
    Denied,
    /// It, or the mirror, has enough of requests just now.
    Busy(Option<Duration>),
    /// It can't be reached, or is not well.
    Away,
    /// What it sent is not what was asked for.
    Broken,
    /// It is larger than what is kept here.
    TooLarge,
    /// There is no room for it.
    Full,
    /// A fault of this side.
    Internal,
}

impl Trouble {
    /// What a failure of the client means.
    pub(crate) fn of(error: UpstreamError) -> Self {
        let trouble = match (&error, error.kind()) {
            (UpstreamError::Answer(answer), _) if answer.status == 429 => Self::Busy(error.retry_after()),
            (_, Kind::NotFound) => Self::Absent,
            (_, Kind::Unauthorized | Kind::Denied) => Self::Denied,
            (_, Kind::Unavailable) => Self::Away,
            _ => Self::Broken,
        };
        match trouble {
            Self::Absent => tracing::debug!(%error, "the upstream does not have it"),
            _ => tracing::warn!(%error, "the upstream failed"),
        }
        trouble
    }

    /// What a failure of the storage means.
    pub(crate) fn ours(error: Error) -> Self {
        let trouble = match &error {
            error if error.is_full() => Self::Full,
            Error::TooManyUploads(_) => Self::Busy(None),
            Error::TooLarge(_) => Self::TooLarge,
            Error::Mismatch { .. } | Error::ManifestInvalid(_) => Self::Broken,
            _ => Self::Internal,
        };
        tracing::warn!(%error, "the mirror could not keep what came");
        trouble
    }

    /// Whether it says nothing about what was asked for: what was known before is an answer then.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self, Self::Busy(_) | Self::Away | Self::Broken)
    }

    /// What the client is told.
    pub(crate) fn failure(self, absent: &'static str, what: &str) -> Failure {
        let failure = |status, code, why: &str| Failure::new(status, code, format!("{what} {why}"));
        match self {
            Self::Absent => failure(StatusCode::NOT_FOUND, absent, "is not known to the mirrored registry"),
            Self::Denied => {
                failure(StatusCode::NOT_FOUND, absent, "is not given to this mirror by the mirrored registry")
            }
            Self::Busy(wait) => {
                let why = "can't be had now: there are too many requests";
                let wait = wait.map_or(5, |wait| wait.as_secs().max(1));
                failure(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", why)
                    .with(header::RETRY_AFTER, &wait.to_string())
            }
            Self::Away => {
                let why = "is not here and the mirrored registry can't be reached";
                failure(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", why)
            }
            Self::Broken => {
                failure(StatusCode::BAD_GATEWAY, "UNAVAILABLE", "came damaged from the mirrored registry")
            }
            Self::TooLarge => {
                failure(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", "is larger than this mirror takes")
            }
            Self::Full => {
                let why = "can't be had: no space is left on the mirror's disk";
                failure(StatusCode::INSUFFICIENT_STORAGE, "UNAVAILABLE", why)
            }
            Self::Internal => Failure::internal(),
        }
    }
}
