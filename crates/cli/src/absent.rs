//! Docker's commands that this version does not have, with what there is instead.

/// Names, of which any may also stand behind `container`, `image` or `system`, and one sentence.
const ABSENT: &[(&[&str], &str)] = &[
    (
        &["build", "buildx", "builder", "bake"],
        "build images with another tool and bring them in with 'pull' or 'load'; small changes can be kept with 'commit'",
    ),
    (&["compose"], "start each container with 'run', or use the services of systemd"),
    (&["volume"], "keep data in folders of the host with --volume /folder:/folder"),
    (&["cp"], "use 'exec' with tar, or a folder of the host that both see (--volume)"),
    (&["export"], "use 'commit' and 'save', or 'exec' with tar"),
    (&["context"], "name the daemon with -H or DOCKER_HOST"),
    (&["plugin"], "the engine has no plugins; everything it can do is in its one executable"),
    (&["trust"], "pull an image by its digest to be sure of what it is"),
    (&["checkpoint"], "use 'pause' and 'unpause' to hold a container"),
    (
        &["swarm", "stack", "service", "node", "secret", "config"],
        "containers on several machines are the business of Kubernetes",
    ),
];

/// The command that these words name and what to do instead, when it is one that Docker has and we don't.
pub fn find(words: &[String]) -> Option<(String, &'static str)> {
    let known =
        |word: &str| ABSENT.iter().find(|(names, _)| names.contains(&word)).map(|(_, instead)| *instead);
    let first = words.first()?.as_str();
    let second = words.get(1).map(String::as_str).unwrap_or_default();
    match (first, second) {
        ("container", "cp" | "export") | ("image", "build") => {
            Some((format!("{first} {second}"), known(second)?))
        }
        _ => Some((first.to_string(), known(first)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_is_named_and_no_command_of_ours_is() {
        let named = |line: &str| {
            let words: Vec<String> = line.split(' ').map(String::from).collect();
            find(&words).map(|(name, _)| name)
        };
        assert_eq!(named("volume ls").as_deref(), Some("volume"));
        assert_eq!(named("swarm init").as_deref(), Some("swarm"));
        assert_eq!(named("container cp a b").as_deref(), Some("container cp"));
        assert_eq!(named("image build .").as_deref(), Some("image build"));
        for line in ["ps", "container ls", "container nope", "image", "bogus", "system df"] {
            assert_eq!(named(line), None, "{line}");
        }
        for (names, instead) in ABSENT {
            assert!(!instead.is_empty() && !instead.ends_with('.'), "{names:?}");
            for name in *names {
                assert!(crate::tree::find(&[name.to_string()]).is_none(), "{name} is there");
            }
        }
    }
}
