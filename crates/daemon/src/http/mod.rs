//! HTTP between sockets and routes: versions, bodies, answers, errors, and connections that stop being
//! HTTP. It knows nothing of containers; `routes` never builds a header by hand.

pub(crate) mod after_head;
pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod failure;
pub(crate) mod hijack;
pub(crate) mod names;
pub(crate) mod origin;
pub(crate) mod query;
pub(crate) mod reply;
pub(crate) mod router;
pub(crate) mod server;
pub(crate) mod version;
pub(crate) mod websocket;

pub(crate) use call::{App, Call};
pub(crate) use failure::Failure;
pub(crate) use reply::Reply;
pub(crate) use version::Version;
