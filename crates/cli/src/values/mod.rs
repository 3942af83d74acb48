//! Values of flags: text in, value or Docker's complaint out. Pure but for the files that a flag names.

pub mod cpus;
pub mod csv;
pub mod device;
pub mod duration;
pub mod environment;
pub mod health;
pub mod mount;
pub mod names;
pub mod network;
pub mod pairs;
pub mod port;
pub mod refused;
pub mod restart;
pub mod security;
pub mod size;
pub mod time;
pub mod ulimit;
