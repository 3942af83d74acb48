//! Tests of the storage folder.
