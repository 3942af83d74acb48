//! The flags of `run` and `create` that belong to later work: refused with a sentence, never ignored.

/// The flags of `run` and `create` that this version refuses, with what there is instead.
pub const REFUSED: &[(&str, &str)] = &[
    ("volumes-from", "volumes are not supported in this version; use --volume with folders of the host"),
    ("volume-driver", "volumes are not supported in this version; use --volume with folders of the host"),
    ("gpus", "GPUs are not supported; give single devices with --device"),
    ("storage-opt", "storage options are not supported: containers share the data root's file system"),
    ("use-api-socket", "mounting the API's socket is not supported; use --volume with the socket's path"),
    ("kernel-memory", "limits of kernel memory are not supported: kernels no longer have them"),
    ("cpu-count", "Windows containers are not supported"),
    ("cpu-percent", "Windows containers are not supported"),
    ("io-maxbandwidth", "Windows containers are not supported"),
    ("io-maxiops", "Windows containers are not supported"),
];
