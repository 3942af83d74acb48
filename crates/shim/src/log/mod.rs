//! Container logs as Docker writes them: drivers `json-file`, `local` and `none`, with rotation; and their reader.
//!
//! Options are judged by [`options`], turned into a [`Target`] by the engine, written by the shim only, read by
//! [`Reader`] in any process. Writer and reader share nothing but the files.

mod attributes;
mod compress;
mod file;
mod found;
mod json_file;
mod local;
pub mod options;
mod reader;
mod record;
mod size;
mod source;
mod split;
pub mod time;
mod writer;

pub use options::{Driver, Info, Options, Target, parse_options, validate_options};
pub use reader::{Next, ReadOptions, Reader};
pub use record::{Record, Stream};
pub(crate) use writer::Writer;
