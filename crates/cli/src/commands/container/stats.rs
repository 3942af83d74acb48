//! `stats`: what containers use, once or live.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use boxship_api::container::{StatsResponse, Summary};
use boxship_api::{Filters, event};
use boxship_client::{Client, Query};
use futures_util::future::join_all;
use http::Method;

use super::path;
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::format::text::short_id;
use crate::format::{self, Listing, Row};
use crate::invocation::Invocation;
use crate::values::size;

/// `stats`.
pub const STATS: Command = Command {
    name: "stats",
    usage: "[OPTIONS] [CONTAINER...]",
    about: "Display a live stream of container(s) resource usage statistics",
    operands: Operands::AtLeast(0),
    mixed: true,
    flags: &[
        Flag::switch("all", "Show all containers (default shows just running)").short('a'),
        Flag::value("format", "string", format::HELP),
        Flag::switch("no-stream", "Show one sample and end"),
        Flag::switch("no-trunc", "Do not truncate output"),
    ],
    shared: &[],
    aliases: &["container stats", "stats"],
    action: action!(stats),
};

const LISTING: Listing = Listing {
    headings: &[
        ("Container", "CONTAINER"),
        ("Name", "NAME"),
        ("ID", "CONTAINER ID"),
        ("CPUPerc", "CPU %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("MemPerc", "MEM %"),
        ("NetIO", "NET I/O"),
        ("BlockIO", "BLOCK I/O"),
        ("PIDs", "PIDS"),
    ],
    table: "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
    kind: "*container.statsContext",
};

/// How long the first picture waits for samples.
const PATIENCE: Duration = Duration::from_secs(2);

/// The samples of containers, in the order in which they were asked for.
type Samples = Arc<Mutex<BTreeMap<usize, (String, Option<StatsResponse>)>>>;

async fn stats(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let client = invocation.client().await?;
    let named = !parsed.operands.is_empty();
    let names = if named { parsed.operands.clone() } else { running(client, parsed.on("all")).await? };
    if parsed.on("no-stream") {
        let samples = join_all(names.iter().map(|name| sample(client, name))).await;
        let mut rows = Vec::new();
        let mut errors = Vec::new();
        for (name, sample) in names.iter().zip(samples) {
            match sample {
                Ok(sample) => rows.push(row(name, Some(&sample), !parsed.on("no-trunc"))),
                Err(failure) => errors.push(failure.message()),
            }
        }
        if !errors.is_empty() {
            return Err(Failure::new(errors.join("\n")));
        }
        invocation.print(render(invocation, &rows)?)?;
        return Ok(0);
    }
    live(invocation, client, names, named).await
}

async fn running(client: &Client, all: bool) -> Result<Vec<String>> {
    let containers: Vec<Summary> = client.get("/containers/json", Query::new().flag("all", all)).await?;
    Ok(containers.into_iter().map(|container| container.id).collect())
}

async fn sample(client: &Client, name: &str) -> Result<StatsResponse> {
    Ok(client.get(&path(name, "stats"), Query::new().set("stream", 0)).await?)
}

fn render(invocation: &Invocation, rows: &[Row]) -> Result<String> {
    format::listing(&LISTING, invocation.parsed.text("format").unwrap_or_default(), rows)
}

/// Draws the samples as they come, twice a second, until interrupted or all named containers are gone.
async fn live(invocation: &Invocation, client: &Client, names: Vec<String>, named: bool) -> Result<u8> {
    let samples = Samples::default();
    let mut next = 0;
    let mut follow = |name: String| {
        lock(&samples).insert(next, (name.clone(), None));
        tokio::spawn(follow(client.another(), name, next, samples.clone()));
        next += 1;
    };
    for name in names {
        if named {
            // A name that is none ends the command at once.
            let _: serde_json::Value = client.get(&path(&name, "json"), Query::new()).await?;
        }
        follow(name);
    }
    let mut filters = Filters::default();
    filters.add("type", "container");
    filters.add("event", "start");
    let query = Query::new().set("filters", filters.to_json());
    let mut started = client.request(Method::GET, "/events", query, None::<&()>).await?.lines();
    let terminal = std::io::stdout().is_terminal();
    let begin = Instant::now();
    let mut clock = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            _ = clock.tick() => {
                // The first picture waits for everyone's first sample, but not for ever.
                let waiting = lock(&samples).values().any(|(_, sample)| sample.is_none());
                if waiting && begin.elapsed() < PATIENCE {
                    continue;
                }
                let cut = !invocation.parsed.on("no-trunc");
                let rows: Vec<Row> = lock(&samples).values().map(|(n, s)| row(n, s.as_ref(), cut)).collect();
                if named && rows.is_empty() {
                    return Ok(0);
                }
                let text = render(invocation, &rows)?;
                invocation.print(if terminal { redraw(&text) } else { text })?;
            }
            event = started.next::<event::Message>(), if !named => match event? {
                Some(event) => {
                    let known = lock(&samples).values().any(|(name, _)| *name == event.actor.id);
                    if !known {
                        follow(event.actor.id);
                    }
                }
                None => return Ok(0),
            },
            _ = tokio::signal::ctrl_c() => return Ok(0),
        }
    }
}

/// Over what was drawn before: from the corner, each line and then the rest of the screen cleared.
fn redraw(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("{line}\x1b[K\n")).collect();
    format!("\x1b[H{lines}\x1b[J")
}

fn lock(samples: &Samples) -> std::sync::MutexGuard<'_, BTreeMap<usize, (String, Option<StatsResponse>)>> {
    samples.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Keeps one container's latest sample until the container is gone.
async fn follow(client: Client, name: String, at: usize, samples: Samples) {
    let read = async {
        let query = Query::new().set("stream", 1);
        let mut lines = client.request(Method::GET, &path(&name, "stats"), query, None::<&()>).await?.lines();
        while let Some(sample) = lines.next::<StatsResponse>().await? {
            lock(&samples).insert(at, (name.clone(), Some(sample)));
        }
        Ok::<(), Failure>(())
    };
    // How the stream ended makes no difference: the row goes.
    let _ = read.await;
    lock(&samples).remove(&at);
}

fn row(name: &str, sample: Option<&StatsResponse>, cut: bool) -> Row {
    let Some(sample) = sample else {
        let id = if cut { short_id(name) } else { name.to_string() };
        let fields = LISTING.headings.iter().map(|(field, _)| {
            let text = match *field {
                "Container" => name,
                "ID" => &id,
                "MemUsage" => "-- / --",
                _ => "--",
            };
            (*field, text.into())
        });
        return Row::new(fields.collect());
    };
    let memory = memory(sample);
    let limit = sample.memory_stats.limit as f64;
    let percent = |value: f64| format!("{value:.2}%");
    let pair = |(a, b): (u64, u64)| format!("{} / {}", size::human(a as f64, 3), size::human(b as f64, 3));
    Row::new(vec![
        ("Container", name.into()),
        ("Name", sample.name.strip_prefix('/').unwrap_or("--").into()),
        ("ID", if cut { short_id(&sample.id) } else { sample.id.clone() }.into()),
        ("CPUPerc", percent(cpu(sample)).into()),
        ("MemUsage", format!("{} / {}", size::binary(memory), size::binary(limit)).into()),
        ("MemPerc", percent(if limit > 0.0 { memory / limit * 100.0 } else { 0.0 }).into()),
        ("NetIO", pair(network(sample)).into()),
        ("BlockIO", pair(blocks(sample)).into()),
        ("PIDs", sample.pids_stats.current.to_string().into()),
    ])
}

/// Share of one processor, between this sample and the one before.
fn cpu(sample: &StatsResponse) -> f64 {
    let (now, before) = (&sample.cpu_stats, &sample.precpu_stats);
    let used = now.cpu_usage.total_usage as f64 - before.cpu_usage.total_usage as f64;
    let whole = now.system_cpu_usage as f64 - before.system_cpu_usage as f64;
    let processors = match now.online_cpus {
        0 => now.cpu_usage.percpu_usage.len() as f64,
        online => f64::from(online),
    };
    if used > 0.0 && whole > 0.0 { used / whole * processors * 100.0 } else { 0.0 }
}

/// Memory without the file pages that could be given back (cgroup v1 and v2 name them differently).
fn memory(sample: &StatsResponse) -> f64 {
    let memory = &sample.memory_stats;
    let idle = memory.stats.get("total_inactive_file").filter(|idle| **idle < memory.usage);
    let idle = idle.or_else(|| memory.stats.get("inactive_file")).copied().unwrap_or(0);
    (if idle < memory.usage { memory.usage - idle } else { memory.usage }) as f64
}

fn network(sample: &StatsResponse) -> (u64, u64) {
    sample.networks.values().fold((0, 0), |(rx, tx), one| (rx + one.rx_bytes, tx + one.tx_bytes))
}

fn blocks(sample: &StatsResponse) -> (u64, u64) {
    let entries = sample.blkio_stats.io_service_bytes_recursive.iter().flatten();
    entries.fold((0, 0), |(read, written), entry| match entry.op.bytes().next() {
        Some(b'r' | b'R') => (read + entry.value, written),
        Some(b'w' | b'W') => (read, written + entry.value),
        _ => (read, written),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_rows() {
        let sample: StatsResponse = serde_json::from_str(
            r#"{"name":"/x","id":"0123456789abcdef","pids_stats":{"current":3},
                "cpu_stats":{"cpu_usage":{"total_usage":200},"system_cpu_usage":2000,"online_cpus":2},
                "precpu_stats":{"cpu_usage":{"total_usage":100},"system_cpu_usage":1000},
                "memory_stats":{"usage":3145728,"limit":10485760,"stats":{"inactive_file":1048576}},
                "networks":{"eth0":{"rx_bytes":1500,"tx_bytes":5}},
                "blkio_stats":{"io_service_bytes_recursive":[{"op":"Read","value":4096},{"op":"write","value":1}]}}"#,
        )
        .unwrap();
        let text =
            format::listing(&LISTING, "", &[row("x", Some(&sample), true)]).map_err(|f| f.message()).unwrap();
        assert_eq!(
            text,
            "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O      BLOCK I/O    PIDS\n\
             0123456789ab   x         20.00%    2MiB / 10MiB        20.00%    1.5kB / 5B   4.1kB / 1B   3\n"
        );
        let text = format::listing(&LISTING, "{{.Name}} {{.MemUsage}}", &[row("x", None, true)]);
        assert_eq!(text.map_err(|f| f.message()).unwrap(), "-- -- / --\n");
    }
}
