//! `GET /containers/{id}/stats`: one sample of a container's use of the host.

use crate::json::wire;
use std::collections::BTreeMap;

wire! {
    /// One sample.
    pub struct StatsResponse {
        /// The container's name, with a slash before.
        #[serde(rename = "name")]
        opt name: String,
        /// Its identifier.
        #[serde(rename = "id")]
        opt id: String,
        /// When the sample was taken.
        #[serde(rename = "read")]
        pub read: String,
        /// When the one before was taken.
        #[serde(rename = "preread")]
        pub preread: String,
        /// Processes.
        #[serde(rename = "pids_stats")]
        pub pids_stats: PidsStats,
        /// Block IO.
        #[serde(rename = "blkio_stats")]
        pub blkio_stats: BlkioStats,
        /// Windows: processors.
        #[serde(rename = "num_procs")]
        pub num_procs: u32,
        /// Windows: storage.
        #[serde(rename = "storage_stats")]
        pub storage_stats: StorageStats,
        /// Processor.
        #[serde(rename = "cpu_stats")]
        pub cpu_stats: CpuStats,
        /// Processor, of the sample before.
        #[serde(rename = "precpu_stats")]
        pub precpu_stats: CpuStats,
        /// Memory.
        #[serde(rename = "memory_stats")]
        pub memory_stats: MemoryStats,
        /// Network, by interface.
        #[serde(rename = "networks")]
        opt networks: BTreeMap<String, NetworkStats>,
    }

    /// Processes.
    pub struct PidsStats {
        /// How many.
        #[serde(rename = "current")]
        opt current: u64,
        /// How many at most.
        #[serde(rename = "limit")]
        opt limit: u64,
    }

    /// Block IO.
    pub struct BlkioStats {
        /// Bytes by device and operation.
        #[serde(rename = "io_service_bytes_recursive")]
        pub io_service_bytes_recursive: Option<Vec<BlkioStatEntry>>,
        /// Operations by device and operation.
        #[serde(rename = "io_serviced_recursive")]
        pub io_serviced_recursive: Option<Vec<BlkioStatEntry>>,
        /// Queued operations (cgroup v1).
        #[serde(rename = "io_queue_recursive")]
        pub io_queue_recursive: Option<Vec<BlkioStatEntry>>,
        /// Service time (cgroup v1).
        #[serde(rename = "io_service_time_recursive")]
        pub io_service_time_recursive: Option<Vec<BlkioStatEntry>>,
        /// Wait time (cgroup v1).
        #[serde(rename = "io_wait_time_recursive")]
        pub io_wait_time_recursive: Option<Vec<BlkioStatEntry>>,
        /// Merged operations (cgroup v1).
        #[serde(rename = "io_merged_recursive")]
        pub io_merged_recursive: Option<Vec<BlkioStatEntry>>,
        /// Disk time (cgroup v1).
        #[serde(rename = "io_time_recursive")]
        pub io_time_recursive: Option<Vec<BlkioStatEntry>>,
        /// Sectors (cgroup v1).
        #[serde(rename = "sectors_recursive")]
        pub sectors_recursive: Option<Vec<BlkioStatEntry>>,
    }

    /// One value of block IO.
    pub struct BlkioStatEntry {
        /// The device's major number.
        #[serde(rename = "major")]
        pub major: u64,
        /// Its minor number.
        #[serde(rename = "minor")]
        pub minor: u64,
        /// `read`, `write` …
        #[serde(rename = "op")]
        pub op: String,
        /// The value.
        #[serde(rename = "value")]
        pub value: u64,
    }

    /// Windows: storage.
    pub struct StorageStats {
        /// Reads.
        #[serde(rename = "read_count_normalized")]
        opt read_count_normalized: u64,
        /// Bytes read.
        #[serde(rename = "read_size_bytes")]
        opt read_size_bytes: u64,
        /// Writes.
        #[serde(rename = "write_count_normalized")]
        opt write_count_normalized: u64,
        /// Bytes written.
        #[serde(rename = "write_size_bytes")]
        opt write_size_bytes: u64,
    }

    /// Processor.
    pub struct CpuStats {
        /// Time used.
        #[serde(rename = "cpu_usage")]
        pub cpu_usage: CpuUsage,
        /// The host's time in nanoseconds.
        #[serde(rename = "system_cpu_usage")]
        opt system_cpu_usage: u64,
        /// The host's processors.
        #[serde(rename = "online_cpus")]
        opt online_cpus: u32,
        /// Time held back.
        #[serde(rename = "throttling_data")]
        pub throttling_data: ThrottlingData,
    }

    /// Processor time in nanoseconds.
    pub struct CpuUsage {
        /// All.
        #[serde(rename = "total_usage")]
        pub total_usage: u64,
        /// By processor (cgroup v1).
        #[serde(rename = "percpu_usage")]
        opt percpu_usage: Vec<u64>,
        /// In the kernel.
        #[serde(rename = "usage_in_kernelmode")]
        pub usage_in_kernelmode: u64,
        /// In programs.
        #[serde(rename = "usage_in_usermode")]
        pub usage_in_usermode: u64,
    }

    /// Processor time held back.
    pub struct ThrottlingData {
        /// Periods.
        #[serde(rename = "periods")]
        pub periods: u64,
        /// Periods in which the quota was used up.
        #[serde(rename = "throttled_periods")]
        pub throttled_periods: u64,
        /// Nanoseconds held back.
        #[serde(rename = "throttled_time")]
        pub throttled_time: u64,
    }

    /// Memory in bytes.
    pub struct MemoryStats {
        /// Used, with caches.
        #[serde(rename = "usage")]
        opt usage: u64,
        /// Used at most (cgroup v1).
        #[serde(rename = "max_usage")]
        opt max_usage: u64,
        /// The kernel's `memory.stat`.
        #[serde(rename = "stats")]
        opt stats: BTreeMap<String, u64>,
        /// How often the limit was hit.
        #[serde(rename = "failcnt")]
        opt failcnt: u64,
        /// The limit.
        #[serde(rename = "limit")]
        opt limit: u64,
        /// Windows: committed.
        #[serde(rename = "commitbytes")]
        opt commitbytes: u64,
        /// Windows: committed at most.
        #[serde(rename = "commitpeakbytes")]
        opt commitpeakbytes: u64,
        /// Windows: private working set.
        #[serde(rename = "privateworkingset")]
        opt privateworkingset: u64,
    }

    /// An interface's traffic.
    pub struct NetworkStats {
        /// Bytes received.
        #[serde(rename = "rx_bytes")]
        pub rx_bytes: u64,
        /// Packets received.
        #[serde(rename = "rx_packets")]
        pub rx_packets: u64,
        /// Errors receiving.
        #[serde(rename = "rx_errors")]
        pub rx_errors: u64,
        /// Packets dropped receiving.
        #[serde(rename = "rx_dropped")]
        pub rx_dropped: u64,
        /// Bytes sent.
        #[serde(rename = "tx_bytes")]
        pub tx_bytes: u64,
        /// Packets sent.
        #[serde(rename = "tx_packets")]
        pub tx_packets: u64,
        /// Errors sending.
        #[serde(rename = "tx_errors")]
        pub tx_errors: u64,
        /// Packets dropped sending.
        #[serde(rename = "tx_dropped")]
        pub tx_dropped: u64,
        /// Windows: endpoint.
        #[serde(rename = "endpoint_id")]
        opt endpoint_id: String,
        /// Windows: instance.
        #[serde(rename = "instance_id")]
        opt instance_id: String,
    }
}
