//! Processes as `ps` shows them, read from /proc: no program is called. [`Process`] is what the kernel tells;
//! [`Columns`] understands ps's own grammar of options as far as `docker top` is used with it, and refuses the rest.

use std::collections::HashMap;

use crate::{Error, Result};

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

/// A column: what it shows and its title.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    shows: &'static str,
    title: String,
}

/// The columns to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns(Vec<Column>);

/// Names of ps's formats: all that mean the same, the first of which is ours, and the title.
const FORMATS: &[(&[&str], &str)] = &[
    (&["user", "euser", "uname"], "USER"),
    (&["ruser"], "RUSER"),
    (&["group", "egroup"], "GROUP"),
    (&["uid", "euid"], "UID"),
    (&["gid", "egid"], "GID"),
    (&["pid", "tgid"], "PID"),
    (&["ppid"], "PPID"),
    (&["pgid", "pgrp"], "PGID"),
    (&["sid", "sess", "session"], "SID"),
    (&["c"], "C"),
    (&["pcpu", "%cpu"], "%CPU"),
    (&["pmem", "%mem"], "%MEM"),
    (&["vsz", "vsize"], "VSZ"),
    (&["rss", "rssize", "rsz"], "RSS"),
    (&["tty", "tt", "tname"], "TTY"),
    (&["stat"], "STAT"),
    (&["s", "state"], "S"),
    (&["stime", "start_time"], "STIME"),
    (&["start", "bsdstart"], "START"),
    (&["lstart"], "STARTED"),
    (&["time", "cputime"], "TIME"),
    (&["bsdtime"], "TIME"),
    (&["etime"], "ELAPSED"),
    (&["etimes"], "ELAPSED"),
    (&["ni", "nice"], "NI"),
    (&["pri"], "PRI"),
    (&["nlwp", "thcount"], "NLWP"),
    (&["wchan"], "WCHAN"),
    (&["comm", "ucmd", "ucomm"], "COMMAND"),
    (&["cmd", "args", "command"], "CMD"),
];

const FULL: &[(&str, &str)] = &[
    ("user", "UID"),
    ("pid", "PID"),
    ("ppid", "PPID"),
    ("c", "C"),
    ("stime", "STIME"),
    ("tty", "TTY"),
    ("time", "TIME"),
    ("cmd", "CMD"),
];
const USER: &[(&str, &str)] = &[
    ("user", "USER"),
    ("pid", "PID"),
    ("pcpu", "%CPU"),
    ("pmem", "%MEM"),
    ("vsz", "VSZ"),
    ("rss", "RSS"),
    ("tty", "TTY"),
    ("stat", "STAT"),
    ("start", "START"),
    ("bsdtime", "TIME"),
    ("cmd", "COMMAND"),
];
const BSD: &[(&str, &str)] =
    &[("pid", "PID"), ("tty", "TTY"), ("stat", "STAT"), ("bsdtime", "TIME"), ("cmd", "COMMAND")];
const SHORT: &[(&str, &str)] = &[("pid", "PID"), ("tty", "TTY"), ("time", "TIME"), ("comm", "CMD")];
const LONG: &[(&str, &str)] = &[
    ("s", "S"),
    ("uid", "UID"),
    ("pid", "PID"),
    ("ppid", "PPID"),
    ("c", "C"),
    ("pri", "PRI"),
    ("ni", "NI"),
    ("vsz", "SZ"),
    ("wchan", "WCHAN"),
    ("tty", "TTY"),
    ("time", "TIME"),
    ("comm", "CMD"),
];

impl Columns {
    /// Understands ps's arguments: `-ef`, `aux`, `-o pid,comm`, `-eo pid,args=ARGS`, `axo …`.
    pub(super) fn parse(arguments: &str) -> Result<Self> {
        let mut words = arguments.split_whitespace();
        let mut chosen: Vec<Column> = Vec::new();
        let mut preset = SHORT;
        while let Some(word) = words.next() {
            let (dashed, letters) = match word.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, word),
            };
            if let Some(list) = letters.strip_prefix("-format=").filter(|_| dashed) {
                add_formats(list, &mut chosen)?;
                continue;
            }
            if !dashed && preset == SHORT {
                preset = BSD;
            }
            for (at, letter) in letters.char_indices() {
                match (dashed, letter) {
                    (_, 'o' | 'O') => {
                        let rest = &letters[at + 1..];
                        let list = if rest.is_empty() { words.next().unwrap_or_default() } else { rest };
                        add_formats(list, &mut chosen)?;
                        break;
                    }
                    (true, 'f' | 'F') => preset = FULL,
                    (_, 'l') => preset = LONG,
                    (_, 'u') => preset = USER,
                    (_, 'a' | 'e' | 'x' | 'w' | 'A' | 'd') | (false, 'f') => {}
                    _ => {
                        return Err(Error::internal(format!(
                            "ps: unsupported option (top reads -e, -f, -l, a, u, x, w, -o): {word}"
                        )));
                    }
                }
            }
        }
        if chosen.is_empty() {
            let column = |(shows, title): &(&'static str, &str)| Column { shows, title: (*title).to_owned() };
            chosen = preset.iter().map(column).collect();
        }
        if !chosen.iter().any(|column| column.title == "PID") {
            return Err(Error::internal("Couldn't find PID field in ps output"));
        }
        Ok(Self(chosen))
    }

    /// Their titles.
    pub(super) fn titles(&self) -> Vec<String> {
        self.0.iter().map(|column| column.title.clone()).collect()
    }

    /// A process in them.
    pub(super) fn row(&self, process: &Process, machine: &Machine) -> Vec<String> {
        self.0.iter().map(|column| cell(column.shows, process, machine)).collect()
    }
}

/// Formats of `-o`: a comma between, `=` before an own title (which then takes the rest).
fn add_formats(list: &str, chosen: &mut Vec<Column>) -> Result<()> {
    for word in list.split(',').filter(|word| !word.is_empty()) {
        let (name, title) = match word.split_once('=') {
            Some((name, title)) => (name, Some(title)),
            None => (word, None),
        };
        let known = FORMATS.iter().find(|(names, _)| names.contains(&name));
        let (names, usual) = known.ok_or_else(|| {
            Error::internal(format!("ps: error: unknown user-defined format specifier \"{name}\""))
        })?;
        // args and command keep their own title.
        let usual = match name {
            "args" | "command" => "COMMAND",
            "tt" => "TT",
            _ => usual,
        };
        chosen.push(Column { shows: names[0], title: title.unwrap_or(usual).to_owned() });
    }
    Ok(())
}

fn cell(shows: &str, process: &Process, machine: &Machine) -> String {
    let permille = |value: u64| format!("{}.{}", value / 10, value % 10);
    match shows {
        "user" | "ruser" => named(&machine.users, process.uid),
        "group" => named(&machine.groups, process.gid),
        "uid" => process.uid.to_string(),
        "gid" => process.gid.to_string(),
        "pid" => process.pid.to_string(),
        "ppid" => process.ppid.to_string(),
        "pgid" => process.pgid.to_string(),
        "sid" => process.session.to_string(),
        "c" => (process.cpu_permille(machine) / 10).min(99).to_string(),
        "pcpu" => permille(process.cpu_permille(machine)),
        "pmem" => permille(process.resident_kilobytes * 1024 * 1000 / machine.memory.max(1)),
        "vsz" => (process.virtual_bytes / 1024).to_string(),
        "rss" => process.resident_kilobytes.to_string(),
        "tty" => terminal(process.tty),
        "stat" => process.state_words(),
        "s" => process.state.to_string(),
        "stime" | "start" => start(process, machine, "%H:%M"),
        "lstart" => start(process, machine, "%a %b %e %H:%M:%S %Y"),
        "time" => clock(process.cpu_seconds(), true),
        "bsdtime" => format!("{}:{:02}", process.cpu_seconds() / 60, process.cpu_seconds() % 60),
        "etime" => elapsed(process.age(machine)),
        "etimes" => process.age(machine).to_string(),
        "ni" => process.nice.to_string(),
        "pri" => (39 - process.priority).to_string(),
        "nlwp" => process.threads.to_string(),
        "wchan" if process.wchan.is_empty() || process.wchan == "0" => "-".to_owned(),
        "wchan" => process.wchan.clone(),
        "comm" => process.command.clone(),
        _ => process.arguments.clone(),
    }
}

fn named(names: &HashMap<u32, String>, number: u32) -> String {
    names.get(&number).cloned().unwrap_or_else(|| number.to_string())
}

/// Today the time, else the day.
fn start(process: &Process, machine: &Machine, form: &str) -> String {
    let began = (machine.boot + process.start_ticks / HZ) as i64;
    let local = |seconds: i64| {
        jiff::Timestamp::from_second(seconds + machine.offset).map(|t| t.to_zoned(jiff::tz::TimeZone::UTC))
    };
    let (Ok(began), Ok(now)) = (local(began), local(machine.now as i64)) else { return "-".to_owned() };
    let form = match began.date() == now.date() || form.len() > 5 {
        true => form,
        false if began.year() == now.year() => "%b%d",
        false => "%Y",
    };
    began.strftime(form).to_string()
}

fn clock(seconds: u64, hours: bool) -> String {
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours { format!("{h:02}:{m:02}:{s:02}") } else { format!("{m:02}:{s:02}") }
}

fn elapsed(seconds: u64) -> String {
    match seconds / 86_400 {
        0 => clock(seconds, seconds >= 3600),
        days => format!("{days}-{}", clock(seconds % 86_400, true)),
    }
}

/// The terminal by its device number: pts, ttys of consoles and serial lines.
fn terminal(device: i32) -> String {
    let device = device as u32;
    let (major, minor) = (device >> 8 & 0xfff, (device & 0xff) | (device >> 12 & 0xfff00));
    match (major, minor) {
        (0, _) => "?".to_owned(),
        (136..=143, _) => format!("pts/{}", (major - 136) * 256 + minor),
        (4, 0..=63) => format!("tty{minor}"),
        (4, _) => format!("ttyS{}", minor - 64),
        (5, 1) => "console".to_owned(),
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a (b) c) S 1 42 42 34816 42 4194560 100 0 0 0 150 50 0 0 20 0 3 0 1000 \
                        10485760 512 184467440737095 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0";

    fn machine() -> Machine {
        Machine {
            boot: 1_700_000_000,
            now: 1_700_000_110,
            offset: 0,
            memory: 1 << 30,
            users: names("root:x:0:0::/:\nother:x:0:0::/:\n"),
            groups: HashMap::new(),
        }
    }

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
    fn columns_of_common_arguments() {
        for (arguments, titles) in [
            ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
            ("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
            ("ax", "PID TTY STAT TIME COMMAND"),
            ("-o pid,comm", "PID COMMAND"),
            ("-eo pid,args=ARGS", "PID ARGS"),
            ("axo pid,user", "PID USER"),
            ("-e", "PID TTY TIME CMD"),
        ] {
            assert_eq!(Columns::parse(arguments).unwrap().titles().join(" "), titles, "{arguments}");
        }
        for bad in ["-o bogus", "-Z", "-o comm"] {
            assert!(Columns::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rows() {
        let row = |arguments: &str| Columns::parse(arguments).unwrap().row(&process(), &machine()).join("|");
        assert_eq!(row("-ef"), "root|42|1|2|22:13|pts/0|00:00:02|sleep 100");
        assert_eq!(row("aux"), "root|42|2.0|0.1|10240|2048|pts/0|Ssl+|22:13|0:02|sleep 100");
        assert_eq!(row("-o pid,etime,ni,nlwp,pri"), "42|01:40|0|3|19");
    }

    #[test]
    fn our_own_process_is_found() {
        let own = Process::read(std::process::id() as i32).unwrap();
        assert!(!own.arguments.is_empty());
        assert!(Process::read(i32::MAX).is_none());
    }

    #[test]
    fn times() {
        assert_eq!(elapsed(59), "00:59");
        assert_eq!(elapsed(3_661), "01:01:01");
        assert_eq!(elapsed(90_061), "1-01:01:01");
        assert_eq!(terminal(0x8801), "pts/1");
        assert_eq!(terminal(0), "?");
    }
}
