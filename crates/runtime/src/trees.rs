//! Detached mounts of what is on the host: the root file system, and bind sources. Most are prepared before the
//! container's process exists, with the caller's rights and view of the host. Dropping their descriptors unmounts them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use boxship_oci::runtime::{IdMapping, Linux, Mount};
use boxship_sys::clone::Clone;
use boxship_sys::mount::{self, Change, FileSystem, attr, propagation};
use boxship_sys::namespace::{self, Kind};
use boxship_sys::{Errno, fd};
use rustix::fs::CWD;

use crate::child::mounts::apply_options;
use crate::error::{Error, Result};
use crate::foreign;
use crate::message::{At, Done, Failure, Step};
use crate::mount_options::{Bind, Options};
use crate::plan::{MountPlan, Plan, Root, What, map_text};

/// The root file system: a mount described by the caller, or the folder of the specification with all mounted in it.
pub(crate) fn root(described: Option<&Mount>, root: &Root) -> Result<OwnedFd> {
    match described {
        Some(described) if described.kind.as_deref() == Some("overlay") => overlay(described),
        Some(described) => {
            let source = described.source.as_deref().unwrap_or(&root.path);
            let tree = copy(source, Bind::Recursive)?;
            let options = Options::parse(&described.options);
            apply_options(tree.as_fd(), &options)
                .map_err(Error::system("set options of the root file system"))?;
            Ok(tree)
        }
        None => {
            let tree = copy(&root.path, Bind::Recursive)?;
            // Mounts of the container below the root must not show on the host.
            detach_events(tree.as_fd(), propagation::PRIVATE)?;
            Ok(tree)
        }
    }
}

fn copy(source: &Path, bind: Bind) -> Result<OwnedFd> {
    let recursive = bind == Bind::Recursive;
    let copied = match (mount::copy(CWD, source, recursive), foreign::parse(source)) {
        (Err(error), Some((pid, path))) if error.errno == Errno::INVAL => {
            foreign::copy(pid, &path, recursive)
        }
        (copied, _) => copied,
    };
    copied.map_err(|error| Error::File {
        operation: "bind source",
        path: source.to_owned(),
        source: error.errno.into(),
    })
}

fn detach_events(tree: BorrowedFd<'_>, value: u64) -> Result<()> {
    Change { propagation: value, ..Change::default() }
        .apply(tree, true)
        .map_err(Error::system("set propagation of a bind mount"))
}

/// An overlay made by the new mount calls, layer by layer.
fn overlay(described: &Mount) -> Result<OwnedFd> {
    let options = Options::parse(&described.options);
    let layers: Vec<String> =
        options.data.iter().flat_map(|(key, value)| layers_of(key, value.as_deref())).collect();
    if layers.is_empty() {
        return Err(Error::Invalid("overlay root file system has no lowerdir".to_owned()));
    }
    match overlay_by_layers(&options, &layers) {
        // Before Linux 6.7 there is no lowerdir+, and a parameter holds 255 bytes at most.
        Err(error) if matches!(error.errno, Errno::INVAL | Errno::OPNOTSUPP) => {
            overlay_by_mount(&options, &layers).map_err(Error::system("mount overlay root file system"))
        }
        other => other.map_err(Error::system("mount overlay root file system")),
    }
}

/// The folders of a `lowerdir` option, top first: colons part them, a backslash hides one.
fn layers_of(key: &str, value: Option<&str>) -> Vec<String> {
    match (key, value) {
        ("lowerdir+", Some(folder)) => vec![folder.to_owned()],
        ("lowerdir", Some(list)) => {
            let mut folders = vec![String::new()];
            let mut letters = list.chars();
            while let Some(letter) = letters.next() {
                let last = folders.last_mut().expect("there is always one");
                match letter {
                    ':' => folders.push(String::new()),
                    '\\' => last.extend(letters.next()),
                    other => last.push(other),
                }
            }
            folders.retain(|folder| !folder.is_empty());
            folders
        }
        _ => Vec::new(),
    }
}

fn overlay_by_layers(options: &Options, layers: &[String]) -> boxship_sys::Result<OwnedFd> {
    let new = FileSystem::open("overlay")?;
    new.set("source", "overlay")?;
    for layer in layers {
        new.set("lowerdir+", layer)?;
    }
    for (key, value) in options.data.iter().filter(|(key, _)| !key.starts_with("lowerdir")) {
        match value {
            Some(value) => new.set(key, value)?,
            None => new.set_flag(key)?,
        }
    }
    new.mount(options.set)
}

/// mount(2) needs a place in the tree, so it happens in a mount namespace of a helper that hands the mount back as a
/// detached copy.
fn overlay_by_mount(options: &Options, layers: &[String]) -> boxship_sys::Result<OwnedFd> {
    let escape = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,");
    let mut data =
        format!("lowerdir={}", layers.iter().map(|layer| escape(layer)).collect::<Vec<_>>().join(":"));
    for (key, value) in options.data.iter().filter(|(key, _)| !key.starts_with("lowerdir")) {
        data.push(',');
        data.push_str(key);
        if let Some(value) = value {
            data.push('=');
            data.push_str(&value.replace(',', "\\,"));
        }
    }
    let helper = Clone { namespaces: Kind::Mount.flag(), ..Clone::default() };
    let tree = foreign::made_by_helper(helper, ("mount", &"overlay"), || {
        let place = Path::new("/");
        Change { propagation: propagation::PRIVATE, ..Change::default() }.apply_at(place, true)?;
        mount::classic("overlay", Path::new("/proc"), "overlay", 0, &data)?;
        mount::copy(CWD, Path::new("/proc"), false)
    })?;
    let attributes = Change { set: options.set, ..Change::default() };
    if !attributes.is_empty() {
        attributes.apply(tree.as_fd(), false)?;
    }
    Ok(tree)
}

/// How events pass between the host and bind mounts that do not say: what the host mounts later shows in the container,
/// nothing of the container on the host.
pub(crate) fn default_propagation(root: &Root) -> u64 {
    root.propagation.map_or(propagation::SLAVE, |(value, _)| value)
}

/// The trees of those bind mounts that the container's process cannot make itself, in the order of the mounts: it may
/// not reach the source from its user namespace, its copy of the host's tree is no peer of the host's, or helpers are
/// needed. All others it makes when their turn comes, so that the mount table tells their order.
pub(crate) fn binds(plan: &Plan, linux: &Linux) -> Result<Vec<Option<OwnedFd>>> {
    let default = default_propagation(&plan.root);
    let all = plan.namespaces.has(Kind::User)
        || !plan.namespaces.is_new(Kind::Mount)
        || default == propagation::SHARED;
    plan.mounts
        .iter()
        .map(|mount| match &mount.what {
            What::Bind(source, bind) if all || maps_owners(mount) || foreign::parse(source).is_some() => {
                let tree = copy(source, *bind)?;
                map_owners(mount, tree.as_fd(), linux)?;
                finish_bind(mount, tree.as_fd(), default)
                    .map_err(Error::system("set options of a bind mount"))?;
                Ok(Some(tree))
            }
            _ => Ok(None),
        })
        .collect()
}

/// A bind mount's tree, made by the container's process.
pub(crate) fn bind_here(plan: &MountPlan, source: &Path, bind: Bind, default: u64) -> Done<OwnedFd> {
    let tree = mount::copy(CWD, source, bind == Bind::Recursive);
    let tree = tree.map_err(|error| Failure::new(Step::BindSource, source.display(), error.errno))?;
    finish_bind(plan, tree.as_fd(), default).about(Step::Mount, plan.destination.display())?;
    Ok(tree)
}

fn finish_bind(plan: &MountPlan, tree: BorrowedFd<'_>, default: u64) -> boxship_sys::Result<()> {
    if default != propagation::SHARED {
        Change { propagation: default, ..Change::default() }.apply(tree, true)?;
    }
    apply_options(tree, &plan.options)
}

fn maps_owners(plan: &MountPlan) -> bool {
    plan.options.idmap.is_some() || !plan.uid_mappings.is_empty()
}

/// Shows other owners through the mount: by its own mappings, else by the container's.
fn map_owners(plan: &MountPlan, tree: BorrowedFd<'_>, linux: &Linux) -> Result<()> {
    if !maps_owners(plan) {
        return Ok(());
    }
    let (uids, gids) = if plan.uid_mappings.is_empty() {
        (&linux.uid_mappings, &linux.gid_mappings)
    } else {
        (&plan.uid_mappings, &plan.gid_mappings)
    };
    if uids.is_empty() || gids.is_empty() {
        return Err(Error::Invalid(format!(
            "idmap mount at {} has no mappings: neither its own nor a user namespace's",
            plan.destination.display()
        )));
    }
    let users = user_namespace(uids, gids)?;
    let change = Change { set: attr::IDMAP, user_namespace: Some(users.as_fd()), ..Change::default() };
    change.apply(tree, plan.options.idmap == Some(true)).map_err(Error::system("map owners of a bind mount"))
}

/// A user namespace with these mappings and nobody in it.
fn user_namespace(uids: &[IdMapping], gids: &[IdMapping]) -> Result<OwnedFd> {
    let (ours, theirs) = fd::message_pair().map_err(Error::system("make socket"))?;
    let helper = Clone { namespaces: Kind::User.flag(), ..Clone::default() }
        .spawn(|| {
            let mut byte = [0];
            let _ = fd::receive(theirs.as_fd(), &mut byte);
            0
        })
        .map_err(Error::system("make user namespace"))?;
    let opened = write_maps(helper.pid, &map_text(uids), &map_text(gids)).and_then(|()| {
        let path = format!("/proc/{}/ns/user", helper.pid);
        namespace::open(Path::new(&path)).map_err(Error::system("open user namespace"))
    });
    drop(ours);
    // The helper waits for the socket it holds the other end of itself.
    boxship_sys::signal::send(helper.pidfd.as_fd(), boxship_sys::signal::Signal::KILL)
        .and_then(|()| boxship_sys::process::wait(helper.pidfd.as_fd()))
        .map_err(Error::system("end user namespace helper"))?;
    opened
}

/// Writes the mappings of the user namespace that a process was made in.
pub(crate) fn write_maps(pid: i32, uids: &str, gids: &str) -> Result<()> {
    let write = |file: &str, text: &str| {
        let path = format!("/proc/{pid}/{file}");
        std::fs::write(&path, text).map_err(Error::file("write", path))
    };
    if !rustix::process::geteuid().is_root() {
        // Without rights over others the kernel wants this promise first.
        write("setgroups", "deny")?;
    }
    write("gid_map", gids)?;
    write("uid_map", uids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_parted_by_colons() {
        assert_eq!(layers_of("lowerdir", Some("/a:/b\\:c:/d")), ["/a", "/b:c", "/d"]);
        assert_eq!(layers_of("lowerdir+", Some("/a:b")), ["/a:b"]);
        assert!(layers_of("upperdir", Some("/u")).is_empty());
    }
}
