//! The group that may use the unix socket, read from /etc/group: the system's own look-up would load
//! foreign code into a static executable.

use std::io::Read;

use crate::error::Error;

/// Group files of directories can be large, but not larger than this.
const LONGEST: u64 = 16 << 20;

/// The number of a group; one that nobody asked for may be missing.
pub(crate) fn resolve((name, asked_for): &(String, bool)) -> Result<u32, Error> {
    let mut groups = String::new();
    let read =
        std::fs::File::open("/etc/group").and_then(|file| file.take(LONGEST).read_to_string(&mut groups));
    if read.is_err() {
        groups.clear();
    }
    match find(&groups, name) {
        Some(number) => Ok(number),
        None if *asked_for => Err(Error::Configuration {
            why: format!("group {name} not found: create it or choose another with --group"),
        }),
        None => Ok(0),
    }
}

fn find(groups: &str, name: &str) -> Option<u32> {
    let by_name = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    by_name.or_else(|| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn groups() {
        let file = "root:x:0:\n# docker\nbroken\ndocker:x:998:a,b\nodd:x:nan:\n";
        for (name, expect) in
            [("docker", Some(998)), ("root", Some(0)), ("odd", None), ("none", None), ("1000", Some(1000))]
        {
            assert_eq!(find(file, name), expect, "{name}");
        }
    }
}
