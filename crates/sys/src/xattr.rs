//! Extended attributes by descriptor.
