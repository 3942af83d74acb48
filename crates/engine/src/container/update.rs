//! Update: limits and restart policy of a living container.

use boxship_api as api;
use boxship_api::container::Resources;
use boxship_shim::protocol::Request as Ask;

use super::configuration::Configuration;
use super::driver::Driver;
use super::request::Request;
use super::state::Status;
use crate::{Engine, Error, Result, error::blocking, spec};

impl Engine {
    /// `POST /containers/{id}/update`.
    pub async fn container_update(
        &self,
        reference: &str,
        mut request: api::container::UpdateConfig,
    ) -> Result<api::container::UpdateResponse> {
        let warnings = spec::validate_update(&mut request, &self.inner.host)?;
        let container = self.inner.registry.find(reference)?;
        let update = Box::new(request);
        container.ask(|reply| Request::Update { update, reply }).await?;
        Ok(api::container::UpdateResponse { warnings: (!warnings.is_empty()).then_some(warnings) })
    }
}

impl Driver {
    pub(super) async fn update(&self, update: &api::container::UpdateConfig) -> Result<()> {
        let id = &self.container.id;
        let explain =
            |error: Error| Error::new(error.kind(), format!("Cannot update container {id}: {error}"));
        let state = self.state();
        if matches!(state.status, Status::Removing | Status::Dead) {
            let error = Error::conflict("container is marked for removal and cannot be \"update\"");
            return Err(explain(error));
        }
        let mut configuration = (*self.configuration()).clone();
        merge(&mut configuration, update).map_err(explain)?;
        if state.is_alive() {
            let resources = spec::update_resources(update).map_err(explain)?;
            if resources != Default::default() {
                self.container.shim.tell(&Ask::Update(Box::new(resources))).await.map_err(explain)?;
            }
        }
        let (engine, row) = (self.engine.clone(), configuration.clone());
        blocking(move || engine.inner.rows.update(&row)).await.map_err(explain)?;
        self.adopt(configuration);
        self.tell("update", &[]);
        Ok(())
    }
}

/// Takes over what the update names; zero and null leave the old values.
fn merge(configuration: &mut Configuration, update: &api::container::UpdateConfig) -> Result<()> {
    let host_config = &mut configuration.host_config;
    if !update.restart_policy.name.is_empty() {
        if host_config.auto_remove && update.restart_policy.name != "no" {
            return Err(Error::invalid(
                "Restart policy cannot be updated because AutoRemove is enabled for the container",
            ));
        }
        host_config.restart_policy = update.restart_policy.clone();
    }
    let (old, new) = (&mut host_config.resources, &update.resources);
    if new.cpu_period != 0 && old.nano_cpus != 0 {
        return Err(Error::conflict("CPU Period cannot be updated as NanoCPUs has already been set"));
    }
    if new.cpu_quota != 0 && old.nano_cpus != 0 {
        return Err(Error::conflict("CPU Quota cannot be updated as NanoCPUs has already been set"));
    }
    if new.nano_cpus != 0 && (old.cpu_period != 0 || old.cpu_quota != 0) {
        return Err(Error::conflict(
            "Nano CPUs cannot be updated as CPU Period or Quota has already been set",
        ));
    }
    take_numbers(old, new);
    for (old, new) in [(&mut old.cpuset_cpus, &new.cpuset_cpus), (&mut old.cpuset_mems, &new.cpuset_mems)] {
        if !new.is_empty() {
            old.clone_from(new);
        }
    }
    if new.blkio_weight != 0 {
        old.blkio_weight = new.blkio_weight;
    }
    if new.pids_limit.is_some() {
        old.pids_limit = new.pids_limit;
    }
    take_memory(old, new)
}

fn take_numbers(old: &mut Resources, new: &Resources) {
    for (old, new) in [
        (&mut old.cpu_shares, new.cpu_shares),
        (&mut old.nano_cpus, new.nano_cpus),
        (&mut old.cpu_period, new.cpu_period),
        (&mut old.cpu_quota, new.cpu_quota),
        (&mut old.cpu_realtime_period, new.cpu_realtime_period),
        (&mut old.cpu_realtime_runtime, new.cpu_realtime_runtime),
        (&mut old.memory_reservation, new.memory_reservation),
    ] {
        if new != 0 {
            *old = new;
        }
    }
}

fn take_memory(old: &mut Resources, new: &Resources) -> Result<()> {
    if new.memory != 0 {
        // The kernel refuses a memory limit above the limit of memory and swap.
        if new.memory > old.memory_swap && old.memory_swap > 0 && new.memory_swap == 0 {
            return Err(Error::conflict(
                "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
            ));
        }
        old.memory = new.memory;
    }
    if new.memory_swap != 0 {
        old.memory_swap = new.memory_swap;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_changes() {
        let mut configuration = Configuration::default();
        configuration.host_config.resources.memory = 1 << 20;
        configuration.host_config.resources.cpu_shares = 512;
        let mut update = api::container::UpdateConfig::default();
        update.resources.memory = 2 << 20;
        update.restart_policy.name = "always".into();
        merge(&mut configuration, &update).unwrap();
        let limits = &configuration.host_config.resources;
        assert_eq!((limits.memory, limits.cpu_shares), (2 << 20, 512));
        assert_eq!(configuration.host_config.restart_policy.name, "always");
    }

    #[test]
    fn contradictions_are_refused() {
        let mut configuration = Configuration::default();
        configuration.host_config.resources.nano_cpus = 1;
        let mut update = api::container::UpdateConfig::default();
        update.resources.cpu_quota = 5;
        assert!(merge(&mut configuration, &update).is_err());
        let mut configuration = Configuration::default();
        configuration.host_config.resources.memory_swap = 10;
        let mut update = api::container::UpdateConfig::default();
        update.resources.memory = 20;
        assert!(merge(&mut configuration, &update).is_err());
        configuration.host_config.auto_remove = true;
        let mut update = api::container::UpdateConfig::default();
        update.restart_policy.name = "always".into();
        assert!(merge(&mut configuration, &update).is_err());
    }
}
