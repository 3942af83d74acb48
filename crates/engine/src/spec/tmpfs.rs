//! Options of tmpfs mounts: Docker's defaults (`noexec,nosuid,nodev`), the ones that are allowed, the last of each
//! kind winning.

use boxship_api::mount::TmpfsOptions;

use crate::{Error, Result};

const DEFAULTS: [&str; 4] = ["noexec", "nosuid", "nodev", "rprivate"];
/// Flags that exclude each other.
const FLAGS: [&[&str]; 13] = [
    &["ro", "rw"],
    &["suid", "nosuid"],
    &["dev", "nodev"],
    &["exec", "noexec"],
    &["sync", "async"],
    &["dirsync"],
    &["mand", "nomand"],
    &["atime", "noatime"],
    &["diratime", "nodiratime"],
    &["relatime", "norelatime"],
    &["strictatime", "nostrictatime"],
    &["private", "rprivate", "shared", "rshared", "slave", "rslave"],
    &["unbindable", "runbindable"],
];
const VALUES: [&str; 7] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];

/// The options for the runtime of a tmpfs with `options` (comma-separated) on top of the defaults.
pub fn merge(options: &str) -> Result<Vec<String>> {
    let asked = options.split(',').filter(|option| !option.is_empty() && *option != "defaults");
    let mut merged: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for option in DEFAULTS.into_iter().chain(asked).collect::<Vec<_>>().into_iter().rev() {
        if seen.insert(kind_of(option)?) {
            merged.insert(0, option.to_owned());
        }
    }
    Ok(merged)
}

/// What an option sets; two options of one kind exclude each other.
fn kind_of(option: &str) -> Result<&'static str> {
    let flag = FLAGS.iter().find(|group| group.contains(&option)).map(|group| group[0]);
    let value = option.split_once('=').and_then(|(key, _)| VALUES.into_iter().find(|&known| known == key));
    flag.or(value).ok_or_else(|| {
        let parts: Vec<&str> = option.splitn(2, '=').collect();
        let quoted: Vec<String> = parts.iter().map(|part| format!("{part:?}")).collect();
        Error::invalid(format!("Invalid tmpfs option [{}]", quoted.join(" ")))
    })
}

/// The options of `--mount type=tmpfs` in the form of `--tmpfs`.
pub fn from_mount(options: Option<&TmpfsOptions>, read_only: bool) -> Result<String, String> {
    let mut result = Vec::new();
    if read_only {
        result.push("ro".to_owned());
    }
    let Some(options) = options else { return Ok(result.join(",")) };
    if options.mode != 0 {
        result.push(format!("mode={:o}", options.mode));
    }
    if options.size_bytes != 0 {
        result.push(size(options.size_bytes));
    }
    for option in &options.options {
        match option.as_slice() {
            [name] if matches!(&**name, "exec" | "noexec") => result.push(name.clone()),
            [name, ..] if !matches!(&**name, "exec" | "noexec") => {
                return Err(format!("invalid option: {name}"));
            }
            _ => return Err("invalid option array length".to_owned()),
        }
    }
    Ok(result.join(","))
}

fn size(bytes: i64) -> String {
    for (suffix, unit) in [("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)] {
        if bytes % unit == 0 {
            return format!("size={}{suffix}", bytes / unit);
        }
    }
    format!("size={bytes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_kind_wins() {
        for (options, expect) in [
            ("", "noexec,nosuid,nodev,rprivate"),
            ("exec,size=1m", "nosuid,nodev,rprivate,exec,size=1m"),
            ("size=1m,size=2m,rw", "noexec,nosuid,nodev,rprivate,size=2m,rw"),
            ("mode=1777,uid=5,shared", "noexec,nosuid,nodev,mode=1777,uid=5,shared"),
        ] {
            assert_eq!(merge(options).unwrap().join(","), expect, "{options}");
        }
        for (bad, message) in [
            ("foo", "Invalid tmpfs option [\"foo\"]"),
            ("a=b", "Invalid tmpfs option [\"a\" \"b\"]"),
            ("bind", "Invalid tmpfs option [\"bind\"]"),
        ] {
            assert_eq!(merge(bad).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn mount_options_become_text() {
        let options = |size, mode, words: &[&str]| TmpfsOptions {
            size_bytes: size,
            mode,
            options: words.iter().map(|&word| vec![word.to_owned()]).collect(),
        };
        let run = |options: &TmpfsOptions, read_only| from_mount(Some(options), read_only);
        assert_eq!(run(&options(3 << 20, 0o700, &["exec"]), true).unwrap(), "ro,mode=700,size=3m,exec");
        assert_eq!(run(&options(1000, 0, &[]), false).unwrap(), "size=1000");
        assert_eq!(run(&options(0, 0, &["suid"]), false).unwrap_err(), "invalid option: suid");
        assert_eq!(from_mount(None, false).unwrap(), "");
    }
}
