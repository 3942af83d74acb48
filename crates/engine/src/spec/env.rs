//! The environment: Docker's defaults, then what image and request say. A name without value removes a default.

/// Docker's search path.
pub const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment of a container's process; HOME is the runtime's business.
pub fn environment(hostname: &str, tty: bool, env: &[String]) -> Vec<String> {
    let mut defaults = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if tty {
        defaults.push("TERM=xterm".to_owned());
    }
    overlay(defaults, env)
}

/// The name of an entry.
pub fn name(entry: &str) -> &str {
    entry.split('=').next().unwrap_or_default()
}

/// `base` with entries replaced by those of the same name in `env`, removed by bare names, and the rest appended.
pub fn overlay(mut base: Vec<String>, env: &[String]) -> Vec<String> {
    let names: std::collections::HashMap<String, usize> =
        base.iter().enumerate().map(|(index, entry)| (name(entry).to_owned(), index)).collect();
    let mut removed = std::collections::HashSet::new();
    for entry in env {
        match (names.get(name(entry)), entry.contains('=')) {
            (Some(&index), true) => {
                base[index].clone_from(entry);
                removed.remove(&index);
            }
            (Some(&index), false) => drop(removed.insert(index)),
            (None, true) => base.push(entry.clone()),
            (None, false) => {}
        }
    }
    let mut index = 0;
    base.retain(|_| {
        index += 1;
        !removed.contains(&(index - 1))
    });
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_replaced_removed_and_followed() {
        let env = |list: &[&str]| list.iter().map(|&e| e.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            environment("box", true, &env(&["HOSTNAME=other", "TERM", "X=1", "Y", "X=2"])),
            [DEFAULT_PATH, "HOSTNAME=other", "X=1", "X=2"]
        );
        assert_eq!(environment("box", false, &[]), [DEFAULT_PATH, "HOSTNAME=box"]);
    }
}
