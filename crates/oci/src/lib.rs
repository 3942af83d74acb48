//! OCI types: digests, descriptors, manifests, references, platforms, the runtime specification and state; and Go's
//! notations of durations and sizes ([`go`]), in which all of Docker's texts are written.
//!
//! Pure data: what the image, distribution and runtime specifications (and Docker's dialects of them) say, with the
//! parsing and validation of untrusted names. Nothing here reads a file, asks the kernel or knows a policy.
//!
//! Names that come from outside are types ([`Digest`], [`ContainerId`], [`Reference`], [`Platform`]) that are parsed
//! once; holding one means that it is well formed. Fields follow the specifications' words in snake case, are plain
//! and public, and default to "absent", so that `..Default::default()` works everywhere.

pub mod descriptor;
pub mod digest;
mod error;
pub mod go;
pub mod id;
pub mod image;
pub mod manifest;
pub mod platform;
pub mod reference;
pub mod rootfs;
pub mod runtime;

pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, chain_id};
pub use error::Error;
pub use id::ContainerId;
pub use image::ImageConfig;
pub use manifest::{Index, Manifest};
pub use platform::Platform;
pub use reference::Reference;
pub use rootfs::OverlayMount;

/// The result of parsing something in this crate.
pub type Result<T> = std::result::Result<T, Error>;
