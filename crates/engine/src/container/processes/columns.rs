//! What of a process is shown: ps's own grammar of options as far as `docker top` is used with it, and its columns.
//! The rest of the grammar is refused.

use std::collections::HashMap;

use super::{HZ, Machine, Process};
use crate::{Error, Result};

/// What ps counts sizes (`sz`) in.
const PAGE: u64 = 4096;

/// A column: what it shows and its title.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    shows: &'static str,
    title: String,
}

/// The columns to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::container) struct Columns(Vec<Column>);

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
    (&["f", "flag", "flags"], "F"),
    (&["psr"], "PSR"),
    (&["sz"], "SZ"),
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
    ("f", "F"),
    ("s", "S"),
    ("uid", "UID"),
    ("pid", "PID"),
    ("ppid", "PPID"),
    ("c", "C"),
    ("opri", "PRI"),
    ("ni", "NI"),
    ("addr", "ADDR"),
    ("sz", "SZ"),
    ("wchan", "WCHAN"),
    ("tty", "TTY"),
    ("time", "TIME"),
    ("comm", "CMD"),
];
const LONG_FULL: &[(&str, &str)] = &[
    ("f", "F"),
    ("s", "S"),
    ("user", "UID"),
    ("pid", "PID"),
    ("ppid", "PPID"),
    ("c", "C"),
    ("opri", "PRI"),
    ("ni", "NI"),
    ("addr", "ADDR"),
    ("sz", "SZ"),
    ("wchan", "WCHAN"),
    ("stime", "STIME"),
    ("tty", "TTY"),
    ("time", "TIME"),
    ("cmd", "CMD"),
];
const EXTRA: &[(&str, &str)] = &[
    ("user", "UID"),
    ("pid", "PID"),
    ("ppid", "PPID"),
    ("c", "C"),
    ("sz", "SZ"),
    ("rss", "RSS"),
    ("psr", "PSR"),
    ("stime", "STIME"),
    ("tty", "TTY"),
    ("time", "TIME"),
    ("cmd", "CMD"),
];
const JOBS: &[(&str, &str)] =
    &[("pid", "PID"), ("pgid", "PGID"), ("sid", "SID"), ("tty", "TTY"), ("time", "TIME"), ("comm", "CMD")];

/// What ps's letters ask for; of several the first of [`Asked::preset`] counts.
#[derive(Default)]
struct Asked {
    user: bool,
    long: bool,
    full: bool,
    extra: bool,
    jobs: bool,
    bsd: bool,
}

impl Asked {
    /// Notes a letter; whether ps has it and we read it.
    fn letter(&mut self, dashed: bool, letter: char) -> bool {
        match (dashed, letter) {
            (true, 'f') => self.full = true,
            (true, 'F') => self.extra = true,
            (true, 'j') => self.jobs = true,
            (_, 'l') => self.long = true,
            (_, 'u') => self.user = true,
            // BSD's letter, with a dash, too.
            (_, 'x') => self.bsd = true,
            (_, 'a' | 'e' | 'w' | 'A' | 'd') | (false, 'f') => {}
            _ => return false,
        }
        true
    }

    fn preset(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Asked { user: true, .. } => USER,
            Asked { long: true, full: true, .. } => LONG_FULL,
            Asked { long: true, .. } => LONG,
            Asked { extra: true, .. } => EXTRA,
            Asked { full: true, .. } => FULL,
            Asked { jobs: true, .. } => JOBS,
            Asked { bsd: true, .. } => BSD,
            Asked { .. } => SHORT,
        }
    }
}

impl Columns {
    /// Understands ps's arguments: `-ef`, `aux`, `-o pid,comm`, `-eo pid,args=ARGS`, `axo …`.
    pub(in crate::container) fn parse(arguments: &str) -> Result<Self> {
        let mut words = arguments.split_whitespace();
        let mut chosen: Vec<Column> = Vec::new();
        let mut asked = Asked::default();
        while let Some(word) = words.next() {
            let (dashed, letters) = match word.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, word),
            };
            if let Some(list) = letters.strip_prefix("-format=").filter(|_| dashed) {
                add_formats(list, &mut chosen)?;
                continue;
            }
            asked.bsd |= !dashed;
            for (at, letter) in letters.char_indices() {
                if matches!(letter, 'o' | 'O') {
                    let rest = &letters[at + 1..];
                    let list = if rest.is_empty() { words.next().unwrap_or_default() } else { rest };
                    add_formats(list, &mut chosen)?;
                    break;
                }
                if !asked.letter(dashed, letter) {
                    return Err(Error::internal(format!(
                        "ps: unsupported option (top reads -e, -f, -F, -l, -j, a, u, x, w, -o): {word}"
                    )));
                }
            }
        }
        if chosen.is_empty() {
            let column = |(shows, title): &(&'static str, &str)| Column { shows, title: (*title).to_owned() };
            chosen = asked.preset().iter().map(column).collect();
        }
        if !chosen.iter().any(|column| column.title == "PID") {
            return Err(Error::internal("Couldn't find PID field in ps output"));
        }
        Ok(Self(chosen))
    }

    /// Their titles.
    pub(in crate::container) fn titles(&self) -> Vec<String> {
        self.0.iter().map(|column| column.title.clone()).collect()
    }

    /// A process in them.
    pub(in crate::container) fn row(&self, process: &Process, machine: &Machine) -> Vec<String> {
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
        "opri" => (60 + process.priority).to_string(),
        // Those of the kernel's flags that ps shows: forked without exec, has used rights of root's.
        "f" => (process.flags >> 6 & 7).to_string(),
        "psr" => process.processor.to_string(),
        "sz" => (process.virtual_bytes / PAGE).to_string(),
        "addr" => "-".to_owned(),
        "nlwp" => process.threads.to_string(),
        "wchan" if process.wchan.is_empty() || process.wchan == "0" => "-".to_owned(),
        "wchan" => process.wchan.chars().take(6).collect(),
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
    use super::super::names;
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
    fn columns_of_common_arguments() {
        for (arguments, titles) in [
            ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
            ("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
            ("ax", "PID TTY STAT TIME COMMAND"),
            ("-o pid,comm", "PID COMMAND"),
            ("-eo pid,args=ARGS", "PID ARGS"),
            ("axo pid,user", "PID USER"),
            ("-e", "PID TTY TIME CMD"),
            ("-x", "PID TTY STAT TIME COMMAND"),
            ("-ax", "PID TTY STAT TIME COMMAND"),
            ("-aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
            ("-l", "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD"),
            ("-efl", "F S UID PID PPID C PRI NI ADDR SZ WCHAN STIME TTY TIME CMD"),
            ("-eF", "UID PID PPID C SZ RSS PSR STIME TTY TIME CMD"),
            ("-j", "PID PGID SID TTY TIME CMD"),
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
        assert_eq!(row("-l"), "4|S|0|42|1|2|80|0|-|2560|-|pts/0|00:00:02|a (b) c");
        assert_eq!(row("-o pid,etime,ni,nlwp,pri"), "42|01:40|0|3|19");
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
