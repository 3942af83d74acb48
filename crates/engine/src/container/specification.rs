//! What is derived from a container's configuration for one run: the OCI specification. Gathers what `spec` needs to
//! know of other containers and of the host; the derivation itself is there, and pure.

use std::path::PathBuf;

use boxship_oci::runtime::Spec;

use super::configuration::Configuration;
use super::links;
use super::network_files::Files;
use super::state::Status;
use crate::spec::{self, Inputs, Joined};
use crate::{Engine, Error, Result};

/// The namespaces of other containers that it enters; they must run.
pub(super) fn join(engine: &Engine, configuration: &Configuration) -> Result<Joined> {
    let host_config = &configuration.host_config;
    let network = host_config.network_mode.container();
    let ipc = host_config.ipc_mode.container();
    let pid = host_config.pid_mode.container();
    if network.is_some_and(|name| engine.inner.registry.find(name).is_ok_and(|c| c.id == configuration.id)) {
        return Err(joins_itself());
    }
    if let Some(name) = ipc {
        check_shareable(engine, name)?;
    }
    Ok(Joined {
        network: network.map(|name| donor(engine, name, "network namespace")).transpose()?,
        ipc: ipc.map(|name| donor(engine, name, "IPC namespace")).transpose()?,
        pid: pid.map(|name| donor(engine, name, "PID namespace")).transpose()?,
    })
}

/// A container can't share the network of itself.
pub(super) fn joins_itself() -> Error {
    Error::invalid("cannot join own network namespace")
}

/// The first process of a container whose namespace is joined.
fn donor(engine: &Engine, name: &str, what: &str) -> Result<u32> {
    let donor = engine.inner.registry.find(name)?;
    let snapshot = donor.snapshot();
    match snapshot.state.status {
        Status::Running | Status::Paused => Ok(snapshot.state.pid),
        Status::Restarting => {
            Err(Error::conflict(format!("cannot join {what} of container: {}", Error::restarting(name))))
        }
        status => Err(Error::conflict(format!(
            "cannot join {what} of a non running container: container {} is {}",
            snapshot.configuration.name,
            status.word()
        ))),
    }
}

fn check_shareable(engine: &Engine, name: &str) -> Result<()> {
    let donor = engine.inner.registry.find(name)?;
    let mode = &donor.configuration().host_config.ipc_mode;
    if mode.is_private() || mode.is_none() {
        return Err(Error::invalid(format!(
            "container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
            donor.id
        )));
    }
    Ok(())
}

/// The specification. Looks at the host's devices and bind sources, makes missing ones that `-v` asks for.
pub(super) fn derive(
    engine: &Engine,
    configuration: &Configuration,
    joined: Joined,
    namespace: Option<PathBuf>,
    files: &Files,
) -> Result<Spec> {
    let init = match &engine.config().exe {
        Some(path) => path.clone(),
        None => std::env::current_exe()?,
    };
    spec::prepare_sources(&configuration.host_config, &configuration.mounts)?;
    spec::generate(&Inputs {
        id: &configuration.id,
        config: &configuration.config,
        host_config: &configuration.host_config,
        engine: engine.config(),
        host: &engine.inner.host,
        joined,
        namespace,
        link_variables: links::variables(engine, configuration)?,
        mounts: &configuration.mounts,
        hosts: Some(files.hosts.clone()),
        hostname: Some(files.hostname.clone()),
        resolv_conf: Some(files.resolv_conf.clone()),
        init,
    })
}
