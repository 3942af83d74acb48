//! What every way out of this executable needs: the addresses of a host name without glibc ([`addresses`]), and the
//! pieces of TLS that rustls leaves to its users ([`certificates`], [`Foregone`]).
//!
//! It connects to nothing but name servers and decides nothing: whom to trust is said by who dials.

mod resolve;
mod tls;

pub use resolve::addresses;
pub use tls::{Foregone, certificates};
