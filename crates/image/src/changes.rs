//! Dockerfile instructions as `docker import -c` takes them.
