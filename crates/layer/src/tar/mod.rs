//! The tar format itself: reading (v7, ustar, star, GNU, PAX; all sparse forms) and writing (ustar with PAX).
//!
//! Own code rather than a library: the archives are hostile and the libraries know neither PAX sparse files nor
//! bounds on long names, and here a name is never handed out before it is complete. It knows no file system.

mod header;
mod pax;
mod reader;
mod sparse;
mod writer;

pub use header::{BLOCK, Kind, Time};
pub(crate) use reader::printable;
pub use reader::{Entry, Reader};
pub use writer::Writer;
