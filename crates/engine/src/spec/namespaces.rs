//! Namespaces: made new, joined from another container, or left at the host's. Pure.

use std::path::PathBuf;

use boxship_oci::runtime::{Namespace, NamespaceKind};

use super::Inputs;

/// The namespaces of a container, in the order of Docker's specification.
pub fn namespaces(inputs: &Inputs<'_>) -> Vec<Namespace> {
    let host_config = inputs.host_config;
    let joined = &inputs.joined;
    let new = |kind| Some(Namespace { kind, path: None });
    let join = |kind, pid: u32, file: &str| {
        Some(Namespace { kind, path: Some(PathBuf::from(format!("/proc/{pid}/ns/{file}"))) })
    };
    let network = match joined.network {
        _ if inputs.config.network_disabled => new(NamespaceKind::Network),
        Some(pid) => join(NamespaceKind::Network, pid, "net"),
        None if host_config.network_mode.is_host() => None,
        None => Some(Namespace { kind: NamespaceKind::Network, path: inputs.namespace.clone() }),
    };
    let pid = match joined.pid {
        Some(pid) => join(NamespaceKind::Pid, pid, "pid"),
        None if host_config.pid_mode.is_host() => None,
        None => new(NamespaceKind::Pid),
    };
    let ipc = match joined.ipc {
        Some(pid) => join(NamespaceKind::Ipc, pid, "ipc"),
        None if host_config.ipc_mode.is_host() => None,
        None => new(NamespaceKind::Ipc),
    };
    let uts = if host_config.uts_mode.is_host() { None } else { new(NamespaceKind::Uts) };
    let private_cgroup = host_config.cgroupns_mode.is_private() && inputs.host.cgroup_namespaces;
    let cgroup = if private_cgroup { new(NamespaceKind::Cgroup) } else { None };
    [new(NamespaceKind::Mount), network, uts, pid, ipc, cgroup].into_iter().flatten().collect()
}

/// Whether the container has a network namespace of its own, whose parameters may be set.
pub fn owns_network(inputs: &Inputs<'_>) -> bool {
    inputs.config.network_disabled
        || (inputs.joined.network.is_none() && !inputs.host_config.network_mode.is_host())
}
