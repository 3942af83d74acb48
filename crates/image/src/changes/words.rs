//! Words of an instruction as Dockerfiles have them: quotes, backslashes, `$variables` from ENV.

use std::cell::Cell;

use super::refuse;
use crate::Result;

/// Variables within the defaults of variables: none that a person writes are deeper, and each is a call on the stack.
const MAX_DEPTH: u32 = 16;

/// Where variables are looked up.
pub(super) struct Environment<'a> {
    /// `NAME=value` strings.
    pub entries: &'a [String],
    /// Bytes that expanded words may still come to.
    pub budget: &'a Cell<usize>,
}

impl Environment<'_> {
    /// Counts expanded text; an error when there is too much of it.
    pub(super) fn spend(&self, bytes: usize) -> Result<()> {
        let left = self.budget.get().checked_sub(bytes);
        self.budget.set(left.ok_or_else(|| refuse("the instructions expand to too much text"))?);
        Ok(())
    }

    /// A variable's value, which counts as expanded text.
    fn get(&self, name: &str) -> Result<Option<&str>> {
        let pairs = self.entries.iter().filter_map(|entry| entry.split_once('='));
        let value = pairs.rev().find(|(key, _)| *key == name).map(|(_, value)| value);
        self.spend(value.map_or(0, str::len))?;
        Ok(value)
    }
}

/// Splits at white space outside of quotes and expands each word.
pub(super) fn fields(text: &str, environment: &Environment<'_>) -> Result<Vec<String>> {
    split(text).iter().map(|word| expand(word, environment)).collect()
}

/// `name=value` words, or the old form of one name and the rest of the line.
pub(super) fn pairs(name: &str, text: &str, environment: &Environment<'_>) -> Result<Vec<(String, String)>> {
    let words = split(text);
    if words.first().is_some_and(|word| !word.contains('=')) {
        let (key, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| refuse(format!("{name} must have two arguments")))?;
        return Ok(vec![(expand(key, environment)?, expand(value.trim_start(), environment)?)]);
    }
    words
        .iter()
        .map(|word| {
            let (key, value) = word.split_once('=').ok_or_else(|| {
                refuse(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value"))
            })?;
            Ok((expand(key, environment)?, expand(value, environment)?))
        })
        .collect()
}

/// Raw words, with their quotes and backslashes.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, letter) if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), letter) if letter == open => quote = None,
            (None | Some('"'), '\\') => {
                word.push('\\');
                if let Some(next) = letters.next() {
                    word.push(next);
                }
                continue;
            }
            _ => {}
        }
        word.push(letter);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Removes quotes and backslashes, and puts values in the place of variables.
pub(super) fn expand(word: &str, environment: &Environment<'_>) -> Result<String> {
    environment.spend(word.len())?;
    expand_within(word, environment, 0)
}

fn expand_within(word: &str, environment: &Environment<'_>, depth: u32) -> Result<String> {
    if depth > MAX_DEPTH {
        return Err(refuse("syntax error: substitutions are nested too deeply"));
    }
    let mut out = String::new();
    let mut letters = word.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\'' if !quoted => loop {
                match letters.next() {
                    Some('\'') => break,
                    Some(letter) => out.push(letter),
                    None => return Err(unmatched("single-quote")),
                }
            },
            '"' => quoted = !quoted,
            '\\' => match letters.next() {
                Some(next) if quoted && !matches!(next, '"' | '$' | '\\') => out.extend(['\\', next]),
                Some(next) => out.push(next),
                None => out.push('\\'),
            },
            '$' => out.push_str(&variable(&mut letters, environment, depth)?),
            letter => out.push(letter),
        }
    }
    if quoted { Err(unmatched("double-quote")) } else { Ok(out) }
}

fn unmatched(quote: &str) -> crate::Error {
    refuse(format!("unexpected end of statement while looking for matching {quote}"))
}

type Letters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:+instead}`.
fn variable(letters: &mut Letters<'_>, environment: &Environment<'_>, depth: u32) -> Result<String> {
    if letters.next_if_eq(&'{').is_none() {
        let name = name(letters);
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        return Ok(environment.get(&name)?.unwrap_or_default().to_owned());
    }
    let name = name(letters);
    let mut modifier = String::new();
    let mut open = 1;
    loop {
        let letter = letters.next().ok_or_else(|| refuse("syntax error: missing '}'"))?;
        match letter {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            break;
        }
        modifier.push(letter);
    }
    let value = environment.get(&name)?.filter(|value| !value.is_empty() || !modifier.starts_with(':'));
    let operator = modifier.strip_prefix(':').unwrap_or(&modifier);
    match (operator.split_at_checked(1), value) {
        _ if name.is_empty() => Err(refuse("syntax error: bad substitution")),
        (None, value) if modifier.is_empty() => Ok(value.unwrap_or_default().to_owned()),
        (Some(("-", _)), Some(value)) => Ok(value.to_owned()),
        (Some(("-", default)), None) => expand_within(default, environment, depth + 1),
        (Some(("+", instead)), Some(_)) => expand_within(instead, environment, depth + 1),
        (Some(("+", _)), None) => Ok(String::new()),
        _ => Err(refuse(format!("unsupported modifier ({modifier}) in substitution"))),
    }
}

fn name(letters: &mut Letters<'_>) -> String {
    let mut name = String::new();
    while let Some(letter) = letters.next_if(|letter| letter.is_ascii_alphanumeric() || *letter == '_') {
        name.push(letter);
    }
    name
}
