//! The client of registries: authentication, pull and push by the OCI distribution protocol.
