//! Patterns of the `reference` filter: Go's `path.Match`. `*` and `?` stop at slashes, `[a-c]` and `[^a]` are classes,
//! a backslash takes the next character as it is. Linear but for stars, which go back at most once per character.

/// The pattern ends in the middle of a class or an escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPattern;

/// Whether the whole of `text` matches.
pub fn matches(pattern: &str, text: &str) -> Result<bool, BadPattern> {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    check(&pattern)?;
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last star does not match: one character more for the star.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if p == pattern.len() && t == text.len() {
            return Ok(true);
        }
        if pattern.get(p) == Some(&'*') {
            retry = Some((p, t));
            p += 1;
            continue;
        }
        if let Some(next) = text.get(t).and_then(|&c| one(&pattern, p, c)) {
            (p, t) = (next, t + 1);
            continue;
        }
        match retry {
            Some((star, taken)) if text.get(taken).is_some_and(|&c| c != '/') => {
                retry = Some((star, taken + 1));
                (p, t) = (star + 1, taken + 1);
            }
            _ => return Ok(false),
        }
    }
}

/// If the element of the pattern at `p` takes `c`: where the next element is.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '?' => (c != '/').then_some(p + 1),
        '[' => class(pattern, p, c),
        '\\' => (pattern.get(p + 1) == Some(&c)).then_some(p + 2),
        plain => (*plain == c).then_some(p + 1),
    }
}

fn class(pattern: &[char], start: usize, c: char) -> Option<usize> {
    let negated = pattern.get(start + 1) == Some(&'^');
    let mut p = start + 1 + usize::from(negated);
    let (first, mut found) = (p, false);
    while p == first || pattern.get(p) != Some(&']') {
        let (low, next) = member(pattern, p)?;
        p = next;
        let high = if pattern.get(p) == Some(&'-') {
            let (high, next) = member(pattern, p + 1)?;
            p = next;
            high
        } else {
            low
        };
        found |= (low..=high).contains(&c);
    }
    (found != negated).then_some(p + 1)
}

/// One character of a class, and where the next is.
fn member(pattern: &[char], p: usize) -> Option<(char, usize)> {
    match pattern.get(p)? {
        '-' | ']' => None,
        '\\' => Some((*pattern.get(p + 1)?, p + 2)),
        plain => Some((*plain, p + 1)),
    }
}

/// Refuses patterns that end too early, whatever the text.
fn check(pattern: &[char]) -> Result<(), BadPattern> {
    let mut p = 0;
    while p < pattern.len() {
        p = match pattern[p] {
            '\\' if p + 1 == pattern.len() => return Err(BadPattern),
            '\\' => p + 2,
            '[' => class_end(pattern, p).ok_or(BadPattern)?,
            _ => p + 1,
        };
    }
    Ok(())
}

fn class_end(pattern: &[char], start: usize) -> Option<usize> {
    let mut p = start + 1 + usize::from(pattern.get(start + 1) == Some(&'^'));
    let first = p;
    while p == first || pattern.get(p) != Some(&']') {
        p = member(pattern, p)?.1;
        if pattern.get(p) == Some(&'-') {
            p = member(pattern, p + 1)?.1;
        }
    }
    Some(p + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, expect) in [
            ("busybox", "busybox", true),
            ("busy*", "busybox", true),
            ("busy*", "busybox:latest", true),
            ("*", "a/b", false),
            ("*/*", "a/b", true),
            ("b*s?box:*", "busybox:1.36", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xaxx", false),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
        ] {
            assert_eq!(matches(pattern, text), Ok(expect), "{pattern} {text}");
        }
        for bad in ["[", "[]", "[a", "\\", "[a-", "[^]"] {
            assert_eq!(matches(bad, "a"), Err(BadPattern), "{bad}");
        }
    }

    #[test]
    fn many_stars_cost_no_exponential_time() {
        let pattern = "*a".repeat(50) + "b";
        assert_eq!(matches(&pattern, &"a".repeat(5000)), Ok(false));
    }
}
