//! Containers on the wire: what is asked for (`config`, `host_config`, `create`) and what is told (`inspect`,
//! `summary`, `stats`, `answers`).

mod answers;
mod config;
mod create;
#[cfg(test)]
mod golden;
mod host_config;
mod inspect;
mod mode;
mod resources;
mod state;
mod stats;
mod summary;

pub use answers::*;
pub use config::*;
pub use create::*;
pub use host_config::*;
pub use inspect::*;
pub use mode::*;
pub use resources::*;
pub use state::*;
pub use stats::*;
pub use summary::*;
