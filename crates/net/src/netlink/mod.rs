//! Netlink: how questions and orders for the kernel are written ([`Message`]), how its answers are read
//! ([`messages`], [`attributes`]), and the conversation itself ([`Connection`]). Knows nothing of links or tables.
//!
//! Reading never panics, whatever the bytes: what is cut off or has a wrong length ends the iteration or reads as
//! absent.

mod connection;
mod message;
mod read;

pub use connection::Connection;
pub use message::{Message, flags};
pub use read::{Attribute, Attributes, Messages, Received, attributes, messages};

pub use boxship_sys::netlink::Protocol;
