//! Creating a container.

use crate::error::Result;
use crate::options::{CreateOptions, Started};

/// Creates a container: everything is set up and its process waits to be started.
/// When it fails nothing is left behind.
pub fn create(options: CreateOptions) -> Result<Started> {
    todo!()
}
