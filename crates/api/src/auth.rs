//! Registry credentials as the client sends them (`X-Registry-Auth`, `POST /auth`). Never logged: `Debug` hides secrets.

use serde::{Deserialize, Serialize};

/// The name of the header that carries an [`AuthConfig`] as URL-safe base64 of its JSON.
pub const HEADER: &str = "X-Registry-Auth";

/// Credentials for one registry.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", default)]
pub struct AuthConfig {
    /// The user's name.
    #[serde(deserialize_with = "crate::read::null_is_default", skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The password.
    #[serde(deserialize_with = "crate::read::null_is_default", skip_serializing_if = "String::is_empty")]
    pub password: String,
    /// `user:password` in base64.
    #[serde(deserialize_with = "crate::read::null_is_default", skip_serializing_if = "String::is_empty")]
    pub auth: String,
    /// The registry's address.
    #[serde(deserialize_with = "crate::read::null_is_default", skip_serializing_if = "String::is_empty")]
    pub serveraddress: String,
    /// A token to get access tokens with.
    #[serde(deserialize_with = "crate::read::null_is_default", skip_serializing_if = "String::is_empty")]
    pub identitytoken: String,
    /// A bearer token to send as it is.
    #[serde(deserialize_with = "crate::read::null_is_default", skip_serializing_if = "String::is_empty")]
    pub registrytoken: String,
}

impl std::fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthConfig")
            .field("username", &self.username)
            .field("serveraddress", &self.serveraddress)
            .finish_non_exhaustive()
    }
}

/// What a login gave.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AuthResponse {
    /// A token to be kept instead of the password; empty: none.
    pub identity_token: String,
    /// For a person.
    pub status: String,
}

impl std::fmt::Debug for AuthResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthResponse").field("status", &self.status).finish_non_exhaustive()
    }
}
