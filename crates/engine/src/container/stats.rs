//! Stats: what a container uses. One sample is asked of the shim, the host's processor time read beside it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use boxship_api as api;
use boxship_api::container::{
    BlkioStatEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, StatsResponse,
    ThrottlingData,
};
use boxship_runtime::cgroup::{BlkioEntry, Stats};
use boxship_shim::protocol::{Request as Ask, Response};
use futures_util::{Stream, stream};
use tokio::time::Instant;

use super::handle::Container;
use super::state;
use crate::{Engine, Error, Result};

const INTERVAL: Duration = Duration::from_secs(1);

/// How to tell (`GET /containers/{id}/stats`).
#[derive(Clone, Copy, Debug)]
pub struct StatsOptions {
    /// One record a second until the container is removed.
    pub stream: bool,
    /// With `stream: false`: one record at once, without the one before it.
    pub one_shot: bool,
}

type Samples = Pin<Box<dyn Stream<Item = Result<StatsResponse>> + Send>>;

impl Engine {
    /// `GET /containers/{id}/stats`: one item when not streaming.
    pub async fn container_stats(&self, reference: &str, options: StatsOptions) -> Result<Samples> {
        let container = self.inner.registry.find(reference)?;
        let alive = container.state().is_alive();
        let sampler = Sampler { engine: self.clone(), container, before: None };
        if options.stream {
            return Ok(Box::pin(sampler.every_second()));
        }
        if !alive || options.one_shot {
            let sample = sampler.take().await;
            return Ok(Box::pin(stream::iter([Ok(sample)])));
        }
        let first = sampler.take().await;
        tokio::time::sleep(INTERVAL).await;
        let second = sampler.take().await;
        Ok(Box::pin(stream::iter([Ok(after(&first, second))])))
    }
}

/// Takes samples of one container.
struct Sampler {
    engine: Engine,
    container: Arc<Container>,
    before: Option<(StatsResponse, Instant)>,
}

impl Sampler {
    /// A sample a second, until the container is gone.
    fn every_second(self) -> impl Stream<Item = Result<StatsResponse>> + Send {
        stream::unfold(self, |mut sampler| async move {
            if let Some((_, at)) = &sampler.before {
                tokio::time::sleep_until(*at + INTERVAL).await;
            }
            if sampler.container.state().removed {
                return None;
            }
            let at = Instant::now();
            let sample = sampler.take().await;
            let told = match &sampler.before {
                Some((before, _)) => after(before, sample.clone()),
                None => sample.clone(),
            };
            sampler.before = Some((sample, at));
            Some((Ok(told), sampler))
        })
    }

    /// One sample; without a running container only who it is.
    async fn take(&self) -> StatsResponse {
        match self.try_take().await {
            Ok(sample) => sample,
            Err(_) => self.nobody(),
        }
    }

    fn nobody(&self) -> StatsResponse {
        let name = format!("/{}", self.container.configuration().name);
        let zero = api::timestamp::ZERO;
        StatsResponse {
            id: self.container.id.clone(),
            name,
            read: zero.into(),
            preread: zero.into(),
            ..StatsResponse::default()
        }
    }

    async fn try_take(&self) -> Result<StatsResponse> {
        if !self.container.state().is_alive() {
            return Err(Error::not_running(&self.container.id));
        }
        let answer = self.container.shim.ask(&Ask::Stats).await.map_err(crate::shim_link::into_error)?;
        let Response::Stats(stats) = answer else {
            return Err(Error::internal("the shim does not tell what the container uses"));
        };
        let mut sample = convert(&stats, self.engine.inner.host.cgroup_v2, self.engine.inner.host.memory);
        let nobody = self.nobody();
        (sample.id, sample.name, sample.preread) = (nobody.id, nobody.name, nobody.preread);
        sample.read = state::time(state::now());
        let (system, online) = host_cpu();
        (sample.cpu_stats.system_cpu_usage, sample.cpu_stats.online_cpus) = (system, online);
        let mode = self.container.configuration().host_config.network_mode.clone();
        if !mode.is_host() && mode.container().is_none() {
            sample.networks = interfaces(self.container.state().pid);
        }
        Ok(sample)
    }
}

/// A sample that tells of the one before it.
fn after(before: &StatsResponse, mut sample: StatsResponse) -> StatsResponse {
    sample.preread = before.read.clone();
    sample.precpu_stats = before.cpu_stats.clone();
    sample
}

/// The kernel's numbers in Docker's words.
fn convert(stats: &Stats, cgroup_v2: bool, host_memory: u64) -> StatsResponse {
    let memory = &stats.memory;
    // No limit is told as the host's memory.
    let limit = match memory.usage.limit {
        0 => host_memory,
        limit => limit.min(host_memory.max(1)),
    };
    let pids_limit = match stats.pids.limit {
        0 => u64::MAX,
        limit => limit,
    };
    StatsResponse {
        pids_stats: PidsStats { current: stats.pids.current, limit: pids_limit },
        blkio_stats: blkio(stats, cgroup_v2),
        cpu_stats: CpuStats {
            cpu_usage: CpuUsage {
                total_usage: stats.cpu.usage.total,
                percpu_usage: stats.cpu.usage.percpu.clone(),
                usage_in_kernelmode: stats.cpu.usage.kernel,
                usage_in_usermode: stats.cpu.usage.user,
            },
            throttling_data: ThrottlingData {
                periods: stats.cpu.throttling.periods,
                throttled_periods: stats.cpu.throttling.throttled_periods,
                throttled_time: stats.cpu.throttling.throttled_time,
            },
            ..CpuStats::default()
        },
        memory_stats: MemoryStats {
            usage: memory.usage.usage,
            max_usage: if cgroup_v2 { 0 } else { memory.usage.max },
            stats: memory.raw.clone(),
            failcnt: memory.usage.failcnt,
            limit,
            ..MemoryStats::default()
        },
        ..StatsResponse::default()
    }
}

fn blkio(stats: &Stats, cgroup_v2: bool) -> BlkioStats {
    let blkio = &stats.blkio;
    // Of v2 only two lists exist, the others are null; v1 has them all, perhaps empty.
    let list = |entries: &[BlkioEntry]| -> Option<Vec<BlkioStatEntry>> {
        let entries: Vec<_> = entries.iter().map(|entry| entry_of(entry, cgroup_v2)).collect();
        (!cgroup_v2 || !entries.is_empty()).then_some(entries)
    };
    BlkioStats {
        io_service_bytes_recursive: list(&blkio.io_service_bytes_recursive),
        io_serviced_recursive: list(&blkio.io_serviced_recursive),
        io_queue_recursive: list(&blkio.io_queued_recursive),
        io_service_time_recursive: list(&blkio.io_service_time_recursive),
        io_wait_time_recursive: list(&blkio.io_wait_time_recursive),
        io_merged_recursive: list(&blkio.io_merged_recursive),
        io_time_recursive: list(&blkio.io_time_recursive),
        sectors_recursive: list(&blkio.sectors_recursive),
    }
}

fn entry_of(entry: &BlkioEntry, cgroup_v2: bool) -> BlkioStatEntry {
    let op = if cgroup_v2 { entry.op.to_lowercase() } else { entry.op.clone() };
    BlkioStatEntry { major: entry.major, minor: entry.minor, op, value: entry.value }
}

/// The host's processor time in nanoseconds (all columns of /proc/stat up to steal), and its processors.
fn host_cpu() -> (u64, u32) {
    parse_host_cpu(&std::fs::read_to_string("/proc/stat").unwrap_or_default())
}

fn parse_host_cpu(text: &str) -> (u64, u32) {
    const NANOS_PER_TICK: u64 = 10_000_000;
    let total = text.lines().find_map(|line| line.strip_prefix("cpu ")).map_or(0, |line| {
        line.split_whitespace().take(8).filter_map(|field| field.parse::<u64>().ok()).sum()
    });
    let online = text
        .lines()
        .filter(|line| {
            line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
        .count();
    (total * NANOS_PER_TICK, online as u32)
}

/// The container's interfaces, but for loopback.
fn interfaces(pid: u32) -> std::collections::BTreeMap<String, NetworkStats> {
    parse_interfaces(&std::fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default())
}

fn parse_interfaces(text: &str) -> std::collections::BTreeMap<String, NetworkStats> {
    let entry = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let number = |at: usize| numbers.get(at).copied().unwrap_or_default();
        let stats = NetworkStats {
            rx_bytes: number(0),
            rx_packets: number(1),
            rx_errors: number(2),
            rx_dropped: number(3),
            tx_bytes: number(8),
            tx_packets: number(9),
            tx_errors: number(10),
            tx_dropped: number(11),
            ..NetworkStats::default()
        };
        (name.trim() != "lo").then(|| (name.trim().to_owned(), stats))
    };
    text.lines().skip(2).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_processors() {
        let text = "cpu  10 0 20 30 0 0 0 5 99 99\ncpu0 1 1\ncpu1 1 1\nintr 5\n";
        assert_eq!(parse_host_cpu(text), (65 * 10_000_000, 2));
        assert!(host_cpu().0 > 0);
    }

    #[test]
    fn interfaces_without_loopback() {
        let text = "Inter-| Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  \
                    eth0: 5 6 7 8 0 0 0 0 9 10 11 12 0 0 0 0\n";
        let found = parse_interfaces(text);
        assert_eq!(found.len(), 1);
        assert_eq!((found["eth0"].rx_bytes, found["eth0"].tx_dropped), (5, 12));
    }

    #[test]
    fn no_limit_is_the_hosts_memory() {
        let mut stats = Stats::default();
        stats.memory.usage.limit = u64::MAX;
        let sample = convert(&stats, true, 1 << 30);
        assert_eq!(sample.memory_stats.limit, 1 << 30);
        assert_eq!(sample.blkio_stats.io_queue_recursive, None);
        assert_eq!(convert(&stats, false, 1).blkio_stats.io_queue_recursive, Some(vec![]));
        assert_eq!(sample.pids_stats.limit, u64::MAX);
    }
}
