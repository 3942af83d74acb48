//! Limits by cgroups: from the API's numbers to the specification's. Zero means "no limit" (or, in an update, "leave
//! it") and is left out. Pure.

use boxship_api::container::{HostConfig, Resources, ThrottleDevice as ApiThrottle};
use boxship_oci::runtime as oci;

use super::devices;
use super::facts::Facts;
use crate::Result;

/// The microseconds of the period in which `--cpus` is counted.
const CPUS_PERIOD: i64 = 100_000;

/// All limits of a container.
pub fn of_container(host_config: &HostConfig, facts: &Facts) -> Result<oci::Resources> {
    let mut resources = of_limits(&host_config.resources, facts);
    resources.devices = devices::rules(host_config, facts)?;
    Ok(resources)
}

/// The limits alone, as an update sends them.
pub fn of_limits(limits: &Resources, facts: &Facts) -> oci::Resources {
    oci::Resources {
        memory: some(memory(limits)),
        cpu: some(cpu(limits)),
        pids: limits.pids_limit.map(|limit| oci::Pids { limit: Some(if limit <= 0 { -1 } else { limit }) }),
        block_io: some(block_io(limits, facts)),
        ..oci::Resources::default()
    }
}

fn some<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

fn positive(value: i64) -> Option<i64> {
    (value > 0).then_some(value)
}

fn memory(limits: &Resources) -> oci::Memory {
    oci::Memory {
        limit: positive(limits.memory),
        reservation: positive(limits.memory_reservation),
        swap: (limits.memory_swap != 0).then_some(limits.memory_swap),
        kernel: (limits.kernel_memory != 0).then_some(limits.kernel_memory),
        kernel_tcp: (limits.kernel_memory_tcp != 0).then_some(limits.kernel_memory_tcp),
        swappiness: limits.memory_swappiness.and_then(|value| u64::try_from(value).ok()),
        disable_oom_killer: limits.oom_kill_disable.filter(|&disable| disable),
        ..oci::Memory::default()
    }
}

fn cpu(limits: &Resources) -> oci::Cpu {
    let nano = limits.nano_cpus > 0;
    let quota = if nano { limits.nano_cpus * CPUS_PERIOD / 1_000_000_000 } else { limits.cpu_quota };
    let period = if nano { CPUS_PERIOD } else { limits.cpu_period };
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    oci::Cpu {
        shares: positive(limits.cpu_shares).map(i64::unsigned_abs),
        quota: (quota != 0).then_some(quota),
        period: positive(period).map(i64::unsigned_abs),
        realtime_runtime: (limits.cpu_realtime_runtime != 0).then_some(limits.cpu_realtime_runtime),
        realtime_period: positive(limits.cpu_realtime_period).map(i64::unsigned_abs),
        cpus: text(&limits.cpuset_cpus),
        mems: text(&limits.cpuset_mems),
        ..oci::Cpu::default()
    }
}

fn block_io(limits: &Resources, facts: &Facts) -> oci::BlockIo {
    let throttle = |devices: &Option<Vec<ApiThrottle>>| {
        let known = |device: &ApiThrottle| Some((*facts.block_devices.get(&device.path)?, device.rate));
        let numbered = devices.iter().flatten().filter_map(known);
        numbered.map(|((major, minor), rate)| oci::ThrottleDevice { major, minor, rate }).collect()
    };
    let weights = limits.blkio_weight_device.iter().flatten().filter_map(|device| {
        let &(major, minor) = facts.block_devices.get(&device.path)?;
        Some(oci::WeightDevice { major, minor, weight: Some(device.weight), leaf_weight: None })
    });
    oci::BlockIo {
        weight: (limits.blkio_weight != 0).then_some(limits.blkio_weight),
        weight_device: weights.collect(),
        throttle_read_bps_device: throttle(&limits.blkio_device_read_bps),
        throttle_write_bps_device: throttle(&limits.blkio_device_write_bps),
        throttle_read_iops_device: throttle(&limits.blkio_device_read_iops),
        throttle_write_iops_device: throttle(&limits.blkio_device_write_iops),
        ..oci::BlockIo::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_translated() {
        let limits: Resources = serde_json::from_str(
            r#"{"Memory":67108864,"MemorySwap":-1,"NanoCpus":1500000000,"CpuShares":512,"PidsLimit":0,
                "CpusetCpus":"0-1","BlkioWeight":300,"BlkioDeviceReadBps":[{"Path":"/dev/sda","Rate":5}],
                "OomKillDisable":false}"#,
        )
        .unwrap();
        let facts = Facts { block_devices: [("/dev/sda".to_owned(), (8, 0))].into(), ..Facts::default() };
        insta::assert_json_snapshot!(of_limits(&limits, &facts));
        assert_eq!(of_limits(&Resources::default(), &facts), oci::Resources::default());
    }
}
