//! The bodies every route shares: the error body and the body that carries only an identifier.

use crate::json::wire;

wire! {
    /// The body of every answer whose status tells of a failure.
    pub struct ErrorResponse {
        /// What went wrong, for a person.
        #[serde(rename = "message")]
        pub message: String,
    }

    /// The body of an answer that only names what was made (exec create, commit).
    pub struct IdResponse {
        /// The identifier.
        #[serde(rename = "Id")]
        pub id: String,
    }
}

impl ErrorResponse {
    /// The body for a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}
