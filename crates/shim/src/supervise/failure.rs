//! The runtime's errors as what a shim answers.

use std::error::Error as _;

use boxship_runtime::Error;
use boxship_sys::Errno;

use crate::protocol::{Failure, FailureKind};

pub(crate) fn from_runtime(error: &Error) -> Failure {
    let kind = match error {
        Error::CommandNotFound { .. } => FailureKind::CommandNotFound,
        Error::CommandNotExecutable { errno: Errno::NOENT | Errno::NOTDIR, .. } => {
            FailureKind::CommandNotFound
        }
        Error::CommandNotExecutable { .. } => FailureKind::CommandNotExecutable,
        Error::Status { .. } | Error::Exists { .. } | Error::NotFound { .. } => FailureKind::State,
        Error::InvalidId { .. } | Error::Invalid(_) | Error::Unsupported(_) | Error::NoSuchUser { .. } => {
            FailureKind::Invalid
        }
        _ => FailureKind::Internal,
    };
    Failure::new(kind, error.chain())
}

pub(crate) fn internal(error: &crate::Error) -> Failure {
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        message.push_str(": ");
        message.push_str(&source.to_string());
        next = source.source();
    }
    Failure::new(FailureKind::Internal, message)
}

pub(super) fn state(message: &str) -> Failure {
    Failure::new(FailureKind::State, message)
}
