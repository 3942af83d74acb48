//! `ps`: the processes of a container, read from `/proc`. No program is called, so only the two usual layouts exist.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::arguments::{Arguments, Flag, value};
use super::failure::{Failure, Result};
use super::{Context, print};

pub(super) const FLAGS: &[Flag] =
    &[value("format", Some('f'), "table (default) or json: process numbers only")];

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<u8> {
    let pids = context.container(arguments)?.pids()?;
    match arguments.value("format").unwrap_or("table") {
        "json" => return print(&format!("{}\n", serde_json::to_string(&pids)?)),
        "table" => {}
        _ => return Err(Failure::new("invalid format option")),
    }
    let options = arguments.rest.get(1..).unwrap_or_default().join(" ");
    if !matches!(options.as_str(), "" | "-ef" | "-e -f" | "-f -e") {
        return Err(Failure::new(format!(
            "ps option {options:?} is not supported: only -ef; for others give the numbers of --format json to ps -p"
        )));
    }
    let host = Host::read()?;
    let mut text = String::from("UID          PID    PPID  C STIME TTY          TIME CMD\n");
    for pid in pids {
        // One that has ended since the list was made is left out.
        if let Some(process) = Process::read(pid) {
            text.push_str(&host.line(&process));
        }
    }
    print(&text)
}

/// What a line needs of the machine.
struct Host {
    users: HashMap<u32, String>,
    boot: i64,
    now: Timestamp,
    zone: TimeZone,
}

/// USER_HZ on every architecture that we build for.
const TICKS: u64 = 100;

impl Host {
    fn read() -> Result<Self> {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let users = passwd.lines().filter_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            Some((fields.get(2)?.parse().ok()?, (*fields.first()?).to_owned()))
        });
        let stat = std::fs::read_to_string("/proc/stat")?;
        let boot = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
        Ok(Self {
            users: users.collect(),
            boot: boot.unwrap_or(0),
            now: Timestamp::now(),
            zone: TimeZone::system(),
        })
    }

    fn line(&self, process: &Process) -> String {
        let user = self.users.get(&process.uid).cloned().unwrap_or_else(|| process.uid.to_string());
        let used = process.ticks / TICKS;
        let begin = self.boot.saturating_add_unsigned(process.start / TICKS);
        let lived = self.now.as_second().saturating_sub(begin).max(1).unsigned_abs();
        let share = (used * 100 / lived).min(99);
        format!(
            "{:<8} {:>7} {:>7} {:>2} {:<5} {:<8} {:02}:{:02}:{:02} {}\n",
            short(&user),
            process.pid,
            process.parent,
            share,
            self.started(begin),
            terminal(process.terminal),
            used / 3600,
            used / 60 % 60,
            used % 60,
            process.command
        )
    }

    /// The time of the last day, else the date.
    fn started(&self, begin: i64) -> String {
        let Ok(begin) = Timestamp::from_second(begin) else { return "?".to_owned() };
        let recent = self.now.checked_sub(24.hours()).is_ok_and(|limit| begin > limit);
        let local = begin.to_zoned(self.zone.clone());
        local.strftime(if recent { "%H:%M" } else { "%b%d" }).to_string()
    }
}

/// ps cuts long names and marks that.
fn short(user: &str) -> String {
    if user.chars().count() <= 8 { user.to_owned() } else { user.chars().take(7).chain(['+']).collect() }
}

/// `/proc/PID/stat` tells the device number; pseudo terminals have majors from 136 on.
fn terminal(device: u64) -> String {
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    match major {
        0 => "?".to_owned(),
        4 => format!("tty{minor}"),
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        _ => "?".to_owned(),
    }
}

struct Process {
    pid: i32,
    parent: i32,
    uid: u32,
    terminal: u64,
    ticks: u64,
    start: u64,
    command: String,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
        let status = read("status")?;
        let uid = status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse().ok());
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        Self::parse(pid, uid?, &read("stat")?, &arguments)
    }

    /// proc_pid_stat(5): the name in parentheses may hold anything, so fields are counted from the last one.
    fn parse(pid: i32, uid: u32, stat: &str, arguments: &[u8]) -> Option<Self> {
        let (head, tail) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1;
        let fields: Vec<_> = tail.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let text = String::from_utf8_lossy(arguments).trim_end_matches('\0').replace('\0', " ");
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            uid,
            terminal: number(4)?,
            ticks: number(11)? + number(12)?,
            start: number(19)?,
            // Escapes of the container's must not reach our terminal.
            command: if text.is_empty() { format!("[{name}]") } else { text }
                .replace(|c: char| c.is_control(), "?"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses() {
        let stat = "7 (a) b) S 3 7 7 34817 7 0 0 0 0 0 150 50 0 0 20 0 1 0 1000 0 0";
        let process = Process::parse(7, 0, stat, b"").unwrap();
        assert_eq!((process.parent, process.ticks, process.start), (3, 200, 1000));
        assert_eq!(process.command, "[a) b]");
        assert_eq!(terminal(process.terminal), "pts/1");
        let process = Process::parse(7, 0, stat, b"sh\0-c\0\x1b[2J\0").unwrap();
        assert_eq!(process.command, "sh -c ?[2J");
    }

    #[test]
    fn layout() {
        let host = Host {
            users: HashMap::from([(0, "root".to_owned())]),
            boot: 0,
            now: Timestamp::from_second(100_000).unwrap(),
            zone: TimeZone::UTC,
        };
        let stat = "7 (sh) S 3 7 7 0 7 0 0 0 0 0 150 50 0 0 20 0 1 0 9900000 0 0";
        let process = Process::parse(7, 0, stat, b"sh\0").unwrap();
        assert_eq!(host.line(&process), "root           7       3  0 03:30 ?        00:00:02 sh\n");
    }
}
