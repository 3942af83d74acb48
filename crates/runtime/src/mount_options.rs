//! The options of a mount, from the specification's words to the kernel's bits. Pure.

use boxship_sys::mount::{attr, propagation};

/// What the options of one mount ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `bind` or `rbind`; the latter takes everything below along.
    pub bind: Option<Bind>,
    /// Only the attributes of what is mounted there already are changed.
    pub remount: bool,
    /// Attribute bits to set on the mount itself.
    pub set: u64,
    /// Attribute bits to clear on the mount itself.
    pub clear: u64,
    /// Attribute bits to set on the mount and all below it.
    pub set_all: u64,
    /// Attribute bits to clear on the mount and all below it.
    pub clear_all: u64,
    /// Propagation changes in order: value, and whether for all below too.
    pub propagation: Vec<(u64, bool)>,
    /// The content of the place is copied into the new tmpfs.
    pub copy_up: bool,
    /// Owners are mapped; `Some(true)` for all mounts below too.
    pub idmap: Option<bool>,
    /// What the file system itself is told: key and value.
    pub data: Vec<(String, Option<String>)>,
}

/// How much of the source a bind mount shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bind {
    /// The source's own file system.
    Alone,
    /// With everything mounted below it.
    Recursive,
}

/// Words for one attribute bit, without the prefix `r` of their recursive forms.
/// (word, bit, whether it sets; clearing the access time field means "relatime", the kernel's default.)
const ATTRIBUTES: &[(&str, u64, bool)] = &[
    ("ro", attr::RDONLY, true),
    ("rw", attr::RDONLY, false),
    ("nosuid", attr::NOSUID, true),
    ("suid", attr::NOSUID, false),
    ("nodev", attr::NODEV, true),
    ("dev", attr::NODEV, false),
    ("noexec", attr::NOEXEC, true),
    ("exec", attr::NOEXEC, false),
    ("nodiratime", attr::NODIRATIME, true),
    ("diratime", attr::NODIRATIME, false),
    ("nosymfollow", attr::NOSYMFOLLOW, true),
    ("symfollow", attr::NOSYMFOLLOW, false),
    ("noatime", attr::NOATIME, true),
    ("atime", attr::ATIME, false),
    ("relatime", attr::ATIME, false),
    ("norelatime", 0, true),
    ("strictatime", attr::STRICTATIME, true),
    ("nostrictatime", attr::ATIME, false),
];

const PROPAGATIONS: &[(&str, u64)] = &[
    ("shared", propagation::SHARED),
    ("slave", propagation::SLAVE),
    ("private", propagation::PRIVATE),
    ("unbindable", propagation::UNBINDABLE),
];

/// Flags of the file system, not of the mount, that mount(8) writes as bare words.
const FILE_SYSTEM_FLAGS: &[&str] = &["sync", "dirsync", "lazytime", "mand", "iversion", "silent"];
/// Their opposites and other words that ask for what is the default anyway.
const DEFAULTS: &[&str] = &["defaults", "async", "nolazytime", "nomand", "noiversion", "loud"];

impl Options {
    /// Reads the options of the specification. Words nobody knows are the file system's business.
    pub(crate) fn parse<S: AsRef<str>>(words: &[S]) -> Self {
        let mut options = Self::default();
        for word in words {
            options.add(word.as_ref());
        }
        options
    }

    fn add(&mut self, word: &str) {
        match word {
            "bind" => self.bind = Some(self.bind.unwrap_or(Bind::Alone)),
            "rbind" => self.bind = Some(Bind::Recursive),
            "remount" => self.remount = true,
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.idmap = Some(self.idmap.unwrap_or(false)),
            "ridmap" => self.idmap = Some(true),
            "" => {}
            _ if DEFAULTS.contains(&word) => {}
            _ if FILE_SYSTEM_FLAGS.contains(&word) => self.data.push((word.to_owned(), None)),
            _ => {
                if !(self.add_attribute(word) || self.add_propagation(word)) {
                    self.add_data(word);
                }
            }
        }
    }

    fn add_attribute(&mut self, word: &str) -> bool {
        let find = |name: &str| ATTRIBUTES.iter().find(|(known, ..)| *known == name).copied();
        // `relatime` and `ro` begin with an r of their own, so the plain form is tried first.
        if let Some((_, bit, sets)) = find(word) {
            change(&mut self.set, &mut self.clear, bit, sets);
            return true;
        }
        let Some((_, bit, sets)) = word.strip_prefix('r').and_then(find) else { return false };
        change(&mut self.set_all, &mut self.clear_all, bit, sets);
        true
    }

    fn add_propagation(&mut self, word: &str) -> bool {
        let find =
            |name: &str| PROPAGATIONS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        if let Some(value) = find(word) {
            self.propagation.push((value, false));
            return true;
        }
        let Some(value) = word.strip_prefix('r').and_then(find) else { return false };
        self.propagation.push((value, true));
        true
    }

    fn add_data(&mut self, word: &str) {
        self.data.push(match word.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (word.to_owned(), None),
        });
    }
}

/// The last word about a bit counts. The access time is a field of several bits: setting one value clears the others.
fn change(set: &mut u64, clear: &mut u64, bit: u64, sets: bool) {
    if bit & attr::ATIME != 0 {
        *set &= !attr::ATIME;
        *clear |= attr::ATIME;
    } else {
        *set &= !bit;
        *clear |= bit;
    }
    if sets {
        *set |= bit;
        if bit & attr::ATIME == 0 {
            *clear &= !bit;
        }
    }
}

/// A propagation as `rootfsPropagation` writes it.
pub(crate) fn root_propagation(word: &str) -> Option<(u64, bool)> {
    let find = |name: &str| PROPAGATIONS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    find(word).map(|value| (value, false)).or_else(|| Some((find(word.strip_prefix('r')?)?, true)))
}

/// Every word this runtime understands, for `features`.
pub fn known_words() -> Vec<String> {
    let attributes = ATTRIBUTES.iter().flat_map(|(word, ..)| [(*word).to_owned(), format!("r{word}")]);
    let propagations = PROPAGATIONS.iter().flat_map(|(word, _)| [(*word).to_owned(), format!("r{word}")]);
    let others = ["bind", "rbind", "remount", "tmpcopyup", "idmap", "ridmap"];
    let mut words: Vec<String> = attributes
        .chain(propagations)
        .chain(others.iter().chain(FILE_SYSTEM_FLAGS).chain(DEFAULTS).map(|word| (*word).to_owned()))
        .collect();
    words.sort();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_bits() {
        let cases: &[(&[&str], Options)] = &[
            (
                &["rbind", "ro"],
                Options { bind: Some(Bind::Recursive), set: attr::RDONLY, ..Options::default() },
            ),
            (&["ro", "rw"], Options { clear: attr::RDONLY, ..Options::default() }),
            (
                &["noatime", "strictatime"],
                Options { set: attr::STRICTATIME, clear: attr::ATIME, ..Options::default() },
            ),
            (
                &["rro", "rnosuid", "rdev"],
                Options {
                    set_all: attr::RDONLY | attr::NOSUID,
                    clear_all: attr::NODEV,
                    ..Options::default()
                },
            ),
            (&["rrelatime"], Options { clear_all: attr::ATIME, ..Options::default() }),
            (
                &["rprivate", "slave"],
                Options {
                    propagation: vec![(propagation::PRIVATE, true), (propagation::SLAVE, false)],
                    ..Options::default()
                },
            ),
            (
                &["size=64k", "defaults", "noswap", "sync"],
                Options {
                    data: vec![
                        ("size".into(), Some("64k".into())),
                        ("noswap".into(), None),
                        ("sync".into(), None),
                    ],
                    ..Options::default()
                },
            ),
            (
                &["bind", "ridmap", "tmpcopyup"],
                Options { bind: Some(Bind::Alone), idmap: Some(true), copy_up: true, ..Options::default() },
            ),
        ];
        for (words, expected) in cases {
            assert_eq!(&Options::parse(words), expected, "{words:?}");
        }
    }

    #[test]
    fn propagation_of_the_root() {
        assert_eq!(root_propagation("rslave"), Some((propagation::SLAVE, true)));
        assert_eq!(root_propagation("shared"), Some((propagation::SHARED, false)));
        assert_eq!(root_propagation("nonsense"), None);
    }
}
