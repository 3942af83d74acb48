//! The mount API: file systems made, configured and attached by descriptor, so that no path is resolved twice.
//!
//! A mount made here is *detached* until [`attach`]ed; dropping its descriptor unmounts it. mount(2) is offered for
//! kernels whose file systems do not take all parameters the new way.

use std::ffi::CString;
use std::fmt::Display;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use crate::error::{Errno, Error, Named, Result, last_errno};

/// `MOUNT_ATTR_*` bits.
pub mod attr {
    /// Read-only.
    pub const RDONLY: u64 = 0x1;
    /// Set-user-ID bits are ignored.
    pub const NOSUID: u64 = 0x2;
    /// Device nodes do not work.
    pub const NODEV: u64 = 0x4;
    /// Nothing can be executed.
    pub const NOEXEC: u64 = 0x8;
    /// The field of access time behaviour.
    pub const ATIME: u64 = 0x70;
    /// Access times are written when older than the modification (the field's zero).
    pub const RELATIME: u64 = 0x0;
    /// Access times are never written.
    pub const NOATIME: u64 = 0x10;
    /// Access times are always written.
    pub const STRICTATIME: u64 = 0x20;
    /// Access times of folders are never written.
    pub const NODIRATIME: u64 = 0x80;
    /// Owners are mapped by a user namespace.
    pub const IDMAP: u64 = 0x10_0000;
    /// Symbolic links are not followed.
    pub const NOSYMFOLLOW: u64 = 0x20_0000;
}

/// `MS_*` propagation values.
pub mod propagation {
    /// Events go both ways.
    pub const SHARED: u64 = 1 << 20;
    /// Events come in only.
    pub const SLAVE: u64 = 1 << 19;
    /// No events.
    pub const PRIVATE: u64 = 1 << 18;
    /// No events, and not to be bound.
    pub const UNBINDABLE: u64 = 1 << 17;
}

/// A file system being configured.
#[derive(Debug)]
pub struct FileSystem {
    context: OwnedFd,
    kind: String,
}

impl FileSystem {
    /// Begins a file system of this type (fsopen).
    pub fn open(kind: &str) -> Result<Self> {
        let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).named("fsopen", kind)?;
        Ok(Self { context, kind: kind.to_owned() })
    }

    /// Sets `key=value`.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        rustix::mount::fsconfig_set_string(self.context.as_fd(), key, value)
            .map_err(|errno| self.explained("fsconfig", format_args!("{}: {key}={value}", self.kind), errno))
    }

    /// Sets a parameter without value.
    pub fn set_flag(&self, key: &str) -> Result<()> {
        rustix::mount::fsconfig_set_flag(self.context.as_fd(), key)
            .map_err(|errno| self.explained("fsconfig", format_args!("{}: {key}", self.kind), errno))
    }

    /// Makes the file system and a detached mount of it with these `MOUNT_ATTR_*` bits.
    pub fn mount(self, attributes: u64) -> Result<OwnedFd> {
        rustix::mount::fsconfig_create(self.context.as_fd())
            .map_err(|errno| self.explained("fsconfig create", &self.kind, errno))?;
        let attributes = MountAttrFlags::from_bits_retain(attributes as u32);
        rustix::mount::fsmount(self.context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
            .map_err(|errno| self.explained("fsmount", &self.kind, errno))
    }

    /// Adds the messages the kernel left in the context: they name the wrong parameter.
    fn explained(&self, call: &'static str, object: impl Display, errno: Errno) -> Error {
        let mut object = object.to_string();
        let mut buffer = [0; 512];
        while let Ok(length @ 1..) = rustix::io::read(&self.context, &mut buffer[..]) {
            let message = String::from_utf8_lossy(&buffer[..length]);
            object.push_str(": ");
            object.push_str(message.trim_end().trim_start_matches(['e', 'w', 'i']).trim_start());
        }
        Error::new(call, object, errno)
    }
}

/// A detached copy of the mount at `path` below `directory`, with everything under it if `recursive`.
/// The last component is followed when it is a link: resolve untrusted paths to a descriptor first.
pub fn copy(directory: BorrowedFd<'_>, path: &Path, recursive: bool) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(directory, path, flags).named("open_tree", path.display())
}

/// A detached copy of the mount at what a descriptor points to, with everything under it if `recursive`.
pub fn copy_of(place: BorrowedFd<'_>, recursive: bool) -> Result<OwnedFd> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(place, "", flags).named("open_tree", "descriptor")
}

/// Attaches a detached mount at the place another descriptor points to.
pub fn attach(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", place, "", flags).named("move_mount", "descriptor")
}

/// Moves the attached mount at `from` to `to`.
pub fn move_to(from: BorrowedFd<'_>, to: &Path) -> Result<()> {
    rustix::mount::move_mount(from, "", rustix::fs::CWD, to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .named("move_mount", to.display())
}

/// A change of a mount's attributes.
#[derive(Debug, Default, Clone, Copy)]
pub struct Change<'fd> {
    /// `MOUNT_ATTR_*` bits to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` bits to clear.
    pub clear: u64,
    /// A propagation value, or 0 to leave it.
    pub propagation: u64,
    /// The user namespace of an idmapped mount (with [`attr::IDMAP`] in `set`).
    pub user_namespace: Option<BorrowedFd<'fd>>,
}

impl Change<'_> {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.set == 0 && self.clear == 0 && self.propagation == 0
    }

    /// Changes the mount behind a descriptor, with all mounts below it if `recursive` (mount_setattr).
    pub fn apply(&self, mount: BorrowedFd<'_>, recursive: bool) -> Result<()> {
        self.call(mount, c"", libc::AT_EMPTY_PATH, recursive)
    }

    /// Changes the mount at an absolute path that this process trusts.
    pub fn apply_at(&self, path: &Path, recursive: bool) -> Result<()> {
        let name = text(&path.to_string_lossy())?;
        self.call(rustix::fs::CWD, &name, 0, recursive)
    }

    fn call(&self, at: BorrowedFd<'_>, path: &std::ffi::CStr, flags: i32, recursive: bool) -> Result<()> {
        #[repr(C)]
        struct MountAttributes {
            set: u64,
            clear: u64,
            propagation: u64,
            user_namespace: u64,
        }
        let attributes = MountAttributes {
            set: self.set,
            clear: self.clear,
            propagation: self.propagation,
            user_namespace: self.user_namespace.map_or(0, |namespace| namespace.as_raw_fd() as u64),
        };
        let flags = flags | if recursive { 0x8000 } else { 0 };
        // SAFETY: path is a C string and the structure is a mount_attr of the size told; both outlive the call.
        let done = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                at.as_raw_fd(),
                path.as_ptr(),
                flags,
                &raw const attributes,
                size_of::<MountAttributes>(),
            )
        };
        if done == 0 {
            return Ok(());
        }
        let object = if path.is_empty() { "descriptor".into() } else { path.to_string_lossy() };
        Err(Error::new("mount_setattr", object, last_errno()))
    }
}

/// mount(2) with `MS_*` bits, for what the new calls cannot do on an old kernel. The paths must be trusted.
pub fn classic(source: &str, target: &Path, kind: &str, flags: u64, data: &str) -> Result<()> {
    let data = text(data)?;
    rustix::mount::mount(
        source,
        target,
        kind,
        MountFlags::from_bits_retain(flags as u32),
        Some(data.as_c_str()),
    )
    .named("mount", target.display())
}

/// Unmounts what is at `path` now, and lets the kernel clean up when the last user is gone (umount2 MNT_DETACH).
pub fn detach(path: &Path) -> Result<()> {
    rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
        .named("umount2", path.display())
}

/// Makes the current folder, which must be a mount, the root, and stacks the old root on it; see pivot_root(2).
pub fn pivot_root_here() -> Result<()> {
    rustix::process::pivot_root(".", ".").named("pivot_root", ".")
}

fn text(value: &str) -> Result<CString> {
    CString::new(value).map_err(|_| Error::new("mount", "text with a zero byte", Errno::INVAL))
}
