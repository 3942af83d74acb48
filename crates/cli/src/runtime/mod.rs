//! `boxship runtime`: the OCI runtime's command line, with runc's commands, options, output and exit codes, so that
//! other engines (dockerd, containerd, podman) can use it.
//!
//! Each command is one row of [`COMMANDS`]: its options as data and a function. Nothing here knows how containers
//! are made; that is `boxship_runtime`.

mod arguments;
mod create;
mod events;
mod exec;
mod failure;
mod features;
mod foreground;
mod help;
mod life;
mod list;
mod log;
mod ps;
mod spec;
mod update;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arguments::{Arguments, Flag, Order, switch, value};
use boxship_runtime::Container;
use failure::{Failure, Result};
use log::Log;

/// One command.
struct Command {
    name: &'static str,
    /// What `--help` says it does.
    help: &'static str,
    /// Its arguments, for `--help`.
    arguments: &'static str,
    flags: &'static [Flag],
    order: Order,
    /// The least and the greatest number of arguments.
    count: (usize, usize),
    run: fn(&Context, &Arguments) -> Result<u8>,
}

const MANY: usize = usize::MAX;

const COMMANDS: &[Command] = &[
    Command {
        name: "checkpoint",
        help: "not supported: write a running container to disk",
        arguments: "<container-id>",
        flags: &[],
        order: Order::Unread,
        count: (0, MANY),
        run: life::checkpoint,
    },
    Command {
        name: "create",
        help: "make a container whose program waits to be started",
        arguments: "<container-id>",
        flags: create::CREATE_FLAGS,
        order: Order::Mixed,
        count: (1, 1),
        run: create::create,
    },
    Command {
        name: "delete",
        help: "remove what is left of a container",
        arguments: "<container-id>",
        flags: life::DELETE_FLAGS,
        order: Order::Mixed,
        count: (1, 1),
        run: life::delete,
    },
    Command {
        name: "events",
        help: "print a container's statistics and out-of-memory events",
        arguments: "<container-id>",
        flags: events::FLAGS,
        order: Order::Mixed,
        count: (1, 1),
        run: events::run,
    },
    Command {
        name: "exec",
        help: "run a further process in a container",
        arguments: "<container-id> <command> [arguments] | --process process.json <container-id>",
        flags: exec::FLAGS,
        order: Order::OptionsFirst,
        count: (1, MANY),
        run: exec::run,
    },
    Command {
        name: "features",
        help: "print what this runtime supports",
        arguments: "",
        flags: &[],
        order: Order::Mixed,
        count: (0, 0),
        run: features::run,
    },
    Command {
        name: "kill",
        help: "send a signal (default: SIGTERM) to a container's first process",
        arguments: "<container-id> [signal]",
        flags: life::KILL_FLAGS,
        order: Order::Mixed,
        count: (1, 2),
        run: life::kill,
    },
    Command {
        name: "list",
        help: "list the containers of a root folder",
        arguments: "",
        flags: list::FLAGS,
        order: Order::Mixed,
        count: (0, 0),
        run: list::run,
    },
    Command {
        name: "pause",
        help: "stop all processes of a container where they are",
        arguments: "<container-id>",
        flags: &[],
        order: Order::Mixed,
        count: (1, 1),
        run: life::pause,
    },
    Command {
        name: "ps",
        help: "show the processes of a container",
        arguments: "<container-id> [ps options]",
        flags: ps::FLAGS,
        order: Order::OptionsFirst,
        count: (1, MANY),
        run: ps::run,
    },
    Command {
        name: "restore",
        help: "not supported: make a container from a checkpoint",
        arguments: "<container-id>",
        flags: &[],
        order: Order::Unread,
        count: (0, MANY),
        run: life::restore,
    },
    Command {
        name: "resume",
        help: "let all processes of a paused container go on",
        arguments: "<container-id>",
        flags: &[],
        order: Order::Mixed,
        count: (1, 1),
        run: life::resume,
    },
    Command {
        name: "run",
        help: "make a container and run its program",
        arguments: "<container-id>",
        flags: create::RUN_FLAGS,
        order: Order::Mixed,
        count: (1, 1),
        run: create::run,
    },
    Command {
        name: "spec",
        help: "write a config.json to start from",
        arguments: "",
        flags: spec::FLAGS,
        order: Order::Mixed,
        count: (0, 0),
        run: spec::run,
    },
    Command {
        name: "start",
        help: "run the program of a created container",
        arguments: "<container-id>",
        flags: &[],
        order: Order::Mixed,
        count: (1, 1),
        run: life::start,
    },
    Command {
        name: "state",
        help: "print the state of a container",
        arguments: "<container-id>",
        flags: &[],
        order: Order::Mixed,
        count: (1, 1),
        run: life::state,
    },
    Command {
        name: "update",
        help: "change the limits of a container",
        arguments: "<container-id>",
        flags: update::FLAGS,
        order: Order::Mixed,
        count: (1, 1),
        run: update::run,
    },
];

const HELP: Flag = switch("help", Some('h'), "show this help");

const GLOBAL_FLAGS: &[Flag] = &[
    switch("debug", None, "log more"),
    value("log", None, "log to this file instead of standard error"),
    value("log-format", None, "form of the log: text (default) or json"),
    value("root", None, "folder of the containers' state, best on a tmpfs (default: /run/boxship-runtime)"),
    value("criu", None, "not used: checkpoints are not supported"),
    switch("systemd-cgroup", None, "let systemd make cgroups (needs systemd)"),
    value(
        "rootless",
        None,
        "go without cgroups where rights are missing: true, false or auto (default: who isn't root does)",
    ),
    HELP,
    switch("version", Some('v'), "show the version"),
];

/// What the options before the command say.
struct Context {
    root: PathBuf,
    /// Whether `--root` was given.
    root_given: bool,
    systemd_cgroup: bool,
    log: Log,
}

impl Context {
    fn of(arguments: &Arguments) -> Result<Self> {
        let root = match arguments.value("root") {
            Some(given) => std::path::absolute(given)?,
            None => default_root(),
        };
        if root == Path::new("/") || arguments.value("root") == Some("") {
            return Err(Failure::new("option --root must not be /"));
        }
        check_rootless(arguments.value("rootless").unwrap_or("auto"))?;
        let log = Log::open(
            arguments.value("log"),
            arguments.value("log-format").unwrap_or_default(),
            arguments.has("debug"),
        )?;
        Ok(Self {
            root,
            root_given: arguments.is_set("root"),
            systemd_cgroup: arguments.has("systemd-cgroup"),
            log,
        })
    }

    fn container(&self, arguments: &Arguments) -> Result<Container> {
        let id = arguments.rest.first().map(String::as_str).unwrap_or_default();
        if id.is_empty() {
            return Err(Failure::new("container id cannot be empty"));
        }
        Ok(Container::load(&self.root, id)?)
    }
}

/// Whether cgroups may be gone without depends on who runs this; a wish to the contrary is refused.
fn check_rootless(text: &str) -> Result<()> {
    let root = rustix::process::geteuid().is_root();
    match text {
        "" | "auto" => Ok(()),
        "true" | "1" if !root => Ok(()),
        "false" | "0" if root => Ok(()),
        "true" | "1" | "false" | "0" => {
            let who = if root { "root" } else { "a user other than root" };
            Err(Failure::new(format!("--rootless={text} is not possible for {who}: leave it at auto")))
        }
        other => Err(Failure::new(format!("invalid value for rootless: {other:?}"))),
    }
}

/// Users other than root have a folder of their own.
fn default_root() -> PathBuf {
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|own| !own.is_empty());
    match own {
        Some(own) if !rustix::process::geteuid().is_root() => PathBuf::from(own).join("boxship-runtime"),
        _ => PathBuf::from("/run/boxship-runtime"),
    }
}

/// Runs the command line; `words` are those behind the role's name.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<String> = words.into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut context = None;
    match run(&words, &mut context) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            context.map_or_else(Log::default, |context: Context| context.log).error(&failure.to_string());
            ExitCode::from(failure.code)
        }
    }
}

/// `context` stays with the caller, who logs the failure where the options say.
fn run(words: &[String], context: &mut Option<Context>) -> Result<u8> {
    let global = Arguments::parse(GLOBAL_FLAGS, Order::OptionsFirst, words)?;
    if global.has("version") {
        return print(&help::version());
    }
    let Some((name, rest)) = global.rest.split_first() else { return print(&help::overview()) };
    if global.has("help") || name == "help" {
        return match rest.first().and_then(|name| find(name)) {
            Some(command) => print(&help::of(command)),
            None => print(&help::overview()),
        };
    }
    let context = context.insert(Context::of(&global)?);
    let command = find(name).ok_or_else(|| Failure::new(format!("no such command: {name}")))?;
    let mut flags = command.flags.to_vec();
    flags.push(HELP);
    let arguments = Arguments::parse(&flags, command.order, rest)?;
    if arguments.has("help") {
        return print(&help::of(command));
    }
    check_count(command, arguments.rest.len())?;
    context.log.debug(&format!("{name} {}", rest.join(" ")));
    (command.run)(context, &arguments)
}

fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

fn check_count(command: &Command, count: usize) -> Result<()> {
    let (least, most) = command.count;
    let word = match () {
        () if (least..=most).contains(&count) => return Ok(()),
        () if least == most => format!("exactly {least}"),
        () if count < least => format!("a minimum of {least}"),
        () => format!("a maximum of {most}"),
    };
    Err(Failure::new(format!("{:?} requires {word} argument(s)", command.name)))
}

/// Output that nobody reads any more is no failure of the command.
fn print(text: &str) -> Result<u8> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_sorted_and_their_options_distinct() {
        assert!(COMMANDS.is_sorted_by_key(|command| command.name));
        for command in COMMANDS {
            let mut names: Vec<_> = command.flags.iter().map(|flag| flag.name).collect();
            let mut shorts: Vec<_> = command.flags.iter().filter_map(|flag| flag.short).collect();
            let (all, all_short) = (names.len(), shorts.len());
            names.sort_unstable();
            names.dedup();
            shorts.sort_unstable();
            shorts.dedup();
            assert_eq!((names.len(), shorts.len()), (all, all_short), "{}", command.name);
        }
    }

    #[test]
    fn numbers_of_arguments() {
        for (name, count, expected) in [
            ("create", 0, Err("\"create\" requires exactly 1 argument(s)")),
            ("create", 1, Ok(())),
            ("kill", 0, Err("\"kill\" requires a minimum of 1 argument(s)")),
            ("kill", 3, Err("\"kill\" requires a maximum of 2 argument(s)")),
            ("exec", 9, Ok(())),
        ] {
            let found = check_count(find(name).unwrap(), count).map_err(|failure| failure.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{name} {count}");
        }
    }
}
