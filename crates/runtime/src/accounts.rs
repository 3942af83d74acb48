//! Users and groups by the container's own passwd and group file, read inside its root with bounds.
//!
//! The words and rules are Docker's: `user`, `uid`, `user:group`; a number needs no entry, a name does.
//! Never uses the C library's database: its modules would come from the container.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use boxship_oci::runtime::User;
use boxship_sys::{Errno, path};
use rustix::fs::OFlags;

use crate::message::{Done, Failure, Step};

/// An image's file may be hostile: no more than this is read of it.
const MOST_BYTES: usize = 8 << 20;
/// The most groups one process can have (the kernel's limit).
const MOST_GROUPS: usize = 65_536;

/// Who a process is, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// The home folder, if the passwd file has one.
    pub home: Option<String>,
}

/// A line of the passwd file.
struct Account<'t> {
    name: &'t str,
    uid: u32,
    gid: u32,
    home: &'t str,
}

/// A line of the group file.
struct Group<'t> {
    name: &'t str,
    gid: u32,
    members: &'t str,
}

/// Finds out who `user` is in the container whose root folder is given.
pub(crate) fn resolve(root: BorrowedFd<'_>, user: &User) -> Done<Identity> {
    let passwd = read(root, "/etc/passwd")?;
    let named = user.username.is_some() || !user.additional_groups.is_empty();
    let group = if named { read(root, "/etc/group")? } else { String::new() };
    find(&passwd, &group, user)
}

fn find(passwd: &str, group: &str, user: &User) -> Done<Identity> {
    let mut identity = match &user.username {
        Some(name) => {
            let mut identity = by_name(passwd, group, name)?;
            // As Docker: a program that changes its group (setgid) stays refused where its first group was.
            identity.groups.insert(0, identity.gid);
            identity
        }
        None => Identity { uid: user.uid, gid: user.gid, ..Identity::default() },
    };
    identity.groups.extend(&user.additional_gids);
    for name in &user.additional_groups {
        let gid =
            find_group(group, name).ok_or_else(|| Failure::new(Step::UnknownGroup, name, Errno::NOENT))?;
        identity.groups.push(gid);
    }
    let mut seen = std::collections::HashSet::new();
    identity.groups.retain(|gid| seen.insert(*gid));
    if identity.groups.len() > MOST_GROUPS {
        return Err(Failure::new(Step::Accounts, "/etc/group", Errno::TOOBIG));
    }
    let uid = identity.uid;
    let account = accounts(passwd).find(|account| account.uid == uid);
    identity.home = account.map(|account| account.home.to_owned()).filter(|home| !home.is_empty());
    Ok(identity)
}

/// `user[:group]`, each a name or a number.
fn by_name(passwd: &str, group: &str, text: &str) -> Done<Identity> {
    let (user, wanted_group) = text.split_once(':').unwrap_or((text, ""));
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse::<u32>().ok().filter(|number| *number <= i32::MAX as u32);
    // A name that looks like a number is a name if there is such a user.
    let account = accounts(passwd)
        .find(|account| account.name == user)
        .or_else(|| accounts(passwd).find(|account| Some(account.uid) == number));
    let mut identity = match (&account, number) {
        (Some(account), _) => Identity { uid: account.uid, gid: account.gid, ..Identity::default() },
        (None, Some(uid)) => Identity { uid, ..Identity::default() },
        (None, None) => return Err(Failure::new(Step::UnknownUser, user, Errno::NOENT)),
    };
    if wanted_group.is_empty() {
        if let Some(account) = account {
            let of_user =
                groups(group).filter(|group| group.members.split(',').any(|name| name == account.name));
            identity.groups = of_user.map(|group| group.gid).collect();
        }
    } else {
        identity.gid = find_group(group, wanted_group)
            .ok_or_else(|| Failure::new(Step::UnknownGroup, wanted_group, Errno::NOENT))?;
    }
    Ok(identity)
}

fn find_group(group: &str, wanted: &str) -> Option<u32> {
    let by_name = groups(group).find(|group| group.name == wanted).map(|group| group.gid);
    by_name.or_else(|| wanted.parse::<u32>().ok().filter(|number| *number <= i32::MAX as u32))
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        Some(Account {
            name: fields.next().filter(|name| !name.is_empty())?,
            uid: fields.nth(1)?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
            home: fields.nth(1).unwrap_or_default(),
        })
    })
}

fn groups(group: &str) -> impl Iterator<Item = Group<'_>> {
    group.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        Some(Group {
            name: fields.next().filter(|name| !name.is_empty())?,
            gid: fields.nth(1)?.parse().ok()?,
            members: fields.next().unwrap_or_default(),
        })
    })
}

/// Reads a file of the container. One that isn't there is empty; a fifo or device there must not hang or hurt us.
fn read(root: BorrowedFd<'_>, name: &str) -> Done<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let failed = |errno| Failure::new(Step::Accounts, name, errno);
    let file = match path::open_in_root(root, Path::new(name), flags) {
        Ok(file) => file,
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
            return Ok(String::new());
        }
        Err(error) => return Err(failed(error.errno)),
    };
    let kind = path::file_type(file.as_fd()).map_err(|error| failed(error.errno))?;
    if !kind.is_file() {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        match rustix::io::read(&file, &mut buffer[..]).map_err(failed)? {
            0 => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            length if bytes.len() + length <= MOST_BYTES => bytes.extend(&buffer[..length]),
            _ => return Err(failed(Errno::FBIG)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nbad line\nann:x:1000:1001::/home/ann:\n42:x:7:8::/x:\n";
    const GROUP: &str = "root:x:0:root\nwheel:x:10:root,ann\naudio:x:63:ann\nann:x:1001:\n";

    fn user(name: &str) -> User {
        User { username: Some(name.to_owned()), ..User::default() }
    }

    type Case = (&'static str, u32, u32, &'static [u32], Option<&'static str>);

    #[test]
    fn names_and_numbers() {
        let cases: &[Case] = &[
            ("", 0, 0, &[0, 10], Some("/root")),
            ("root", 0, 0, &[0, 10], Some("/root")),
            ("ann", 1000, 1001, &[1001, 10, 63], Some("/home/ann")),
            ("1000", 1000, 1001, &[1001, 10, 63], Some("/home/ann")),
            ("ann:audio", 1000, 63, &[63], Some("/home/ann")),
            ("ann:5", 1000, 5, &[5], Some("/home/ann")),
            ("555", 555, 0, &[0], None),
            ("555:wheel", 555, 10, &[10], None),
            ("42", 7, 8, &[8], Some("/x")),
        ];
        for (name, uid, gid, groups, home) in cases {
            let got = find(PASSWD, GROUP, &user(name)).unwrap();
            let expected =
                Identity { uid: *uid, gid: *gid, groups: groups.to_vec(), home: home.map(str::to_owned) };
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn unknown_names_are_told() {
        for (name, step, object) in [
            ("bob", Step::UnknownUser, "bob"),
            ("ann:nogroup", Step::UnknownGroup, "nogroup"),
            ("-1", Step::UnknownUser, "-1"),
        ] {
            let failure = find(PASSWD, GROUP, &user(name)).unwrap_err();
            assert_eq!((failure.step, failure.object.as_str()), (step, object));
        }
    }

    #[test]
    fn further_groups_by_name_or_number() {
        let user =
            User { additional_groups: vec!["audio".into(), "77".into(), "audio".into()], ..user("1000:1") };
        assert_eq!(find(PASSWD, GROUP, &user).unwrap().groups, [1, 63, 77]);
        let user = User { additional_groups: vec!["nope".into()], ..User::default() };
        assert_eq!(find(PASSWD, GROUP, &user).unwrap_err().object, "nope");
    }

    #[test]
    fn numbers_need_no_files() {
        let user = User { uid: 5, gid: 6, additional_gids: vec![7], ..User::default() };
        let got = find("", "", &user).unwrap();
        assert_eq!((got.uid, got.gid, got.groups, got.home), (5, 6, vec![7], None));
    }
}
