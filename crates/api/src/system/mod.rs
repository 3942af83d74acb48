//! The host on the wire: `GET /info`, `GET /version`, `GET /system/df`.

mod disk_usage;
mod info;
mod version;

pub use disk_usage::*;
pub use info::*;
pub use version::*;
