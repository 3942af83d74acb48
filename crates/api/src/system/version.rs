//! `GET /version`.

use crate::json::wire;
use std::collections::BTreeMap;

wire! {
    /// What the daemon is.
    pub struct VersionResponse {
        /// The product.
        pub platform: PlatformName,
        /// Its parts.
        opt components: Vec<ComponentVersion>,
        /// The engine's version.
        pub version: String,
        /// The API it speaks.
        pub api_version: String,
        /// The oldest API it speaks.
        #[serde(rename = "MinAPIVersion")]
        opt min_api_version: String,
        /// The commit it was built from.
        pub git_commit: String,
        /// The compiler.
        pub go_version: String,
        /// The operating system.
        pub os: String,
        /// The processor.
        pub arch: String,
        /// The kernel.
        opt kernel_version: String,
        /// Whether experimental features are on.
        opt experimental: bool,
        /// When it was built.
        opt build_time: String,
    }

    /// The product.
    pub struct PlatformName {
        /// Its name.
        pub name: String,
    }

    /// One part.
    pub struct ComponentVersion {
        /// Its name.
        pub name: String,
        /// Its version.
        pub version: String,
        /// More.
        opt details: BTreeMap<String, String>,
    }
}
