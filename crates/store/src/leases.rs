//! What is being worked with and must not be collected meanwhile.
//!
//! Leases live in memory only: after a crash nothing is being worked with.

/// Protects blobs and layers from collection until dropped.
pub struct Lease {}
