//! The rights file: one line for each user and pattern of repositories.
//!
//! ```text
//! # who        where          what
//! anonymous    public/**      pull
//! *            team/*         pull,push
//! alice        **             *
//! ```
//!
//! `anonymous` are callers without a name, `*` everybody with one. `*` in a pattern stands for anything within a
//! component, `**` for anything. What no line allows is forbidden; there are no lines that forbid.

use super::Action;
use crate::name::matches;

/// All lines.
#[derive(Debug, Default)]
pub(super) struct Rights(Vec<Line>);

#[derive(Debug)]
struct Line {
    who: Who,
    pattern: String,
    actions: Vec<Action>,
}

#[derive(Debug, PartialEq)]
enum Who {
    Anonymous,
    Everybody,
    User(String),
}

pub(super) fn parse(text: &str) -> Result<Rights, String> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        let wrong = |why: &str| format!("line {}: {why}", number + 1);
        let [who, pattern, actions] = words[..] else {
            if words.is_empty() {
                continue;
            }
            return Err(wrong("expected a user, a pattern of repositories, and pull, push or delete"));
        };
        let who = match who {
            "anonymous" => Who::Anonymous,
            "*" => Who::Everybody,
            name => Who::User(name.to_owned()),
        };
        let mut allowed = Vec::new();
        for action in actions.split(',') {
            match action {
                "pull" => allowed.push(Action::Pull),
                "push" => allowed.push(Action::Push),
                "delete" => allowed.push(Action::Delete),
                "*" => allowed.extend([Action::Pull, Action::Push, Action::Delete]),
                other => return Err(wrong(&format!("{other:?} is none of pull, push, delete, *"))),
            }
        }
        lines.push(Line { who, pattern: pattern.to_owned(), actions: allowed });
    }
    Ok(Rights(lines))
}

impl Rights {
    fn of<'a>(&'a self, name: Option<&'a str>, action: Action) -> impl Iterator<Item = &'a Line> {
        self.0.iter().filter(move |line| {
            let means = match (&line.who, name) {
                (Who::Anonymous, _) => true,
                (Who::Everybody, Some(_)) => true,
                (Who::User(user), Some(name)) => user == name,
                _ => false,
            };
            means && line.actions.contains(&action)
        })
    }

    /// Whether this user (`None`: nobody) may do this to the repository. Who has a name may do what nobody may.
    pub(super) fn allow(&self, name: Option<&str>, repository: &str, action: Action) -> bool {
        self.of(name, action).any(|line| matches(&line.pattern, repository))
    }

    /// Whether this user may do this to every repository.
    pub(super) fn allow_everywhere(&self, name: Option<&str>, action: Action) -> bool {
        self.of(name, action).any(|line| line.pattern == "**")
    }

    /// Whether any line is about callers without a name.
    pub(super) fn serve_nobody(&self) -> bool {
        self.0.iter().any(|line| line.who == Who::Anonymous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_allow() {
        let text = "# c\nanonymous public/** pull\n* team/* pull,push # x\n\nalice ** *\n";
        let rights = parse(text).unwrap();
        for (name, repository, action, expect) in [
            (None, "public/a/b", Action::Pull, true),
            (None, "public/a", Action::Push, false),
            (None, "team/a", Action::Pull, false),
            (Some("bob"), "public/a", Action::Pull, true),
            (Some("bob"), "team/a", Action::Push, true),
            (Some("bob"), "team/a", Action::Delete, false),
            (Some("bob"), "team/a/b", Action::Pull, false),
            (Some("alice"), "anything/at/all", Action::Delete, true),
        ] {
            assert_eq!(rights.allow(name, repository, action), expect, "{name:?} {repository} {action:?}");
        }
        assert!(rights.allow_everywhere(Some("alice"), Action::Pull));
        assert!(!rights.allow_everywhere(Some("bob"), Action::Pull));
        assert!(rights.serve_nobody());
    }

    #[test]
    fn slips_are_told() {
        assert!(parse("alice a").unwrap_err().starts_with("line 1"));
        assert!(parse("\nalice a pulll").unwrap_err().starts_with("line 2"));
        assert!(!parse("").unwrap().allow(Some("alice"), "a", Action::Pull));
    }
}
