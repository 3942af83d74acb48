//! `--help` and `--version`, from the same tables that are parsed.

use super::arguments::{Flag, Takes};
use super::{COMMANDS, Command, GLOBAL_FLAGS};

pub(super) fn version() -> String {
    format!(
        "boxship-runtime version {}\nspec: {}\n",
        env!("CARGO_PKG_VERSION"),
        boxship_oci::runtime::VERSION
    )
}

pub(super) fn overview() -> String {
    let mut text = String::from(
        "Usage: boxship runtime [global options] <command> [options] [arguments]\n\n\
         The OCI runtime: makes and runs containers from bundles, a folder with a config.json and a root file system.\n\n\
         Commands:\n",
    );
    for command in COMMANDS {
        text.push_str(&format!("  {:<12} {}\n", command.name, command.help));
    }
    text.push_str("\nGlobal options:\n");
    push_flags(&mut text, GLOBAL_FLAGS);
    text
}

pub(super) fn of(command: &Command) -> String {
    let mut text = format!(
        "Usage: boxship runtime {} [options] {}\n\n{}\n",
        command.name, command.arguments, command.help
    );
    if !command.flags.is_empty() {
        text.push_str("\nOptions:\n");
        push_flags(&mut text, command.flags);
    }
    text
}

fn push_flags(text: &mut String, flags: &[Flag]) {
    for flag in flags {
        let value = if flag.takes == Takes::Nothing { "" } else { " value" };
        let short = flag.short.map_or(String::new(), |short| format!(", -{short}{value}"));
        text.push_str(&format!("  {:<32} {}\n", format!("--{}{value}{short}", flag.name), flag.help));
    }
}
