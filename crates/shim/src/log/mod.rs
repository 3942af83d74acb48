//! Container logs as Docker writes them: drivers `json-file`, `local` and `none`, with rotation; and their reader.
//!
//! Options are judged by [`options`], turned into a [`Target`] by the engine, written by the shim only, read by
//! [`Reader`] in any process. Writer and reader share nothing but the files.

pub mod options;
mod reader;
mod record;
pub mod time;

pub use options::{Driver, Info, Options, Target, parse_options, validate_options};
pub use reader::{Next, ReadOptions, Reader};
pub use record::{Record, Stream};
