//! Device nodes and the links every `/dev` has. Where nodes cannot be made (user namespaces) the host's are bound.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use boxship_oci::runtime::{Device, DeviceKind};
use boxship_sys::{Errno, mount, path};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};

use super::procfs;
use crate::message::{At, Done, Failure, Step};

/// The devices every container has: name, major, minor.
const DEFAULTS: [(&str, i64, i64); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// The links every container has. Of `/proc/kcore` only if there is one.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Makes the devices of the specification and the default ones, and the links. `bound` says that nodes cannot be made.
pub(crate) fn make(root: BorrowedFd<'_>, devices: &[Device], bound: bool) -> Done {
    for device in devices {
        node(root, device, bound)?;
    }
    for (name, major, minor) in DEFAULTS {
        if devices.iter().any(|device| device.path == Path::new(name)) {
            continue;
        }
        let kind = DeviceKind::Char;
        let device =
            Device { path: name.into(), kind, major, minor, file_mode: Some(0o666), uid: None, gid: None };
        node(root, &device, bound)?;
    }
    links(root)
}

fn node(root: BorrowedFd<'_>, device: &Device, bound: bool) -> Done {
    let name = device.path.display();
    if bound {
        return bind(root, device);
    }
    let file = device.path.file_name().ok_or_else(|| Failure::new(Step::Device, &name, Errno::INVAL))?;
    let parent = device.path.parent().unwrap_or(Path::new("/"));
    let folder =
        path::make_folders_in_root(root, parent, Mode::from_raw_mode(0o755)).about(Step::Device, &name)?;
    let kind = match device.kind {
        DeviceKind::Block => FileType::BlockDevice,
        DeviceKind::Fifo => FileType::Fifo,
        DeviceKind::Char | DeviceKind::Unbuffered | DeviceKind::All => FileType::CharacterDevice,
    };
    let mode = Mode::from_raw_mode(device.file_mode.unwrap_or(0o666) & 0o7777);
    let number = rustix::fs::makedev(device.major as u32, device.minor as u32);
    match rustix::fs::mknodat(&folder, file, kind, mode, number) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(Errno::PERM) => return bind(root, device),
        Err(errno) => return Err(Failure::new(Step::Device, &name, errno)),
    }
    let (uid, gid) = (device.uid.unwrap_or(0), device.gid.unwrap_or(0));
    if (uid, gid) != (0, 0) {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::fs::chownat(&folder, file, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .about(Step::Device, &name)?;
    }
    Ok(())
}

/// The host's node in the container's place. Paths still mean the host's here: the root has not changed.
fn bind(root: BorrowedFd<'_>, device: &Device) -> Done {
    let name = device.path.display();
    let host = mount::copy(CWD, &device.path, false).about(Step::Device, &name)?;
    let place = path::make_file_in_root(root, &device.path, Mode::empty()).about(Step::Device, &name)?;
    procfs::refuse_as_place(place.as_fd(), &device.path, Step::Device)?;
    mount::attach(host.as_fd(), place.as_fd()).about(Step::Device, &name)
}

fn links(root: BorrowedFd<'_>) -> Done {
    let dev = path::make_folders_in_root(root, Path::new("/dev"), Mode::from_raw_mode(0o755));
    let dev = dev.about(Step::Device, "/dev")?;
    let has_kcore = path::open_in_root(root, Path::new("/proc/kcore"), OFlags::PATH).is_ok();
    let kcore = has_kcore.then_some(("core", "/proc/kcore"));
    for (name, target) in LINKS.into_iter().chain(kcore) {
        link(dev.as_fd(), name, target)?;
    }
    // The terminals are those of the container's own devpts, whatever the image had here.
    match rustix::fs::unlinkat(&dev, "ptmx", AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(Failure::new(Step::Device, "/dev/ptmx", errno)),
    }
    link(dev.as_fd(), "ptmx", "pts/ptmx")
}

fn link(dev: BorrowedFd<'_>, name: &str, target: &str) -> Done {
    match rustix::fs::symlinkat(target, dev, name) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(Failure::new(Step::Device, format_args!("/dev/{name}"), errno)),
    }
}
