//! Extended attributes of what a descriptor points to, or of an entry in its folder, links not followed.
//!
//! The kernel's calls take paths or descriptors opened for reading; through `/proc/self/fd` they also serve `O_PATH`
//! descriptors and symbolic links. The name of an entry must be one component: it is not resolved further.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::error::{Named, Result};

/// The longest list of names, and the longest value, that Linux has.
const MAX: usize = 65536;

/// Sets an attribute of the object that `object` (perhaps `O_PATH`) points to.
pub fn set(object: BorrowedFd<'_>, key: &[u8], value: &[u8]) -> Result<()> {
    rustix::fs::setxattr(path(object, b""), key, value, XattrFlags::empty()).named("setxattr", lossy(key))
}

/// Sets an attribute of the entry `name` in `folder`.
pub fn set_at(folder: BorrowedFd<'_>, name: &[u8], key: &[u8], value: &[u8]) -> Result<()> {
    rustix::fs::lsetxattr(path(folder, name), key, value, XattrFlags::empty()).named("lsetxattr", lossy(key))
}

/// An attribute of the entry `name` in `folder` (of the folder itself when `name` is empty); `None` when it has none.
pub fn get_at(folder: BorrowedFd<'_>, name: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut value = vec![0; 256];
    loop {
        let path = path(folder, name);
        let found = match name {
            b"" => rustix::fs::getxattr(path, key, &mut value[..]),
            _ => rustix::fs::lgetxattr(path, key, &mut value[..]),
        };
        match found {
            Ok(length) => {
                value.truncate(length);
                return Ok(Some(value));
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            Err(Errno::RANGE) if value.len() < MAX => value.resize(MAX, 0),
            Err(errno) => return Err(errno).named("lgetxattr", lossy(key)),
        }
    }
}

/// The names of the attributes of the entry `name` in `folder` (of the folder itself when `name` is empty).
pub fn list_at(folder: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut names = vec![0; 1024];
    loop {
        let path = path(folder, name);
        let found = match name {
            b"" => rustix::fs::listxattr(path, &mut names[..]),
            _ => rustix::fs::llistxattr(path, &mut names[..]),
        };
        match found {
            Ok(length) => {
                let names = names[..length].split(|&b| b == 0).filter(|name| !name.is_empty());
                return Ok(names.map(<[u8]>::to_vec).collect());
            }
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(Errno::RANGE) if names.len() < MAX => names.resize(MAX, 0),
            Err(errno) => return Err(errno).named("llistxattr", lossy(name)),
        }
    }
}

/// `/proc/self/fd/N`, or the entry below it.
fn path(folder: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}", folder.as_raw_fd()).into_bytes();
    if !name.is_empty() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    path
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn links_and_path_descriptors_have_attributes_too() {
        let root = std::env::temp_dir().join(format!("boxship-xattr-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("link")).unwrap();
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY;
        let folder = rustix::fs::open(&root, flags, rustix::fs::Mode::empty()).unwrap();
        let folder = folder.as_fd();
        set_at(folder, b"link", b"trusted.a", b"1").unwrap();
        set(folder, b"user.b", &[7; 1000]).unwrap();
        let outcome = (
            get_at(folder, b"link", b"trusted.a").unwrap(),
            get_at(folder, b"link", b"trusted.none").unwrap(),
            get_at(folder, b"", b"user.b").unwrap(),
            list_at(folder, b"link").unwrap(),
            list_at(folder, b"").unwrap(),
        );
        std::fs::remove_dir_all(&root).unwrap();
        let (a, none, b, link_names, names) = outcome;
        assert_eq!((a.as_deref(), none), (Some(&b"1"[..]), None));
        assert_eq!(b.as_deref(), Some(&[7; 1000][..]));
        assert_eq!((link_names, names), (vec![b"trusted.a".to_vec()], vec![b"user.b".to_vec()]));
    }
}
