//! The registry server: the OCI distribution protocol over a folder of blobs.
