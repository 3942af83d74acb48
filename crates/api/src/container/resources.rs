//! `Resources`: the limits that `create` and `update` share, with devices and ulimits.

use crate::json::wire;
use std::collections::BTreeMap;

wire! {
    /// Limits of a container; zero means no limit unless said otherwise.
    pub struct Resources {
        /// Relative weight of processor time.
        pub cpu_shares: i64,
        /// Memory in bytes.
        pub memory: i64,
        /// Processor time in billionths of a processor.
        pub nano_cpus: i64,
        /// The cgroup below which the container's is made.
        pub cgroup_parent: String,
        /// Relative weight of block IO, 10 to 1000.
        pub blkio_weight: u16,
        /// That weight by device.
        pub blkio_weight_device: Option<Vec<WeightDevice>>,
        /// Bytes read per second by device.
        pub blkio_device_read_bps: Option<Vec<ThrottleDevice>>,
        /// Bytes written per second by device.
        pub blkio_device_write_bps: Option<Vec<ThrottleDevice>>,
        /// Reads per second by device.
        #[serde(rename = "BlkioDeviceReadIOps")]
        pub blkio_device_read_iops: Option<Vec<ThrottleDevice>>,
        /// Writes per second by device.
        #[serde(rename = "BlkioDeviceWriteIOps")]
        pub blkio_device_write_iops: Option<Vec<ThrottleDevice>>,
        /// The scheduler's period in microseconds.
        pub cpu_period: i64,
        /// Microseconds of processor time in each period.
        pub cpu_quota: i64,
        /// The real-time scheduler's period.
        pub cpu_realtime_period: i64,
        /// Real-time microseconds in each period.
        pub cpu_realtime_runtime: i64,
        /// Processors it may use (`0-2,7`).
        pub cpuset_cpus: String,
        /// Memory nodes it may use.
        pub cpuset_mems: String,
        /// Host devices it sees.
        pub devices: Option<Vec<DeviceMapping>>,
        /// Rules of the device cgroup (`c 13:* rwm`).
        pub device_cgroup_rules: Option<Vec<String>>,
        /// Devices asked of drivers (`--gpus`).
        pub device_requests: Option<Vec<DeviceRequest>>,
        /// Kernel memory in bytes (obsolete).
        opt kernel_memory: i64,
        /// TCP buffer memory in bytes (cgroup v1).
        #[serde(rename = "KernelMemoryTCP")]
        opt kernel_memory_tcp: i64,
        /// Soft limit of memory in bytes.
        pub memory_reservation: i64,
        /// Memory and swap together in bytes; -1 for no limit of swap.
        pub memory_swap: i64,
        /// 0 to 100 (cgroup v1).
        pub memory_swappiness: Option<i64>,
        /// Whether the OOM killer is off (cgroup v1).
        pub oom_kill_disable: Option<bool>,
        /// Processes at most; 0 and -1 for no limit, `null` to leave it.
        pub pids_limit: Option<i64>,
        /// Limits of `setrlimit`.
        pub ulimits: Option<Vec<Ulimit>>,
        /// Windows: processors.
        pub cpu_count: i64,
        /// Windows: percent of processors.
        pub cpu_percent: i64,
        /// Windows: IO operations per second of the system drive.
        #[serde(rename = "IOMaximumIOps")]
        pub io_maximum_iops: u64,
        /// Windows: bytes per second of the system drive.
        #[serde(rename = "IOMaximumBandwidth")]
        pub io_maximum_bandwidth: u64,
    }

    /// A block device's weight.
    pub struct WeightDevice {
        /// The device's path on the host.
        pub path: String,
        /// 10 to 1000.
        pub weight: u16,
    }

    /// A block device's rate.
    pub struct ThrottleDevice {
        /// The device's path on the host.
        pub path: String,
        /// Bytes or operations per second.
        pub rate: u64,
    }

    /// A host device to be seen in the container.
    pub struct DeviceMapping {
        /// The path on the host.
        pub path_on_host: String,
        /// The path in the container.
        pub path_in_container: String,
        /// Of `r`, `w`, `m`.
        pub cgroup_permissions: String,
    }

    /// Devices asked of a driver.
    pub struct DeviceRequest {
        /// The driver's name.
        pub driver: String,
        /// How many; -1 for all.
        pub count: i64,
        /// Which.
        #[serde(rename = "DeviceIDs")]
        pub device_ids: Option<Vec<String>>,
        /// Any of these lists, of which all must be met.
        pub capabilities: Option<Vec<Vec<String>>>,
        /// Options of the driver.
        pub options: Option<BTreeMap<String, String>>,
    }

    /// A limit of `setrlimit`.
    pub struct Ulimit {
        /// `nofile`, `nproc` …
        pub name: String,
        /// The ceiling; -1 for none.
        pub hard: i64,
        /// The limit; -1 for none.
        pub soft: i64,
    }
}
