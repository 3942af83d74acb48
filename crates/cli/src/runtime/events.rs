//! `events`: a container's statistics at an interval and its out-of-memory events, one JSON document on each line.

use std::time::{Duration, Instant};

use boxship_oci::go;
use boxship_oci::runtime::Status;
use boxship_runtime::Container;
use boxship_runtime::cgroup::{Cgroup, OomEvents, Stats};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use super::arguments::{Arguments, Flag, switch, value};
use super::failure::{Failure, Result};
use super::{Context, print};

pub(super) const FLAGS: &[Flag] = &[
    value("interval", None, "time between statistics, such as 500ms (default: 5s)"),
    switch("stats", None, "print the statistics once"),
];

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<u8> {
    let container = context.container(arguments)?;
    let interval = duration(arguments.text("interval").unwrap_or("5s"))?;
    if container.status()? == Status::Stopped {
        return Err(Failure::new(format!("container with id {} is not running", container.id())));
    }
    let cgroup = container.cgroup();
    if arguments.has("stats") {
        return print_stats(&container, &cgroup);
    }
    follow(&container, &cgroup, interval)
}

fn follow(container: &Container, cgroup: &Cgroup, interval: Duration) -> Result<u8> {
    let oom = cgroup.oom_event_fd()?;
    let init = boxship_sys::process::open(container.record().pid)?;
    let mut kills = cgroup.oom_kill_count()?;
    let mut due = Instant::now() + interval;
    loop {
        let left = due.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::new(&oom, PollFlags::IN), PollFd::new(&init, PollFlags::IN)];
        match poll(&mut polled, Some(&Timespec::try_from(left)?)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [event, end] = polled.map(|it| !it.revents().is_empty());
        if event {
            kills = tell_kills(container, cgroup, &oom, kills)?;
        }
        if end {
            // The killer's count may have grown with the first process's death.
            tell_kills(container, cgroup, &oom, kills)?;
            return Ok(0);
        }
        if Instant::now() >= due {
            print_stats(container, cgroup)?;
            due += interval;
        }
    }
}

/// One event for each process that the kernel has killed since the count was `known`.
fn tell_kills(container: &Container, cgroup: &Cgroup, oom: &OomEvents, known: u64) -> Result<u64> {
    oom.drain()?;
    // The cgroup may have gone with the container.
    let Ok(count) = cgroup.oom_kill_count() else { return Ok(known) };
    for _ in known..count {
        print(&format!("{}\n", json!({"type": "oom", "id": container.id()})))?;
    }
    Ok(count)
}

fn print_stats(container: &Container, cgroup: &Cgroup) -> Result<u8> {
    let data = document(&cgroup.stats()?)?;
    print(&format!("{}\n", json!({"type": "stats", "id": container.id(), "data": data})))
}

/// With the parts that runc prints even when empty, and without those that are ours.
fn document(stats: &Stats) -> Result<Value> {
    let mut data = serde_json::to_value(stats)?;
    if let Some(object) = data.as_object_mut() {
        object.remove("oomKills");
        object.remove("rdma");
        object.insert("intel_rdt".to_owned(), json!({}));
        object.insert("network_interfaces".to_owned(), Value::Null);
    }
    Ok(data)
}

/// Go's form: `1m30s`, `500ms`, `2.5s`.
fn duration(text: &str) -> Result<Duration> {
    let nanos = go::duration(text)
        .map_err(|_| Failure::new(format!("invalid value for interval: invalid duration {text:?}")))?;
    match u64::try_from(nanos) {
        Ok(nanos) if nanos > 0 => Ok(Duration::from_nanos(nanos)),
        _ => Err(Failure::new("duration interval must be greater than 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("5s", Some(5000)),
            ("500ms", Some(500)),
            ("1m30s", Some(90_000)),
            ("2.5s", Some(2500)),
            ("0s", None),
            ("", None),
            ("5", None),
            ("5y", None),
            ("-5s", None),
        ] {
            assert_eq!(duration(text).ok().map(|found| found.as_millis()), expected, "{text}");
        }
    }
}
