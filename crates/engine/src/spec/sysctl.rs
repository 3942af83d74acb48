//! Kernel parameters: which may be set for a container (only those of its own namespaces), and Docker's defaults.

use boxship_api::container::HostConfig;
use boxship_oci::runtime::sysctl::IPC_PARAMETERS;
use indexmap::IndexMap;

use super::{Inputs, namespaces};
use crate::{Error, Result};

/// The parameters of a container.
pub fn parameters(inputs: &Inputs<'_>) -> IndexMap<String, String> {
    let mut result = IndexMap::new();
    if namespaces::owns_network(inputs) {
        // Unprivileged ping and ports below 1024: the capabilities for both are given by default anyway.
        for (name, value) in
            [("net.ipv4.ping_group_range", "0 2147483647"), ("net.ipv4.ip_unprivileged_port_start", "0")]
        {
            if inputs.host.sysctls.contains(name) {
                result.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    for (name, value) in &inputs.host_config.sysctls {
        result.insert(name.clone(), value.clone());
    }
    result
}

/// Refuses parameters that would change the host or another container.
pub fn validate(host_config: &HostConfig) -> Result<()> {
    for name in host_config.sysctls.keys() {
        let plain = name.replace('/', ".");
        let ipc = IPC_PARAMETERS.contains(&&*plain) || plain.starts_with("fs.mqueue.");
        if plain.split('.').any(str::is_empty) || !plain.is_ascii() {
            return Err(Error::invalid(format!("invalid sysctl name {name:?}")));
        }
        if ipc && host_config.ipc_mode.is_host() {
            return Err(Error::invalid(format!("sysctl {name:?} is not allowed in the hosts ipc namespace")));
        }
        if plain.starts_with("net.") && host_config.network_mode.is_host() {
            return Err(Error::invalid(format!("sysctl {name:?} not allowed in host network namespace")));
        }
        let uts = plain == "kernel.domainname" || plain == "kernel.hostname";
        if uts && host_config.uts_mode.is_host() {
            return Err(Error::invalid(format!("sysctl {name:?} is not allowed in the hosts uts namespace")));
        }
        if !ipc && !plain.starts_with("net.") && !uts {
            return Err(Error::invalid(format!("sysctl {name:?} is not in a separate kernel namespace")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_namespaced_parameters() {
        for (json, message) in [
            (r#"{"Sysctls":{"net.core.somaxconn":"1","kernel.msgmax":"1","fs.mqueue.msg_max":"2"}}"#, ""),
            (
                r#"{"Sysctls":{"vm.swappiness":"1"}}"#,
                "sysctl \"vm.swappiness\" is not in a separate kernel namespace",
            ),
            (
                r#"{"Sysctls":{"net.x":"1"},"NetworkMode":"host"}"#,
                "sysctl \"net.x\" not allowed in host network namespace",
            ),
            (
                r#"{"Sysctls":{"kernel.sem":"1"},"IpcMode":"host"}"#,
                "sysctl \"kernel.sem\" is not allowed in the hosts ipc namespace",
            ),
            (r#"{"Sysctls":{"net..x":"1"}}"#, "invalid sysctl name \"net..x\""),
        ] {
            let outcome = validate(&serde_json::from_str(json).unwrap());
            assert_eq!(outcome.err().map(|e| e.to_string()).unwrap_or_default(), message);
        }
    }
}
