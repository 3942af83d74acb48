//! Safe wrappers around Linux system calls, one file per family. The only crate with unsafe code; no policy.
