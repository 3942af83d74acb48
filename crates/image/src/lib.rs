//! Images in transit: load, save and import of archives.
