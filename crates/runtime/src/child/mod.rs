//! What happens in the container's process before its program: everything here runs in a child with one thread, inside
//! the new namespaces. Steps fail with a [`Failure`](crate::message::Failure) that travels to the maker.
//!
//! Once the root is changed only descriptors and paths resolved below the root's descriptor are trusted.

pub(crate) mod cgroup_view;
pub(crate) mod console;
pub(crate) mod copy_up;
pub(crate) mod devices;
pub(crate) mod enter;
pub(crate) mod finish;
pub(crate) mod identity;
pub(crate) mod init;
pub(crate) mod masks;
pub(crate) mod mounts;
pub(crate) mod pivot;
pub(crate) mod procfs;
pub(crate) mod streams;
