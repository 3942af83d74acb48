//! `exec`: a further process in a running container.

use std::collections::BTreeMap;
use std::path::PathBuf;

use boxship_oci::runtime::{Capabilities, Process, Status};
use boxship_runtime::{Container, ExecOptions};

use super::arguments::{Arguments, Flag, switch, value, values};
use super::create::{
    CONSOLE_SOCKET, PID_FILE, PIDFD_SOCKET, PRESERVE_FDS, check_process, passed_on, send_pidfd, stdio, warn,
};
use super::failure::{Failure, Result};
use super::{Context, foreground};

pub(super) const FLAGS: &[Flag] = &[
    CONSOLE_SOCKET,
    PIDFD_SOCKET,
    PID_FILE,
    PRESERVE_FDS,
    value("cwd", None, "working directory in the container"),
    values("env", Some('e'), "set an environment variable, NAME=value"),
    switch("tty", Some('t'), "with a terminal"),
    value("user", Some('u'), "user number, or user:group numbers"),
    values("additional-gids", Some('g'), "supplementary group number"),
    value("process", Some('p'), "file with the whole process as JSON"),
    switch("detach", Some('d'), "do not wait for the process"),
    value("process-label", None, "SELinux label"),
    value("apparmor", None, "AppArmor profile"),
    switch("no-new-privs", None, "set no_new_privs"),
    values("cap", Some('c'), "add a capability"),
    values("cgroup", None, "enter this cgroup below the container's: [controller[,controller]:]path"),
    switch("ignore-paused", None, "also when the container is paused"),
];

/// What fails before the process runs is 255: other codes are the process's own.
pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<u8> {
    execute(context, arguments).map_err(|failure| failure.while_doing("exec failed").with_code(255))
}

fn execute(context: &Context, arguments: &Arguments) -> Result<u8> {
    boxship_sys::exe::continue_sealed()?;
    let container = context.container(arguments)?;
    match container.status()? {
        Status::Stopped => return Err(Failure::new("cannot exec in a stopped container")),
        Status::Paused if !arguments.has("ignore-paused") => {
            return Err(Failure::new("cannot exec in a paused container (use --ignore-paused to override)"));
        }
        _ => {}
    }
    let detach = arguments.has("detach");
    let mut process = process(&container, arguments)?;
    check_process(&process)?;
    let stdio = stdio(&mut process, detach, arguments)?;
    let preserve_fds = passed_on(&mut process, arguments)?;
    warn(context, &process);
    let signals = if detach { None } else { Some(boxship_sys::signalfd::SignalFd::all()?) };
    let started = container.exec(ExecOptions {
        process,
        stdio,
        preserve_fds,
        pid_file: arguments.text("pid-file").map(std::path::absolute).transpose()?,
        subgroups: subgroups(&arguments.values("cgroup"))?,
        ignore_paused: arguments.has("ignore-paused"),
        without_seccomp: false,
    })?;
    send_pidfd(&started, arguments)?;
    match signals {
        Some(signals) => foreground::attend(started, &signals),
        None => Ok(0),
    }
}

/// From the file, or the container's own process with what the options change.
fn process(container: &Container, arguments: &Arguments) -> Result<Process> {
    if let Some(path) = arguments.text("process") {
        let text =
            std::fs::read(path).map_err(|error| Failure::from(error).while_doing(&format!("read {path}")))?;
        return serde_json::from_slice(&text)
            .map_err(|error| Failure::from(error).while_doing(&format!("parse {path}")));
    }
    let mut process = container.process()?;
    change(&mut process, arguments)?;
    Ok(process)
}

fn change(process: &mut Process, arguments: &Arguments) -> Result<()> {
    process.args = arguments.rest.get(1..).unwrap_or_default().to_vec();
    if process.args.is_empty() {
        return Err(Failure::new("exec args cannot be empty"));
    }
    process.terminal = arguments.has("tty");
    for entry in arguments.values("env") {
        set_variable(&mut process.env, entry);
    }
    if let Some(directory) = arguments.text("cwd") {
        process.cwd = PathBuf::from(directory);
    }
    if let Some(profile) = arguments.text("apparmor") {
        process.apparmor_profile = Some(profile.to_owned());
    }
    if let Some(label) = arguments.text("process-label") {
        process.selinux_label = Some(label.to_owned());
    }
    if arguments.is_set("no-new-privs") {
        process.no_new_privileges = arguments.has("no-new-privs");
    }
    if let Some(user) = arguments.text("user") {
        set_user(process, user)?;
    }
    for gid in arguments.values("additional-gids") {
        let gid = gid.parse().map_err(|_| Failure::new(format!("bad additional gid: {gid:?}")))?;
        process.user.additional_gids.push(gid);
    }
    let sets = process.capabilities.get_or_insert_default();
    for capability in arguments.values("cap") {
        add_capability(sets, capability);
    }
    Ok(())
}

/// In place of an earlier one of the same name: programs take the first they find.
fn set_variable(env: &mut Vec<String>, entry: &str) {
    let name = entry.split('=').next().unwrap_or(entry);
    env.retain(|known| known.split('=').next() != Some(name));
    env.push(entry.to_owned());
}

fn set_user(process: &mut Process, text: &str) -> Result<()> {
    let number = |what: &str, text: &str| {
        text.parse::<u32>().map_err(|_| Failure::new(format!("bad {what}: {text:?} is not a number")))
    };
    let (uid, gid) = text.split_once(':').map_or((text, None), |(uid, gid)| (uid, Some(gid)));
    if let Some(gid) = gid {
        process.user.gid = number("gid", gid)?;
    }
    process.user.uid = number("uid", uid)?;
    process.user.username = None;
    Ok(())
}

/// The kernel refuses ambient capabilities that are not inheritable, and nothing here makes them so.
fn add_capability(sets: &mut Capabilities, capability: &str) {
    let ambient = !sets.inheritable.is_empty();
    for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
        set.push(capability.to_owned());
    }
    if ambient {
        sets.ambient.push(capability.to_owned());
    }
}

fn subgroups(given: &[&str]) -> Result<BTreeMap<String, String>> {
    let mut paths = BTreeMap::new();
    for text in given {
        let Some((controllers, path)) = text.split_once(':') else {
            if given.len() != 1 {
                return Err(Failure::new(format!(
                    "invalid --cgroup argument: {text} (missing <controller>: prefix)"
                )));
            }
            return Ok(BTreeMap::from([(String::new(), (*text).to_owned())]));
        };
        for controller in controllers.split(',') {
            if controller.is_empty() {
                return Err(Failure::new(format!(
                    "invalid --cgroup argument: {text} (empty <controller> prefix)"
                )));
            }
            if paths.insert(controller.to_owned(), path.to_owned()).is_some() {
                return Err(Failure::new(format!(
                    "invalid --cgroup argument(s): controller {controller} specified multiple times"
                )));
            }
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::super::arguments::Order;
    use super::*;

    fn changed(line: &str) -> Result<Process, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let arguments = Arguments::parse(FLAGS, Order::OptionsFirst, &words).unwrap();
        let mut process =
            Process { cwd: "/".into(), terminal: true, env: vec!["A=1".into()], ..Process::default() };
        change(&mut process, &arguments).map_err(|failure| failure.to_string()).map(|()| process)
    }

    #[test]
    fn options_change_the_process() {
        let process =
            changed("-e B=2 -e B=3 --cwd /x -u 5:6 -g 7 -g 8 --cap CAP_KILL --no-new-privs id ls -t")
                .unwrap();
        assert_eq!(process.args, ["ls", "-t"]);
        assert_eq!(process.env, ["A=1", "B=3"]);
        assert_eq!((process.user.uid, process.user.gid), (5, 6));
        assert_eq!(process.user.additional_gids, [7, 8]);
        assert!(!process.terminal && process.no_new_privileges);
        let sets = process.capabilities.unwrap();
        assert_eq!(sets.effective, ["CAP_KILL"]);
        assert!(sets.ambient.is_empty() && sets.inheritable.is_empty());
        assert_eq!(changed("id").unwrap_err(), "exec args cannot be empty");
        assert_eq!(changed("-u ann id ls").unwrap_err(), "bad uid: \"ann\" is not a number");
    }

    #[test]
    fn cgroups_below() {
        let found = |given: &[&str]| subgroups(given).map_err(|failure| failure.to_string());
        assert_eq!(found(&["x"]).unwrap(), BTreeMap::from([(String::new(), "x".to_owned())]));
        let both = found(&["cpu,pids:a", "memory:b"]).unwrap();
        assert_eq!(
            both.into_iter().map(|(k, v)| k + "=" + &v).collect::<Vec<_>>(),
            ["cpu=a", "memory=b", "pids=a"]
        );
        for given in [&["x", "y"][..], &[":x"], &["cpu:a", "cpu:b"]] {
            assert!(found(given).is_err(), "{given:?}");
        }
    }
}
