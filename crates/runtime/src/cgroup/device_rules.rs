//! Which devices a container may use: the rules of the specification, reduced to what the kernel can hold.
//!
//! The specification's list is applied in order onto "everything denied", as runc does, and the devices that every
//! program expects are allowed last. The result is a default and its exceptions; v1 writes them to `devices.deny`
//! and `devices.allow`, v2 compiles them (`device_program`), so both enforce the same.

use std::collections::BTreeMap;
use std::fmt;

use boxship_oci::runtime::{DeviceKind, DeviceRule};

use super::directory::Directory;
use super::error::{Error, Result};

/// What may be done with a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Access(u8);

impl Access {
    pub(super) const MAKE: Self = Self(1);
    pub(super) const READ: Self = Self(2);
    pub(super) const WRITE: Self = Self(4);
    pub(super) const ALL: Self = Self(7);

    /// As `BPF_DEVCG_ACC_*` and as the kernel's v1 code count them.
    pub(super) fn bits(self) -> u8 {
        self.0
    }

    fn parse(text: &str) -> Result<Self> {
        text.chars().try_fold(Self(0), |access, letter| match letter {
            'm' => Ok(Self(access.0 | Self::MAKE.0)),
            'r' => Ok(Self(access.0 | Self::READ.0)),
            'w' => Ok(Self(access.0 | Self::WRITE.0)),
            _ => Err(invalid(format!("access {text:?} has letters other than r, w and m"))),
        })
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MAKE, "m")] {
            if self.0 & bit.0 != 0 {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// One device or a family of them; `None` is "any number".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Device {
    pub block: bool,
    pub major: Option<u32>,
    pub minor: Option<u32>,
}

impl Device {
    fn line(self, access: Access) -> String {
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
        let kind = if self.block { 'b' } else { 'c' };
        format!("{kind} {}:{} {access}", number(self.major), number(self.minor))
    }

    /// Whether some device belongs to both, without the two being the same.
    fn overlaps(self, other: Self) -> bool {
        let meets = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        self != other
            && self.block == other.block
            && meets(self.major, other.major)
            && meets(self.minor, other.minor)
    }
}

/// A default and its exceptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rules {
    pub allow_by_default: bool,
    pub exceptions: BTreeMap<Device, Access>,
}

/// What runc adds to every container (`AllowedDevices` in its specconv): making of any node, and null, random,
/// full, tty, zero, urandom, the pseudo terminals and ptmx.
const DEFAULT: &[(Device, Access)] = &[
    (Device { block: false, major: None, minor: None }, Access::MAKE),
    (Device { block: true, major: None, minor: None }, Access::MAKE),
    (device(1, Some(3)), Access::ALL),
    (device(1, Some(8)), Access::ALL),
    (device(1, Some(7)), Access::ALL),
    (device(5, Some(0)), Access::ALL),
    (device(1, Some(5)), Access::ALL),
    (device(1, Some(9)), Access::ALL),
    (device(136, None), Access::ALL),
    (device(5, Some(2)), Access::ALL),
];

const fn device(major: u32, minor: Option<u32>) -> Device {
    Device { block: false, major: Some(major), minor }
}

impl Rules {
    /// Reduces the specification's list.
    pub(super) fn of(list: &[DeviceRule]) -> Result<Self> {
        let mut rules = Self::default();
        for rule in list {
            let access = rule.access.as_deref().filter(|access| !access.is_empty());
            let access = access.map_or(Ok(Access::ALL), Access::parse)?;
            let (major, minor) = (number(rule.major, "major")?, number(rule.minor, "minor")?);
            match rule.kind {
                // A rule for all devices sets the default, as the kernel's own "a" does.
                None | Some(DeviceKind::All) => {
                    rules.exceptions.clear();
                    rules.allow_by_default = rule.allow;
                }
                Some(kind) => {
                    let block = match kind {
                        DeviceKind::Block => true,
                        DeviceKind::Char | DeviceKind::Unbuffered => false,
                        other => return Err(invalid(format!("{other:?} is no kind of device"))),
                    };
                    rules.apply(rule.allow, Device { block, major, minor }, access)?;
                }
            }
        }
        for (device, access) in DEFAULT {
            rules.apply(true, *device, *access)?;
        }
        Ok(rules)
    }

    fn apply(&mut self, allow: bool, device: Device, access: Access) -> Result<()> {
        if allow != self.allow_by_default {
            let held = self.exceptions.entry(device).or_default();
            held.0 |= access.0;
            return Ok(());
        }
        // Back to the default: an exception for exactly this device goes; one that overlaps can't be split.
        let clash = |(other, held): (&Device, &Access)| device.overlaps(*other) && held.0 & access.0 != 0;
        let default_is_served = self.allow_by_default;
        if !default_is_served && self.exceptions.iter().any(clash) {
            return Err(invalid(format!("denying {} would split an earlier rule", device.line(access))));
        }
        if let Some(held) = self.exceptions.get_mut(&device) {
            held.0 &= !access.0;
            if held.0 == 0 {
                self.exceptions.remove(&device);
            }
        }
        Ok(())
    }
}

/// −1 and absence are "any".
fn number(value: Option<i64>, which: &str) -> Result<Option<u32>> {
    match value {
        None | Some(-1) => Ok(None),
        Some(value) => match u32::try_from(value) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(invalid(format!("{which} number {value}"))),
        },
    }
}

fn invalid(reason: String) -> Error {
    Error::Invalid { setting: "device rule", reason }
}

/// Writes the rules to a v1 device cgroup, whose state was inherited from its parent.
pub(super) fn apply_v1(directory: &Directory, rules: &Rules) -> Result<()> {
    if rules.allow_by_default {
        // Writing "a" is refused to a child whose parent denies something, and needless when nothing is denied.
        if directory.read("devices.list")? != "a *:* rwm" {
            directory.write("devices.allow", "a")?;
        }
    } else {
        directory.write("devices.deny", "a")?;
    }
    let file = if rules.allow_by_default { "devices.deny" } else { "devices.allow" };
    directory.write_all(file, rules.exceptions.iter().map(|(device, access)| device.line(*access)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(allow: bool, kind: Option<DeviceKind>, major: i64, minor: i64, access: &str) -> DeviceRule {
        let some = |number| (number >= 0).then_some(number);
        DeviceRule { allow, kind, major: some(major), minor: some(minor), access: Some(access.into()) }
    }

    fn lines(rules: &Rules) -> Vec<String> {
        rules.exceptions.iter().map(|(device, access)| device.line(*access)).collect()
    }

    #[test]
    fn nothing_asked_gives_the_default_devices() {
        let rules = Rules::of(&[]).unwrap();
        assert!(!rules.allow_by_default);
        assert_eq!(
            lines(&rules),
            [
                "c *:* m",
                "c 1:3 rwm",
                "c 1:5 rwm",
                "c 1:7 rwm",
                "c 1:8 rwm",
                "c 1:9 rwm",
                "c 5:0 rwm",
                "c 5:2 rwm",
                "c 136:* rwm",
                "b *:* m"
            ]
        );
    }

    #[test]
    fn everything_allowed_has_no_exceptions() {
        let rules = Rules::of(&[rule(true, None, -1, -1, "rwm")]).unwrap();
        assert!(rules.allow_by_default && rules.exceptions.is_empty());
        let rules =
            Rules::of(&[rule(true, None, -1, -1, "rwm"), rule(false, Some(DeviceKind::Block), 8, 0, "w")])
                .unwrap();
        assert_eq!(lines(&rules), ["b 8:0 w"]);
    }

    #[test]
    fn rights_of_one_device_add_up_and_go() {
        let list = [
            rule(false, None, -1, -1, "rwm"),
            rule(true, Some(DeviceKind::Block), 8, 0, "r"),
            rule(true, Some(DeviceKind::Block), 8, 0, "wm"),
            rule(false, Some(DeviceKind::Block), 8, 0, "m"),
        ];
        assert!(lines(&Rules::of(&list).unwrap()).contains(&"b 8:0 rw".to_owned()));
    }

    #[test]
    fn refusals() {
        for list in [
            vec![rule(true, Some(DeviceKind::Char), 1, 1, "rx")],
            vec![rule(true, Some(DeviceKind::Char), 1 << 40, 1, "r")],
            vec![
                rule(true, Some(DeviceKind::Block), 8, -1, "rwm"),
                rule(false, Some(DeviceKind::Block), 8, 1, "w"),
            ],
        ] {
            assert!(Rules::of(&list).is_err(), "{list:?}");
        }
    }
}
