//! The kernel parameters of the IPC namespace, in one place for all who judge `linux.sysctl`.

/// Their names (ipc_namespaces(7)); everything below `fs.mqueue.` belongs to that namespace too.
pub const IPC_PARAMETERS: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];
