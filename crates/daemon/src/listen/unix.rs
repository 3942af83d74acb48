//! A unix socket on the file system: opened under a temporary name with its final owner and mode, then
//! renamed into place. So it is never reachable with a wrong mode, a stale socket of a dead daemon is
//! replaced, and a living daemon's socket is never taken away.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net;
use std::path::PathBuf;

use tokio::net::UnixListener;

use crate::error::Error;

/// A socket's path, removed when dropped.
#[derive(Debug)]
pub(crate) struct Path(PathBuf);

impl Path {
    /// The path, to be shown.
    pub(crate) fn shown(&self) -> std::path::Display<'_> {
        self.0.display()
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_file(&self.0);
    }
}

/// Open the socket at `path` for `group`.
pub(crate) fn open(path: &std::path::Path, group: u32) -> Result<(UnixListener, Path), Error> {
    let listen = |source| Error::Listen { address: format!("unix://{}", path.display()), source };
    refuse_taken(path)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(listen)?;
    }
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    let fresh = PathBuf::from(fresh);
    let opened = bind(&fresh, group).and_then(|listener| {
        fs::rename(&fresh, path)?;
        Ok(listener)
    });
    match opened {
        Ok(listener) => Ok((UnixListener::from_std(listener).map_err(listen)?, Path(path.to_owned()))),
        Err(error) => {
            let _ = fs::remove_file(&fresh);
            Err(listen(error))
        }
    }
}

fn bind(path: &std::path::Path, group: u32) -> io::Result<net::UnixListener> {
    let _ = fs::remove_file(path);
    let listener = net::UnixListener::bind(path)?;
    chown(path, Some(0), Some(group))?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Refuse a path that is somebody's living socket, or no socket at all.
fn refuse_taken(path: &std::path::Path) -> Result<(), Error> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(Error::Busy { why: format!("{} exists and is not a socket", path.display()) });
    }
    match net::UnixStream::connect(path) {
        Ok(_) => Err(Error::Busy {
            why: format!("a daemon is already listening on {}: stop it or choose another -H", path.display()),
        }),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stale_sockets_are_replaced_and_living_ones_respected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.sock");
        drop(net::UnixListener::bind(&path).unwrap());
        // A program that another test starts listens, too, until it runs.
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let (listener, kept) = loop {
            match open(&path, 0) {
                Err(Error::Busy { .. }) if std::time::Instant::now() < patience => std::thread::yield_now(),
                opened => break opened.unwrap(),
            }
        };
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let busy = open(&path, 0).unwrap_err().told();
        assert!(busy.contains("already listening"), "{busy}");
        drop((listener, kept));
        assert!(!path.exists());
        fs::write(&path, "").unwrap();
        assert!(open(&path, 0).unwrap_err().told().contains("not a socket"));
    }
}
