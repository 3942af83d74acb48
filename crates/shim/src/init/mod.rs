//! Process 1 of `--init` containers: starts the program, passes signals on to it, reaps what nobody else does, and ends
//! with the program's exit code. It must never do more: everything else is the program's business.
//!
//! `boxship init [-s] [-v] [-g] [--] PROGRAM [ARGUMENT…]`, the arguments Docker gives its init.

use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    io::Write,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::ExitCode,
};

use boxship_sys::{Errno, clone::Clone, exe, process, signal, signal::Signal, signal_wait};
use rustix::process::{Pid, Signal as RawSignal, WaitOptions};

/// The `init` role: `args` are what follows the role's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(message) => return complain(&message, 1),
    };
    match supervise(&options) {
        Ok(code) => ExitCode::from(code),
        Err(message) => complain(&message, 1),
    }
}

/// What to run, and how.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    /// Reap orphans even when not process 1.
    subreaper: bool,
    /// Pass signals on to the program's whole process group.
    group: bool,
    program: Vec<OsString>,
}

impl Options {
    fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut args = args.into_iter().peekable();
        while let Some(arg) = args.next_if(|arg| arg.as_encoded_bytes().first() == Some(&b'-')) {
            match arg.to_str() {
                Some("--") => break,
                Some("-s") => options.subreaper = true,
                Some("-g") => options.group = true,
                // tini's verbosity: there is nothing more to say here.
                Some("-v" | "-vv" | "-vvv") => {}
                _ => return Err(format!("unknown option {arg:?}")),
            }
        }
        options.program = args.collect();
        if options.program.is_empty() { Err("no program to run".to_owned()) } else { Ok(options) }
    }
}

fn supervise(options: &Options) -> Result<u8, String> {
    signal_wait::hold_all().map_err(|error| error.to_string())?;
    if options.subreaper {
        process::become_subreaper().map_err(|error| error.to_string())?;
    }
    let child = Clone::default().spawn(|| run(&options.program)).map_err(|error| error.to_string())?;
    loop {
        let signal = signal_wait::next().map_err(|error| error.to_string())?;
        match signal.number() {
            CHILD => {
                if let Some(code) = reap(child.pid) {
                    return Ok(code);
                }
            }
            // The program stops reading or writing the terminal by itself; we hold no job of a shell.
            TTY_INPUT | TTY_OUTPUT => {}
            _ => pass_on(signal, child.pid, options.group),
        }
    }
}

const CHILD: i32 = 17;
const TTY_INPUT: i32 = 21;
const TTY_OUTPUT: i32 = 22;

/// A signal that comes when the program has just ended has nobody to go to.
fn pass_on(signal: Signal, child: i32, group: bool) {
    let (Some(pid), Some(number)) = (Pid::from_raw(child), RawSignal::from_named_raw(signal.number())) else {
        return pass_on_real_time(signal, child);
    };
    let _ = match group {
        true => rustix::process::kill_process_group(pid, number),
        false => rustix::process::kill_process(pid, number),
    };
}

fn pass_on_real_time(signal: Signal, child: i32) {
    if let Ok(pidfd) = process::open(child) {
        let _ = signal::send(pidfd.as_fd(), signal);
    }
}

/// Reaps all that have ended; the program's exit code if it is among them.
fn reap(child: i32) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == child {
            let status =
                status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
            code = Some(status.unwrap_or(1) as u8);
        }
    }
    code
}

/// In the child: a process group of its own in the terminal's foreground, no signal held back, then the program.
fn run(program: &[OsString]) -> u8 {
    let _ = rustix::process::setpgid(None, None);
    // To take the foreground from the background one must not be stopped for it: all signals are still held back.
    let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpgrp());
    signal::reset();
    let error = start(program);
    let name = program[0].to_string_lossy();
    let (code, reason) = match error {
        Errno::NOENT | Errno::NOTDIR => (127, "no such file or directory".to_owned()),
        errno => (126, std::io::Error::from(errno).to_string()),
    };
    say(&format!("exec {name} failed: {reason}"));
    code
}

/// Executes the program; returns only when that failed.
fn start(program: &[OsString]) -> Errno {
    let environment: Vec<OsString> = std::env::vars_os()
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        })
        .collect();
    let mut worst = Errno::NOENT;
    for path in candidates(&program[0], std::env::var_os("PATH").as_deref()) {
        let done: Result<Infallible, _> = exe::exec_path(&path, program.to_vec(), environment.clone());
        let Err(error) = done;
        if !matches!(error.errno, Errno::NOENT | Errno::NOTDIR) {
            worst = error.errno;
        }
    }
    worst
}

/// The files that a program's name may mean, as execvp(3) looks for them.
fn candidates(name: &OsStr, path: Option<&OsStr>) -> Vec<PathBuf> {
    if name.as_encoded_bytes().contains(&b'/') {
        return vec![PathBuf::from(name)];
    }
    let path = path.unwrap_or(OsStr::new("/bin:/usr/bin"));
    std::env::split_paths(path)
        .map(
            |folder| {
                if folder.as_os_str().is_empty() { Path::new(".").join(name) } else { folder.join(name) }
            },
        )
        .collect()
}

fn complain(message: &str, code: u8) -> ExitCode {
    say(message);
    ExitCode::from(code)
}

/// There is nobody else to tell than the container's standard error.
fn say(message: &str) {
    let _ = writeln!(std::io::stderr(), "boxship init: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn arguments() {
        for (text, expect) in [
            ("-- sh -c", Ok((false, false, "sh -c"))),
            ("sh -- x", Ok((false, false, "sh -- x"))),
            ("-s -g -vv -- -x", Ok((true, true, "-x"))),
            ("-x sh", Err("unknown option \"-x\"")),
            ("--", Err("no program to run")),
        ] {
            let expect = expect
                .map(|(subreaper, group, program)| Options { subreaper, group, program: words(program) })
                .map_err(str::to_owned);
            assert_eq!(Options::parse(words(text)), expect, "{text}");
        }
    }

    #[test]
    fn where_programs_are_looked_for() {
        for (name, path, expect) in [
            ("sh", Some("/a:/b"), &["/a/sh", "/b/sh"][..]),
            ("sh", Some(":/b"), &["./sh", "/b/sh"]),
            ("sh", None, &["/bin/sh", "/usr/bin/sh"]),
            ("./sh", Some("/a"), &["./sh"]),
        ] {
            let found = candidates(OsStr::new(name), path.map(OsStr::new));
            assert_eq!(found, expect.iter().map(PathBuf::from).collect::<Vec<_>>());
        }
    }
}
