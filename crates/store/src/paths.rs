//! The whole tree on disk, documented once, where its paths are made.
//!
//! ```text
//! <data-root>/boxship.db                     SQLite (WAL): the only metadata
//! <data-root>/boxship.lock                   held by the one process that owns the tree
//! <data-root>/daemon.lock                    held by the daemon (which knows no store) before it opens anything
//! <data-root>/engine-id                      the engine's identifier, made once
//! <data-root>/content/sha256/<hex>           blobs: immutable, there only when whole
//! <data-root>/content/ingest/<random>        blobs being written; removed when the store is opened
//! <data-root>/content/ingest/<hex>.part, .map
//!                                            blobs being fetched and what is there of them; kept for a week
//! <data-root>/layers/<name>/fs               unpacked layers: immutable after rename; <name> is in the database
//! <data-root>/layers/unpack-<random>/fs      layers being unpacked; removed when the store is opened
//! <data-root>/init-layer                     what every container has between its image's layers and its own:
//!                                            places that are mounted over, never written after it was made
//! <data-root>/empty                          an empty folder: the lower one of an image without layers
//! <data-root>/containers/<id>/upper          what the container changed (overlay upper folder)
//! <data-root>/containers/<id>/work           overlay's own work folder
//! <data-root>/containers/<id>/hosts, hostname, resolv.conf
//!                                            mounted over those in /etc; the engine's
//! <data-root>/containers/<id>/<id>-json.log, local-logs/container.log
//!                                            the log and its rotated parts (.1, .2.gz, …); the shim's
//! <data-root>/trash/<random>                 on the way out: emptied by `Store::sweep`
//! <exec-root>/containers/<id>/config.json    the bundle of the container's run; the engine's
//! <exec-root>/containers/<id>/network.json   what the run has on networks: addresses, ports, links; the engine's
//! <exec-root>/containers/<id>/shim.sock      where its shim listens
//! <exec-root>/containers/<id>/exit.json      how the run ended; the shim's
//! <exec-root>/runtime/<id>/…                 the OCI runtime's state.json and exec.fifo
//! ```
//!
//! The exec root may vanish with a reboot.

use std::path::{Path, PathBuf};

use boxship_oci::digest::Digest;

/// Where everything lies. Making a path touches no disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    data_root: PathBuf,
    exec_root: PathBuf,
}

impl Paths {
    /// The tree below these two folders.
    pub fn new(data_root: impl Into<PathBuf>, exec_root: impl Into<PathBuf>) -> Paths {
        Paths { data_root: data_root.into(), exec_root: exec_root.into() }
    }

    /// What survives a reboot.
    #[must_use]
    pub fn data_root(&self) -> &Path {
        &self.data_root
    }

    /// What may vanish with a reboot.
    #[must_use]
    pub fn exec_root(&self) -> &Path {
        &self.exec_root
    }

    /// The database's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data_root.join("boxship.db")
    }

    /// The file whose lock says that a process owns the data root.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.data_root.join("boxship.lock")
    }

    /// The file with the engine's identifier.
    #[must_use]
    pub fn engine_id(&self) -> PathBuf {
        self.data_root.join("engine-id")
    }

    /// The layer that every container has between its image's layers and its own.
    #[must_use]
    pub fn init_layer(&self) -> PathBuf {
        self.data_root.join("init-layer")
    }

    /// The folder of whole blobs.
    #[must_use]
    pub fn blobs(&self) -> PathBuf {
        self.data_root.join("content/sha256")
    }

    /// A whole blob.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        // The algorithm is part of the path: a digest of another one never names a SHA-256 blob.
        self.data_root.join("content").join(digest.algorithm().as_str()).join(digest.hex())
    }

    /// The folder of blobs being written.
    #[must_use]
    pub fn ingest(&self) -> PathBuf {
        self.data_root.join("content/ingest")
    }

    /// The folder of unpacked layers.
    #[must_use]
    pub fn layers(&self) -> PathBuf {
        self.data_root.join("layers")
    }

    /// The root folder of the unpacked layer that the database calls `name`.
    #[must_use]
    pub fn layer_fs(&self, name: &str) -> PathBuf {
        self.layers().join(name).join("fs")
    }

    /// A folder that stays empty.
    #[must_use]
    pub fn empty(&self) -> PathBuf {
        self.data_root.join("empty")
    }

    /// The folder of all containers.
    #[must_use]
    pub fn containers(&self) -> PathBuf {
        self.data_root.join("containers")
    }

    /// A container's folder that survives a reboot: upper, work, log, hosts…
    #[must_use]
    pub fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    /// A container's upper folder.
    #[must_use]
    pub fn upper(&self, id: &str) -> PathBuf {
        self.container(id).join("upper")
    }

    /// Overlay's work folder of a container.
    #[must_use]
    pub fn work(&self, id: &str) -> PathBuf {
        self.container(id).join("work")
    }

    /// What was removed but not yet deleted.
    #[must_use]
    pub fn trash(&self) -> PathBuf {
        self.data_root.join("trash")
    }

    /// The folder of all containers' sockets and run-time state.
    #[must_use]
    pub fn exec_containers(&self) -> PathBuf {
        self.exec_root.join("containers")
    }

    /// A container's sockets and run-time state.
    #[must_use]
    pub fn exec_container(&self, id: &str) -> PathBuf {
        self.exec_containers().join(id)
    }

    /// The OCI runtime's folder: its state of all containers.
    #[must_use]
    pub fn runtime(&self) -> PathBuf {
        self.exec_root.join("runtime")
    }
}
