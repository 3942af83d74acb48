//! The client against registries: a faulty one made here (`fake`), and Debian's docker-registry where it is installed.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod debian;
mod fake;
mod faults;
mod hostile;
mod house;
mod sending;
mod trust;
mod ways;
