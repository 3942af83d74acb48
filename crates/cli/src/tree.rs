//! Which commands there are, and the help that lists them.

use crate::command::{Command, Group};
use crate::commands::{account, container, image, inspect, manifest, network, registry, system};
use crate::flags;
use crate::globals;

/// What a word names.
pub enum Node {
    /// A command.
    Command(&'static Command),
    /// Commands below a word.
    Group(&'static Group),
}

/// The commands that help shows first.
const COMMON: &[&Command] = &[
    &container::run::RUN,
    &container::exec::EXEC,
    &container::ls::PS,
    &image::pull::PULL,
    &image::push::PUSH,
    &image::ls::IMAGES,
    &account::login::LOGIN,
    &account::logout::LOGOUT,
    &image::search::SEARCH,
    &system::version::VERSION,
    &system::info::INFO,
];

/// All others.
const FURTHER: &[&Command] = &[
    &container::attach::ATTACH,
    &container::commit::COMMIT,
    &container::create::CREATE,
    &container::diff::DIFF,
    &system::events::EVENTS,
    &image::history::HISTORY,
    &image::import::IMPORT,
    &inspect::INSPECT,
    &container::kill::KILL,
    &image::load::LOAD,
    &container::logs::LOGS,
    &container::life::PAUSE,
    &container::port::PORT,
    &container::rename::RENAME,
    &container::life::RESTART,
    &container::rm::RM,
    &image::rm::RMI,
    &image::save::SAVE,
    &container::start::START,
    &container::stats::STATS,
    &container::life::STOP,
    &image::tag::TAG,
    &container::top::TOP,
    &container::life::UNPAUSE,
    &container::update::UPDATE,
    &container::wait::WAIT,
];

const CONTAINER: Group = Group {
    name: "container",
    about: "Manage containers",
    commands: &[
        (&["attach"], &container::attach::ATTACH),
        (&["commit"], &container::commit::COMMIT),
        (&["create"], &container::create::CREATE),
        (&["diff"], &container::diff::DIFF),
        (&["exec"], &container::exec::EXEC),
        (&["inspect"], &inspect::CONTAINER),
        (&["kill"], &container::kill::KILL),
        (&["logs"], &container::logs::LOGS),
        (&["ls", "list", "ps"], &container::ls::PS),
        (&["pause"], &container::life::PAUSE),
        (&["port"], &container::port::PORT),
        (&["prune"], &container::prune::PRUNE),
        (&["rename"], &container::rename::RENAME),
        (&["restart"], &container::life::RESTART),
        (&["rm", "remove"], &container::rm::RM),
        (&["run"], &container::run::RUN),
        (&["start"], &container::start::START),
        (&["stats"], &container::stats::STATS),
        (&["stop"], &container::life::STOP),
        (&["top"], &container::top::TOP),
        (&["unpause"], &container::life::UNPAUSE),
        (&["update"], &container::update::UPDATE),
        (&["wait"], &container::wait::WAIT),
    ],
};

const IMAGE: Group = Group {
    name: "image",
    about: "Manage images",
    commands: &[
        (&["history"], &image::history::HISTORY),
        (&["import"], &image::import::IMPORT),
        (&["inspect"], &inspect::IMAGE),
        (&["load"], &image::load::LOAD),
        (&["ls", "list"], &image::ls::IMAGES),
        (&["prune"], &image::prune::PRUNE),
        (&["pull"], &image::pull::PULL),
        (&["push"], &image::push::PUSH),
        (&["rm", "remove", "rmi"], &image::rm::RMI),
        (&["save"], &image::save::SAVE),
        (&["tag"], &image::tag::TAG),
    ],
};

const NETWORK: Group = Group {
    name: "network",
    about: "Manage networks",
    commands: &[
        (&["connect"], &network::connect::CONNECT),
        (&["create"], &network::create::CREATE),
        (&["disconnect"], &network::disconnect::DISCONNECT),
        (&["inspect"], &inspect::NETWORK),
        (&["ls", "list"], &network::ls::LS),
        (&["prune"], &network::prune::PRUNE),
        (&["rm", "remove"], &network::rm::RM),
        (&["why"], &network::why::WHY),
    ],
};

const SYSTEM: Group = Group {
    name: "system",
    about: "Manage the engine",
    commands: &[
        (&["df"], &system::df::DF),
        (&["events"], &system::events::EVENTS),
        (&["info"], &system::info::INFO),
        (&["prune"], &system::prune::PRUNE),
    ],
};

const GROUPS: &[&Group] = &[&CONTAINER, &IMAGE, &manifest::MANIFEST, &NETWORK, &registry::REGISTRY, &SYSTEM];

/// Roles of the executable that are no commands of the client.
const ROLES: &[(&str, &str)] =
    &[("daemon", "Serve the engine's API"), ("runtime", "Run OCI bundles, with runc's command line")];

/// What the first words name, the words as one, and how many they are.
pub fn find(words: &[String]) -> Option<(Node, String, usize)> {
    let first = words.first()?.as_str();
    if let Some(command) = COMMON.iter().chain(FURTHER).find(|command| command.name == first) {
        return Some((Node::Command(command), first.to_string(), 1));
    }
    let group = GROUPS.iter().find(|group| group.name == first)?;
    let second = words.get(1).map(String::as_str).unwrap_or_default();
    if group.name == "system" && second == "dial-stdio" {
        return Some((Node::Command(&system::dial_stdio::DIAL_STDIO), "system dial-stdio".into(), 2));
    }
    match group.commands.iter().find(|(names, _)| names.contains(&second)) {
        Some((names, command)) => Some((Node::Command(command), format!("{first} {}", names[0]), 2)),
        None => Some((Node::Group(group), first.to_string(), 1)),
    }
}

/// The help of the whole.
pub fn overview(program: &str) -> String {
    let row = |command: &&Command| (command.name, command.about);
    let common: Vec<_> = COMMON.iter().map(row).collect();
    let further: Vec<_> = FURTHER.iter().map(row).collect();
    let groups: Vec<_> = GROUPS.iter().map(|group| (group.name, group.about)).collect();
    let globals: Vec<_> = globals::FLAGS.iter().filter(|flag| flag.name != "help").copied().collect();
    format!(
        "Usage:  {program} [OPTIONS] COMMAND\n\nContainers from one executable\n\nCommon Commands:\n{}\nManagement \
         Commands:\n{}\nCommands:\n{}\nRoles:\n{}\nGlobal Options:\n{}\nRun '{program} COMMAND --help' for more \
         information on a command.\n",
        flags::commands(&common),
        flags::commands(&groups),
        flags::commands(&further),
        flags::commands(ROLES),
        flags::options(&globals),
    )
}

/// The help of a group.
pub fn group_help(program: &str, group: &Group) -> String {
    let rows: Vec<_> = group.commands.iter().map(|(names, command)| (names[0], command.about)).collect();
    format!(
        "Usage:  {program} {} COMMAND\n\n{}\n\nCommands:\n{}\nRun '{program} {} COMMAND --help' for more information on \
         a command.\n",
        group.name,
        group.about,
        flags::commands(&rows),
        group.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(line: &str) -> Option<(String, usize)> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        find(&words).map(|(_, path, used)| (path, used))
    }

    #[test]
    fn words_name_commands() {
        for (line, path, used) in [
            ("ps -a", "ps", 1),
            ("container ps -a", "container ls", 2),
            ("container list", "container ls", 2),
            ("image remove x", "image rm", 2),
            ("container nope", "container", 1),
            ("system dial-stdio", "system dial-stdio", 2),
        ] {
            assert_eq!(named(line), Some((path.to_string(), used)), "{line}");
        }
        assert_eq!(named("build ."), None);
        assert_eq!(named(""), None);
    }

    #[test]
    fn every_command_is_whole() {
        let all = COMMON.iter().chain(FURTHER).copied();
        let grouped = GROUPS.iter().flat_map(|group| group.commands.iter().map(|(_, command)| *command));
        for command in all.chain(grouped) {
            assert!(!command.about.is_empty() && !command.about.ends_with('.'), "{}", command.name);
            let flags = command.all_flags();
            for (at, flag) in flags.iter().enumerate() {
                assert!(!flag.help.is_empty(), "{} --{}", command.name, flag.name);
                let clash = |other: &flags::Flag| {
                    other.name == flag.name || other.short.is_some() && other.short == flag.short
                };
                assert!(!flags[..at].iter().any(clash), "{} --{} is there twice", command.name, flag.name);
            }
        }
    }
}
