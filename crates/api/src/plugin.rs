//! Plugins on the wire: there are none, so an entry has only what identifies it.

use crate::json::wire;

wire! {
    /// `GET /plugins`: one plugin.
    pub struct Plugin {
        /// Whether it runs.
        pub enabled: bool,
        /// Its identifier.
        opt id: String,
        /// Its name.
        pub name: String,
    }
}
