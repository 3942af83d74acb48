//! What every way out of this executable needs: the addresses of a host name without glibc ([`addresses`]), the
//! pieces of TLS that rustls leaves to its users ([`certificates`], [`private_key`], [`Foregone`]), and text in web
//! addresses ([`escape`]).
//!
//! It connects to nothing but name servers and decides nothing: whom to trust is said by who dials.

mod escape;
mod resolve;
mod tls;

pub use escape::escape;
pub use resolve::addresses;
pub use tls::{Foregone, Unreadable, certificates, private_key};
