//! Processes as `ps` shows them, read from /proc: no program is called. [`Process`] is what the kernel tells,
//! [`Columns`] what of it is shown.

mod columns;

use std::collections::HashMap;

pub(super) use columns::Columns;

/// The kernel's clock ticks per second in /proc (USER_HZ, fixed by its interface).
const HZ: u64 = 100;

/// One process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    pid: i32,
    ppid: i32,
    pgid: i32,
    session: i32,
    tty: i32,
    state: char,
    nice: i64,
    priority: i64,
    threads: u64,
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_kilobytes: u64,
    foreground: bool,
    locked: bool,
    flags: u64,
    processor: i64,
    uid: u32,
    gid: u32,
    command: String,
    arguments: String,
    wchan: String,
}

/// What the columns need to know of the machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    /// When it was started, Unix seconds.
    boot: u64,
    /// Now, Unix seconds.
    now: u64,
    /// Seconds east of UTC.
    offset: i64,
    memory: u64,
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Process {
    /// Reads a process; `None` when it is gone.
    pub(super) fn read(pid: i32) -> Option<Self> {
        let file = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
        let mut process = Self::parse_stat(&file("stat").ok()?)?;
        process.pid = pid;
        let status = file("status").ok()?;
        // The second number is the effective one, which ps shows.
        let id = |key: &str| -> Option<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        process.uid = id("Uid:")?;
        process.gid = id("Gid:")?;
        let kilobytes = |key: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        // Kernel threads and zombies have no memory.
        process.resident_kilobytes = kilobytes("VmRSS:").unwrap_or_default();
        process.locked = kilobytes("VmLck:").is_some_and(|locked| locked > 0);
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        process.arguments = match printable(&arguments) {
            // Kernel threads and zombies have none.
            empty if empty.is_empty() && process.state == 'Z' => format!("[{}] <defunct>", process.command),
            empty if empty.is_empty() => format!("[{}]", process.command),
            arguments => arguments,
        };
        process.wchan = file("wchan").unwrap_or_default();
        Some(process)
    }

    /// The fields of /proc/PID/stat (proc(5)); the name may hold anything, up to the last parenthesis.
    fn parse_stat(text: &str) -> Option<Self> {
        let (before, rest) = (text.find('(')?, text.rfind(')')?);
        let fields: Vec<&str> = text.get(rest + 1..)?.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
        Some(Self {
            command: printable(text.get(before + 1..rest)?.as_bytes()),
            state: fields.first()?.chars().next()?,
            ppid: number(4)? as i32,
            pgid: number(5)? as i32,
            session: number(6)? as i32,
            tty: number(7)? as i32,
            foreground: number(8)? == number(5)?,
            flags: number(9)? as u64,
            processor: number(39).unwrap_or_default(),
            cpu_ticks: (number(14)? + number(15)?) as u64,
            priority: number(18)?,
            nice: number(19)?,
            threads: number(20)? as u64,
            start_ticks: number(22)? as u64,
            virtual_bytes: number(23)? as u64,
            ..Self::default()
        })
    }

    fn cpu_seconds(&self) -> u64 {
        self.cpu_ticks / HZ
    }

    /// Seconds it is there.
    fn age(&self, machine: &Machine) -> u64 {
        machine.now.saturating_sub(machine.boot + self.start_ticks / HZ)
    }

    /// Processor use over its life, in tenths of a per cent.
    fn cpu_permille(&self, machine: &Machine) -> u64 {
        match self.age(machine) {
            0 => 0,
            age => self.cpu_ticks * 1000 / HZ / age,
        }
    }

    fn state_words(&self) -> String {
        let mut text = String::from(self.state);
        let flags = [
            (self.nice < 0, '<'),
            (self.nice > 0, 'N'),
            (self.locked, 'L'),
            (self.session == self.pid, 's'),
            (self.threads > 1, 'l'),
            (self.foreground && self.tty != 0, '+'),
        ];
        text.extend(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag));
        text
    }
}

impl Machine {
    /// Looks at the host.
    pub(super) fn read() -> Self {
        let file = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
        let stat = file("/proc/stat");
        let boot =
            stat.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|text| text.parse().ok());
        let now = jiff::Zoned::now();
        let meminfo = file("/proc/meminfo");
        let kilobytes = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kilobytes = kilobytes.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Self {
            boot: boot.unwrap_or_default(),
            now: now.timestamp().as_second() as u64,
            offset: now.offset().seconds().into(),
            memory: kilobytes.unwrap_or_default() * 1024,
            users: names(&file("/etc/passwd")),
            groups: names(&file("/etc/group")),
        }
    }
}

/// Names by number of a passwd or group file.
fn names(text: &str) -> HashMap<u32, String> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        Some((number.parse().ok()?, name.to_owned()))
    };
    // The first name of a number counts.
    text.lines().rev().filter_map(entry).collect()
}

/// Bytes of a process as one line: words parted by spaces, nothing that moves a cursor.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\0');
    text.chars()
        .map(|c| {
            if c == '\0' {
                ' '
            } else if c.is_control() {
                '?'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a (b) c) S 1 42 42 34816 42 4194560 100 0 0 0 150 50 0 0 20 0 3 0 1000 \
                        10485760 512 184467440737095 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0";

    fn process() -> Process {
        let arguments = "sleep 100".to_owned();
        Process { pid: 42, arguments, resident_kilobytes: 2048, ..Process::parse_stat(STAT).unwrap() }
    }

    #[test]
    fn a_hostile_name_is_read() {
        assert_eq!(process().command, "a (b) c");
        assert_eq!(process().state_words(), "Ssl+");
        assert!(Process::parse_stat("nonsense").is_none());
        assert_eq!(printable(b"a\0b\x1b[2J\0"), "a b?[2J");
    }

    #[test]
    fn our_own_process_is_found() {
        let own = Process::read(std::process::id() as i32).unwrap();
        assert!(!own.arguments.is_empty());
        assert!(Process::read(i32::MAX).is_none());
    }
}
