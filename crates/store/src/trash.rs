//! The way out: a rename into the trash, then deletion off the caller's path.
