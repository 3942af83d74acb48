//! The JSON lines in which long work reports (pull, load, import, push, build).

use crate::json::wire;

wire! {
    /// One line of progress.
    pub struct ProgressMessage {
        /// Text to be printed as it is.
        #[serde(rename = "stream")]
        opt stream: String,
        /// What is being done.
        #[serde(rename = "status")]
        opt status: String,
        /// How far it is.
        #[serde(rename = "progressDetail")]
        opt progress_detail: Option<ProgressDetail>,
        /// That as a bar, for old clients.
        #[serde(rename = "progress")]
        opt progress: String,
        /// What it is done to.
        #[serde(rename = "id")]
        opt id: String,
        /// Why it failed.
        #[serde(rename = "errorDetail")]
        opt error_detail: Option<ErrorDetail>,
        /// That as text, for old clients.
        #[serde(rename = "error")]
        opt error: String,
        /// A result for programs.
        #[serde(rename = "aux")]
        opt aux: Option<serde_json::Value>,
    }

    /// How far work is.
    pub struct ProgressDetail {
        /// Units done.
        #[serde(rename = "current")]
        opt current: i64,
        /// Units in all.
        #[serde(rename = "total")]
        opt total: i64,
        /// When it began (Unix seconds).
        #[serde(rename = "start")]
        opt start: i64,
        /// Show no numbers.
        #[serde(rename = "hidecounts")]
        opt hidecounts: bool,
        /// The unit; bytes when empty.
        #[serde(rename = "units")]
        opt units: String,
    }

    /// Why work failed.
    pub struct ErrorDetail {
        /// The exit code of a build step.
        #[serde(rename = "code")]
        opt code: i64,
        /// For a person.
        #[serde(rename = "message")]
        opt message: String,
    }
}

impl ProgressMessage {
    /// A line that tells what is being done.
    pub fn status(status: impl Into<String>) -> Self {
        Self { status: status.into(), ..Self::default() }
    }

    /// Text to be printed as it is.
    pub fn stream(text: impl Into<String>) -> Self {
        Self { stream: text.into(), ..Self::default() }
    }

    /// The last line of work that failed.
    pub fn failure(message: impl Into<String>) -> Self {
        let message = message.into();
        let detail = ErrorDetail { message: message.clone(), ..ErrorDetail::default() };
        Self { error: message, error_detail: Some(detail), ..Self::default() }
    }
}
