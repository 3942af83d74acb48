//! Names: Docker's rule for them, and generated ones from our own lists (adjective_scientist).

/// One word a line; `--` divides adjectives from scientists.
const WORDS: &str = include_str!("names.txt");

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]+`, without slash.
pub(crate) fn is_valid(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() >= 2
        && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// A name without the slash that Docker writes before it.
pub(crate) fn plain(name: &str) -> &str {
    name.strip_prefix('/').unwrap_or(name)
}

/// A name by chance; later attempts end in a digit, so that a free one is found.
pub(crate) fn generate(attempt: u32) -> String {
    let (adjectives, scientists) = WORDS.split_once("--\n").unwrap_or((WORDS, WORDS));
    let name = format!("{}_{}", any(adjectives), any(scientists));
    if attempt == 0 { name } else { format!("{name}{}", random() % 10) }
}

fn any(list: &str) -> &str {
    let count = list.lines().count().max(1);
    list.lines().nth(random() as usize % count).unwrap_or("plain")
}

fn random() -> u32 {
    getrandom::u32().unwrap_or_default()
}

/// A new id. Never all digits in its short form: it would be an awkward host name.
pub(crate) fn new_id() -> crate::Result<boxship_oci::ContainerId> {
    loop {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| crate::Error::internal(format!("draw an id: {error}")))?;
        let id = boxship_oci::ContainerId::from_random(bytes);
        if !id.short_is_number() {
            return Ok(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_valid_names() {
        let (adjectives, scientists) = WORDS.split_once("--\n").unwrap();
        assert!(adjectives.lines().count() >= 90 && scientists.lines().count() >= 120);
        for word in adjectives.lines().chain(scientists.lines()) {
            assert!(word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
        }
        for attempt in 0..6 {
            assert!(is_valid(&generate(attempt)));
        }
    }

    #[test]
    fn ids_are_64_digits() {
        let id = new_id().unwrap();
        assert_eq!(id.as_str().len(), 64);
        assert!(id != new_id().unwrap());
    }
}
