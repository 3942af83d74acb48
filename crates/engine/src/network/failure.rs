//! What the kernel's side can answer, as the domain tells it.

use crate::{Error, Kind};

impl From<boxship_net::Error> for Error {
    fn from(source: boxship_net::Error) -> Self {
        use boxship_net::Error as Net;
        let kind = match &source {
            Net::Exhausted { .. } => Kind::Unavailable,
            Net::AddressInUse(_) => Kind::Forbidden,
            Net::OutsideSubnet(_) | Net::NoPool | Net::Invalid(_) => Kind::Invalid,
            _ => Kind::Internal,
        };
        Error::new(kind, crate::error::with_causes(&source))
    }
}
