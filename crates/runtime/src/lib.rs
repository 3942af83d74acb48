//! The OCI runtime: create, start, exec, kill, delete; cgroups; seccomp compiler.
