//! The client: finds the command, reads its flags, runs it, prints how it failed.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::absent;
use crate::command::{Command, Group};
use crate::failure::{Failure, Result};
use crate::flags::{self, Flag, Parsed, UsageError};
use crate::globals::{self, Globals};
use crate::invocation::Invocation;
use crate::tree::{self, Node};

/// Every command has it.
const HELP: Flag = Flag::switch("help", "Print usage");

/// Runs the command that `arguments` name; `name` is what the executable was called by.
pub fn main(name: &str, arguments: Vec<OsString>) -> ExitCode {
    let program = if name == "docker" { "docker" } else { "boxship" };
    let words: Option<Vec<String>> = arguments.into_iter().map(|word| word.into_string().ok()).collect();
    let Some(words) = words else {
        eprintln!("{program}: arguments must be UTF-8");
        return ExitCode::from(125);
    };
    ExitCode::from(run(program, words))
}

fn run(program: &str, words: Vec<String>) -> u8 {
    // The flags before the command end at its name.
    let globals = match flags::parse(globals::FLAGS, false, &words) {
        Ok(globals) => globals,
        Err(error) => return report(program, "", "[OPTIONS] COMMAND [ARG...]", &Failure::Usage(error)),
    };
    let rest = globals.operands.clone();
    if globals.on("version") {
        println!("Boxship version {}", env!("CARGO_PKG_VERSION"));
        return 0;
    }
    if rest.is_empty() {
        match globals.on("help") {
            true => print!("{}", tree::overview(program)),
            false => eprint!("{}", tree::overview(program)),
        }
        return 0;
    }
    if rest[0] == "help" {
        return help(program, &rest[1..]);
    }
    if let Some((name, instead)) = absent::find(&rest) {
        eprintln!("{program}: '{name}' is not offered by this version: {instead}");
        return 1;
    }
    let globals = Globals::new(globals);
    match tree::find(&rest) {
        Some((Node::Command(command), path, used)) => call(program, command, path, &rest[used..], globals),
        Some((Node::Group(group), path, used)) => in_group(program, group, &path, &rest[used..]),
        None => {
            eprintln!(
                "{program}: unknown command: {program} {}\n\nRun '{program} --help' for more information",
                rest[0]
            );
            1
        }
    }
}

/// A group was named, and behind it no command of it.
fn in_group(program: &str, group: &Group, path: &str, rest: &[String]) -> u8 {
    match rest.first() {
        Some(word) if !word.starts_with('-') => {
            eprintln!(
                "{program}: unknown command: {program} {path} {word}\n\nUsage:  {program} {path}\n\n\
                 Run '{program} {path} --help' for more information"
            );
            1
        }
        Some(word) if word != "--help" && word != "-h" => {
            let error = UsageError(format!("unknown flag: {word}"));
            report(program, path, "COMMAND", &Failure::Usage(error))
        }
        Some(_) => {
            print!("{}", tree::group_help(program, group));
            0
        }
        None => {
            eprint!("{}", tree::group_help(program, group));
            0
        }
    }
}

fn help(program: &str, words: &[String]) -> u8 {
    match tree::find(words) {
        Some((Node::Command(command), path, _)) => print!("{}", command_help(program, command, &path)),
        Some((Node::Group(group), ..)) => print!("{}", tree::group_help(program, group)),
        None if words.is_empty() => print!("{}", tree::overview(program)),
        None => {
            eprintln!("unknown help topic: {}", words.join(" "));
            return 1;
        }
    }
    0
}

fn call(program: &str, command: &'static Command, path: String, rest: &[String], globals: Globals) -> u8 {
    let result = prepare(program, command, &path, rest).and_then(|parsed| {
        if parsed.on("help") {
            print!("{}", command_help(program, command, &path));
            return Ok(0);
        }
        globals.check()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::new(format!("start the event loop: {e}")))?;
        let invocation = Invocation::new(program.to_string(), path.clone(), parsed, globals);
        let result = runtime.block_on((command.action)(&invocation));
        // A thread that still reads standard input must not keep the process.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(code) => code,
        Err(failure) => report(program, &path, command.usage, &failure),
    }
}

/// Reads a command's arguments.
pub fn prepare(program: &str, command: &Command, path: &str, rest: &[String]) -> Result<Parsed> {
    let mut flags = command.all_flags();
    flags.push(HELP);
    let parsed = flags::parse(&flags, command.mixed, rest)?;
    if !parsed.on("help") {
        command.check_operands(program, path, parsed.operands.len())?;
    }
    Ok(parsed)
}

fn command_help(program: &str, command: &Command, path: &str) -> String {
    let usage = if command.usage.is_empty() { String::new() } else { format!(" {}", command.usage) };
    let mut text = format!("Usage:  {program} {path}{usage}\n\n{}\n", command.about);
    if command.aliases.len() > 1 {
        let names: Vec<String> = command.aliases.iter().map(|alias| format!("{program} {alias}")).collect();
        text.push_str(&format!("\nAliases:\n  {}\n", names.join(", ")));
    }
    let flags = command.all_flags();
    if !flags.is_empty() {
        text.push_str(&format!("\nOptions:\n{}", flags::options(&flags)));
    }
    text
}

/// Prints a failure as Docker does and gives its exit code.
fn report(program: &str, path: &str, usage: &str, failure: &Failure) -> u8 {
    let whole = if path.is_empty() { program.to_string() } else { format!("{program} {path}") };
    let hint = format!("'{whole} --help' for more information");
    match failure {
        Failure::Usage(UsageError(message)) => {
            eprintln!("{message}\n\nUsage:  {whole} {usage}\n\nRun {hint}");
            125
        }
        Failure::Operands(message) => {
            let verb =
                if message.contains("at least") && !message.contains("at most") { "See" } else { "Run" };
            eprintln!("{program}: {message}\n\nUsage:  {whole} {usage}\n\n{verb} {hint}");
            1
        }
        Failure::Hinted(message, code) => {
            eprintln!("{program}: {message}\n\nRun {hint}");
            *code
        }
        Failure::Code(message, code) => {
            if !message.is_empty() {
                eprintln!("{message}");
            }
            *code
        }
        Failure::Client(_) => {
            eprintln!("{}", failure.message());
            1
        }
    }
}
