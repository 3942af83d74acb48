//! Content, snapshots, image names and the database below the data root.
