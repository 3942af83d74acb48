//! The OCI specification of a container: one pure function over [`Inputs`] and [`Facts`], put together from the parts
//! beside this file. Tested by snapshots.

use boxship_oci::runtime::{Linux, Root, Spec, VERSION};

use super::facts::{self, Facts};
use super::{
    Inputs, capabilities, devices, mounts, namespaces, process, resources, seccomp, security, sysctl,
};
use crate::Result;

/// The cgroup below which containers are, unless asked otherwise.
const CGROUP_PARENT: &str = "/boxship";

/// The OCI specification of a container, after looking up what it names on the host and making missing bind sources.
/// `root.path` is `rootfs` (the runtime mounts the store's overlay there).
pub fn generate(inputs: &Inputs<'_>) -> Result<Spec> {
    facts::prepare_sources(inputs.host_config, inputs.mounts)?;
    specification(inputs, &facts::gather(inputs)?)
}

/// The OCI specification of a container. Pure.
pub fn specification(inputs: &Inputs<'_>, facts: &Facts) -> Result<Spec> {
    let (config, host_config) = (inputs.config, inputs.host_config);
    let security = security::parse(host_config.security_opt.as_deref().unwrap_or_default())?;
    let list = |list: &Option<boxship_api::StrSlice>| list.clone().unwrap_or_default().0;
    let (add, drop) = (list(&host_config.cap_add), list(&host_config.cap_drop));
    let caps = capabilities::resolve(&add, &drop, host_config.privileged, inputs.host)?;
    let own_uts = !host_config.uts_mode.is_host();
    let named = |name: &str| (own_uts && !name.is_empty()).then(|| name.to_owned());
    let annotations = &host_config.annotations;
    Ok(Spec {
        oci_version: VERSION.to_owned(),
        process: Some(process::of_container(inputs, &security, &caps)?),
        root: Some(Root { path: "rootfs".into(), readonly: host_config.readonly_rootfs }),
        hostname: named(&config.hostname),
        domainname: named(&config.domainname),
        mounts: mounts::mounts(inputs, &security, process::wants_init(inputs))?,
        hooks: None,
        annotations: annotations.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        linux: Some(linux(inputs, facts, &security, &caps)?),
    })
}

fn linux(
    inputs: &Inputs<'_>,
    facts: &Facts,
    security: &security::SecurityOptions,
    caps: &[String],
) -> Result<Linux> {
    let host_config = inputs.host_config;
    let profile = facts.seccomp_profile.as_deref();
    let target = seccomp::Target { host: inputs.host, capabilities: caps };
    let paths = |paths: &Option<Vec<String>>, default: Vec<String>| {
        let unset = if host_config.privileged { Vec::new() } else { default };
        paths.clone().unwrap_or(unset).into_iter().map(Into::into).collect()
    };
    Ok(Linux {
        sysctl: sysctl::parameters(inputs),
        resources: Some(resources::of_container(host_config, facts)?),
        cgroups_path: Some(cgroups_path(inputs).into()),
        namespaces: namespaces::namespaces(inputs),
        devices: devices::nodes(host_config, facts),
        seccomp: seccomp::filter(&security.seccomp, host_config.privileged, profile, &target)?,
        rootfs_propagation: mounts::root_propagation(inputs.mounts),
        masked_paths: paths(&host_config.masked_paths, inputs.host.default_masked_paths()),
        readonly_paths: paths(&host_config.readonly_paths, super::Host::default_readonly_paths()),
        ..Linux::default()
    })
}

fn cgroups_path(inputs: &Inputs<'_>) -> String {
    let asked = [&inputs.host_config.resources.cgroup_parent, &inputs.engine.cgroup_parent];
    let parent = asked.into_iter().find(|parent| !parent.is_empty()).map_or(CGROUP_PARENT, String::as_str);
    // Docker's cleaning guards against `../../elsewhere`.
    format!("{}/{}", super::bind::clean(parent).trim_end_matches('/'), inputs.id)
}
