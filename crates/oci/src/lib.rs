//! OCI types: digests, descriptors, manifests, references, platforms, the runtime specification and state. Pure data.
