//! Tar archive to folder and back: apply, diff, whiteouts, safe resolution, compression.
