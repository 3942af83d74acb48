//! Dockerfile instructions as `docker import -c` (and commit) take them: those that change only the configuration.
//!
//! The messages are Docker's where a person sees them.

mod health;
mod words;

use std::cell::Cell;

use boxship_oci::image::{ContainerConfig, Empty};

use crate::{Error, Result};
use words::{Environment, expand, fields, pairs};

/// Bytes that all words come to, variables expanded. `ENV a=$a$a` doubles, and its likes are cheap to write.
const MAX_EXPANDED: usize = 4 << 20;

/// Applies instructions, one or more lines each, to a configuration.
pub fn apply(config: ContainerConfig, changes: &[String]) -> Result<ContainerConfig> {
    let mut config = config;
    let budget = Cell::new(MAX_EXPANDED);
    let mut arguments_given = false;
    for line in lines(&changes.join("\n")) {
        instruction(&mut config, &line, &budget)?;
        let name = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        arguments_given |= name == "CMD";
        // Another program doesn't want the arguments of the one before.
        if name == "ENTRYPOINT" && !arguments_given {
            config.cmd = None;
        }
    }
    Ok(config)
}

pub(crate) fn refuse(message: impl Into<String>) -> Error {
    Error::Change(message.into())
}

/// Joins continued lines; drops comments and empty lines.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with('#') || (trimmed.is_empty() && !current.is_empty()) {
            continue;
        }
        match trimmed.strip_suffix('\\') {
            Some(start) => current.push_str(start),
            None => {
                current.push_str(trimmed);
                lines.push(std::mem::take(&mut current));
            }
        }
    }
    lines.push(current);
    lines.retain(|line| !line.trim().is_empty());
    lines
}

fn instruction(config: &mut ContainerConfig, line: &str, budget: &Cell<usize>) -> Result<()> {
    let line = line.trim();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let upper = name.to_ascii_uppercase();
    let known = [
        "CMD",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "HEALTHCHECK",
        "LABEL",
        "ONBUILD",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
    if !known.contains(&&*upper) {
        return Err(refuse(format!("{} is not a valid change command", name.to_ascii_lowercase())));
    }
    if rest.is_empty() && !matches!(&*upper, "CMD" | "ENTRYPOINT") {
        return Err(refuse(match &*upper {
            "USER" | "WORKDIR" | "STOPSIGNAL" => format!("{upper} requires exactly one argument"),
            _ => format!("{upper} requires at least one argument"),
        }));
    }
    match &*upper {
        "CMD" => config.cmd = Some(command(config, rest)?),
        "ENTRYPOINT" if rest.is_empty() => config.entrypoint = None,
        "ENTRYPOINT" => config.entrypoint = Some(command(config, rest)?),
        "ENV" => env(config, rest, budget)?,
        "LABEL" => label(config, rest, budget)?,
        "EXPOSE" => expose(config, rest, budget)?,
        "VOLUME" => volume(config, rest, budget)?,
        "USER" => config.user = Some(one(config, "USER", rest, budget)?),
        "WORKDIR" => config.working_dir = Some(working_dir(config, rest, budget)?),
        "STOPSIGNAL" => config.stop_signal = Some(signal(config, rest, budget)?),
        "ONBUILD" => onbuild(config, rest)?,
        _ => config.healthcheck = Some(health::parse(rest)?),
    }
    Ok(())
}

/// A JSON array of strings as it stands; anything else by the shell that the configuration names.
fn command(config: &ContainerConfig, rest: &str) -> Result<Vec<String>> {
    if let Some(words) = array(rest)? {
        return Ok(words);
    }
    let shell = config.shell.clone().filter(|shell| !shell.is_empty());
    let mut words = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
    words.extend((!rest.is_empty()).then(|| rest.to_owned()));
    Ok(words)
}

/// The strings of a JSON array; `None` of anything that isn't one.
fn array(rest: &str) -> Result<Option<Vec<String>>> {
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(rest) else { return Ok(None) };
    let strings = values.into_iter().map(|value| match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(refuse("when using JSON array syntax, arrays must be comprised of strings only")),
    });
    strings.collect::<Result<_>>().map(Some)
}

fn one(config: &ContainerConfig, name: &str, rest: &str, budget: &Cell<usize>) -> Result<String> {
    let words = fields(rest, &Environment { entries: &config.env, budget })?;
    match <[String; 1]>::try_from(words) {
        Ok([word]) => Ok(word),
        Err(_) => Err(refuse(format!("{name} requires exactly one argument"))),
    }
}

fn env(config: &mut ContainerConfig, rest: &str, budget: &Cell<usize>) -> Result<()> {
    for (key, value) in pairs("ENV", rest, &Environment { entries: &config.env, budget })? {
        if key.is_empty() {
            return Err(refuse("ENV names can not be blank"));
        }
        let entry = format!("{key}={value}");
        let same = |known: &String| known.split_once('=').is_some_and(|(name, _)| name == key);
        match config.env.iter().position(same) {
            Some(at) => config.env[at] = entry,
            None => config.env.push(entry),
        }
    }
    Ok(())
}

fn label(config: &mut ContainerConfig, rest: &str, budget: &Cell<usize>) -> Result<()> {
    for (key, value) in pairs("LABEL", rest, &Environment { entries: &config.env, budget })? {
        if key.is_empty() {
            return Err(refuse("LABEL names can not be blank"));
        }
        config.labels.insert(key, value);
    }
    Ok(())
}

fn expose(config: &mut ContainerConfig, rest: &str, budget: &Cell<usize>) -> Result<()> {
    let mut ports = Vec::new();
    for word in fields(rest, &Environment { entries: &config.env, budget })? {
        let (range, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
        let protocol = protocol.to_ascii_lowercase();
        if !matches!(&*protocol, "tcp" | "udp" | "sctp") {
            return Err(refuse(format!("invalid proto: {protocol}")));
        }
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let port = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let number = if digits { text.parse::<u16>().ok() } else { None };
            number.ok_or_else(|| refuse(format!("invalid containerPort: {range}")))
        };
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(refuse(format!("invalid containerPort: {range}")));
        }
        // Ranges are cheap to write too: each port is a word.
        Environment { entries: &[], budget }.spend(8 * usize::from(last - first))?;
        ports.extend((first..=last).map(|number| format!("{number}/{protocol}")));
    }
    ports.sort_by_key(|port| port.split('/').next().and_then(|number| number.parse::<u16>().ok()));
    config.exposed_ports.extend(ports.into_iter().map(|port| (port, Empty {})));
    Ok(())
}

fn volume(config: &mut ContainerConfig, rest: &str, budget: &Cell<usize>) -> Result<()> {
    let paths = match array(rest)? {
        Some(paths) if paths.is_empty() => return Err(refuse("VOLUME requires at least one argument")),
        Some(paths) => paths
            .iter()
            .map(|path| expand(path, &Environment { entries: &config.env, budget }))
            .collect::<Result<_>>()?,
        None => fields(rest, &Environment { entries: &config.env, budget })?,
    };
    for path in paths {
        if path.trim().is_empty() {
            return Err(refuse("VOLUME specified can not be an empty string"));
        }
        config.volumes.insert(path.trim().to_owned(), Empty {});
    }
    Ok(())
}

/// Relative paths count from the directory set before.
fn working_dir(config: &ContainerConfig, rest: &str, budget: &Cell<usize>) -> Result<String> {
    let path = expand(rest, &Environment { entries: &config.env, budget })?;
    let start = if path.starts_with('/') { "" } else { config.working_dir.as_deref().unwrap_or("/") };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

const SIGNALS: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// A signal by number or name; the text is kept as it was written.
fn signal(config: &ContainerConfig, rest: &str, budget: &Cell<usize>) -> Result<String> {
    let text = one(config, "STOPSIGNAL", rest, budget)?;
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |(prefix, sign): (&str, char)| {
        name.strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix(sign))
            .and_then(|number| number.parse::<u8>().ok())
            .is_some_and(|number| (1..=15).contains(&number))
    };
    let known = SIGNALS.contains(&name)
        || [("RTMIN", '+'), ("RTMAX", '-')].into_iter().any(real_time)
        || text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    if known { Ok(text) } else { Err(refuse(format!("invalid signal: {text}"))) }
}

fn onbuild(config: &mut ContainerConfig, rest: &str) -> Result<()> {
    let trigger = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match &*trigger {
        "ONBUILD" => return Err(refuse("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")),
        "FROM" | "MAINTAINER" => {
            return Err(refuse(format!("{trigger} isn't allowed as an ONBUILD trigger")));
        }
        _ => {}
    }
    config.on_build.get_or_insert_default().push(rest.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(lines: &[&str]) -> Result<serde_json::Value> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        apply(ContainerConfig::default(), &lines).map(|config| serde_json::to_value(config).unwrap())
    }

    #[test]
    fn instructions() {
        for (lines, key, expect) in [
            (&["CMD [\"a\", \"b c\"]"][..], "Cmd", r#"["a","b c"]"#),
            (&["cmd echo $HOME"], "Cmd", r#"["/bin/sh","-c","echo $HOME"]"#),
            (&["CMD [1"], "Cmd", r#"["/bin/sh","-c","[1"]"#),
            (&["ENTRYPOINT [\"/x\"]"], "Entrypoint", r#"["/x"]"#),
            (&["ENV a=1 b=\"x y\" c='$a'"], "Env", r#"["a=1","b=x y","c=$a"]"#),
            (&["ENV a 1 2  3"], "Env", r#"["a=1 2  3"]"#),
            (&["ENV a=1", "ENV a=2 b=$a", "ENV c=${a}x"], "Env", r#"["a=2","b=1","c=2x"]"#),
            (&["ENV a=x\\ y"], "Env", r#"["a=x y"]"#),
            (&["LABEL \"a b\"=c d=\"e\\\"f\""], "Labels", r#"{"a b":"c","d":"e\"f"}"#),
            (&["LABEL a=1 \\", "  b=2"], "Labels", r#"{"a":"1","b":"2"}"#),
            (&["EXPOSE 80 53/UDP 8-9"], "ExposedPorts", r#"{"8/tcp":{},"9/tcp":{},"53/udp":{},"80/tcp":{}}"#),
            (&["VOLUME /a /b"], "Volumes", r#"{"/a":{},"/b":{}}"#),
            (&["VOLUME [\"/a b\"]"], "Volumes", r#"{"/a b":{}}"#),
            (&["USER me:us"], "User", r#""me:us""#),
            (&["WORKDIR /a/../b", "WORKDIR c"], "WorkingDir", r#""/b/c""#),
            (&["STOPSIGNAL SIGRTMIN+3"], "StopSignal", r#""SIGRTMIN+3""#),
            (&["ONBUILD RUN x"], "OnBuild", r#"["RUN x"]"#),
            (&["HEALTHCHECK NONE"], "Healthcheck", r#"{"Test":["NONE"]}"#),
            (
                &["HEALTHCHECK --interval=1m30s --retries=2 CMD curl x"],
                "Healthcheck",
                r#"{"Test":["CMD-SHELL","curl x"],"Interval":90000000000,"Retries":2}"#,
            ),
            (&["# comment\n\nUSER a"], "User", r#""a""#),
        ] {
            let found = change(lines).unwrap_or_else(|e| panic!("{lines:?}: {e}"));
            assert_eq!(found[key], serde_json::from_str::<serde_json::Value>(expect).unwrap(), "{lines:?}");
        }
    }

    #[test]
    fn the_shell_of_the_configuration_is_used() {
        for (shell, words) in [
            (None, &["/bin/sh", "-c"][..]),
            (Some(&[][..]), &["/bin/sh", "-c"]),
            (Some(&["/bin/ash", "-x", "-c"]), &["/bin/ash", "-x", "-c"]),
        ] {
            let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
            let config = ContainerConfig { shell: shell.map(own), ..ContainerConfig::default() };
            let changed = apply(config, &own(&["ENTRYPOINT x y", "CMD z", "HEALTHCHECK CMD h"])).unwrap();
            assert_eq!(changed.entrypoint.unwrap(), own(&[words, &["x y"]].concat()));
            assert_eq!(changed.cmd.unwrap(), own(&[words, &["z"]].concat()));
            assert_eq!(changed.healthcheck.unwrap().test, ["CMD-SHELL", "h"]);
            assert_eq!(changed.shell, shell.map(own));
        }
    }

    /// A few hundred bytes of a request must not become gigabytes, nor an endless stack (a daemon that aborts).
    #[test]
    fn expansion_bombs_are_refused() {
        let doubling: Vec<&str> =
            std::iter::once("ENV a=0123456789abcdef").chain([r"ENV a=$a$a"; 40]).collect();
        let wide = format!("ENV {}", (0..6000).map(|n| format!("v{n}=$a ")).collect::<String>());
        let mut many = doubling[..12].to_vec();
        many.push(&wide);
        let nested = format!("ENV a={}{}", "${b:-".repeat(12_000), "}".repeat(12_000));
        let ports = format!("EXPOSE {}", "1-65535 ".repeat(1000));
        for (lines, expect) in [
            (&doubling[..], "too much text"),
            (&many, "too much text"),
            (&[&*ports], "too much text"),
            (&[&*nested], "nested too deeply"),
        ] {
            let error = change(lines).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
        assert!(change(&["EXPOSE 1-65535"]).is_ok());
    }

    #[test]
    fn refusals() {
        for (line, message) in [
            ("RUN x", "run is not a valid change command"),
            ("FROM x", "from is not a valid change command"),
            ("ENV a", "ENV must have two arguments"),
            ("ENV a=1 b", "Syntax error - can't find = in \"b\". Must be of the form: name=value"),
            ("ENV =x", "ENV names can not be blank"),
            ("ENV", "ENV requires at least one argument"),
            ("EXPOSE x", "invalid containerPort: x"),
            ("EXPOSE 9-8", "invalid containerPort: 9-8"),
            ("EXPOSE 80/icmp", "invalid proto: icmp"),
            ("USER a b", "USER requires exactly one argument"),
            ("STOPSIGNAL NOPE", "invalid signal: NOPE"),
            ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
            ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
            ("HEALTHCHECK --interval=1us CMD x", "Interval \"interval\" cannot be less than 1ms"),
            ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
            ("HEALTHCHECK CMD []", "Missing command after HEALTHCHECK CMD"),
            ("HEALTHCHECK CMD [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
            ("CMD [\"a\", 1]", "when using JSON array syntax, arrays must be comprised of strings only"),
            ("ENTRYPOINT [null]", "when using JSON array syntax, arrays must be comprised of strings only"),
            ("VOLUME [[]]", "when using JSON array syntax, arrays must be comprised of strings only"),
            ("VOLUME []", "VOLUME requires at least one argument"),
            ("LABEL a=\"b", "unexpected end of statement while looking for matching double-quote"),
        ] {
            assert_eq!(change(&[line]).unwrap_err().to_string(), message, "{line}");
        }
    }
}
