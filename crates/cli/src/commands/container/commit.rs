//! `commit`: an image from what a container has changed.

use boxship_client::Query;
use boxship_oci::reference::Reference;
use serde_json::{Value, json};

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::{Flag, Parsed};
use crate::invocation::Invocation;

/// `commit`.
pub const COMMIT: Command = Command {
    name: "commit",
    usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    about: "Create a new image from a container's changes",
    operands: Operands::Between(1, 2),
    mixed: true,
    flags: &[
        Flag::value("author", "string", "Who made it (\"Jane Doe <jane@example.org>\")").short('a'),
        Flag::list("change", "Apply a Dockerfile instruction to the image").short('c'),
        Flag::value("message", "string", "What was changed").short('m'),
        Flag::switch("pause", "Pause the container meanwhile").short('p').default("true"),
    ],
    shared: &[],
    aliases: &["container commit", "commit"],
    action: action!(commit),
};

async fn commit(invocation: &Invocation) -> Result<u8> {
    let query = query(&invocation.parsed)?;
    let made: Value = invocation.client().await?.post("/commit", query, &json!({})).await?;
    invocation.line(made["Id"].as_str().unwrap_or_default())?;
    Ok(0)
}

fn query(parsed: &Parsed) -> Result<Query> {
    let mut query = Query::new().set("container", parsed.operand(0));
    let name = parsed.operand(1);
    if !name.is_empty() {
        let name = Reference::parse(name).map_err(|why| Failure::new(why.to_string()))?;
        if name.digest().is_some() {
            return Err(Failure::new("refusing to create a tag with a digest reference"));
        }
        let name = name.tagged();
        query = query.set("repo", name.familiar_name()).maybe("tag", name.tag());
    }
    query = query.maybe("author", parsed.filled("author")).maybe("comment", parsed.filled("message"));
    if !parsed.on_or("pause", true) {
        query = query.set("pause", 0);
    }
    Ok(parsed.list("change").into_iter().fold(query, |query, change| query.set("changes", change)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_a_query() {
        let read = |line: &str| {
            let words: Vec<String> = line.split(' ').map(String::from).collect();
            query(&crate::flags::parse(COMMIT.flags, true, &words).unwrap())
        };
        let set = |pairs: &[(&str, &str)]| {
            pairs.iter().fold(Query::new(), |query, (name, value)| query.set(name, value))
        };
        for (line, expected) in [
            ("box", set(&[("container", "box")])),
            ("box img", set(&[("container", "box"), ("repo", "img"), ("tag", "latest")])),
            (
                "-a me -m hi -p=false -c USER=1 -c ENV=2 box r.io/img:2",
                set(&[
                    ("container", "box"),
                    ("repo", "r.io/img"),
                    ("tag", "2"),
                    ("author", "me"),
                    ("comment", "hi"),
                    ("pause", "0"),
                    ("changes", "USER=1"),
                    ("changes", "ENV=2"),
                ]),
            ),
        ] {
            assert_eq!(format!("{:?}", read(line).unwrap()), format!("{expected:?}"), "{line}");
        }
        assert!(read("box BAD::").is_err());
    }
}
