//! AppArmor profiles and SELinux labels: whether this host has them, and giving one to the program to come.

use std::os::fd::BorrowedFd;
use std::path::Path;

use boxship_sys::path;
use rustix::fs::OFlags;

use crate::error::{Error, Result};
use crate::message::{At, Done, Step};

/// What the program's exec shall change the process's label to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Label {
    apparmor: Option<String>,
    selinux: Option<String>,
}

/// Whether the kernel enforces AppArmor.
pub fn has_apparmor() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|value| value.first() == Some(&b'Y'))
}

/// Whether the kernel has SELinux switched on.
pub fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

impl Label {
    /// Checks that the host has what is asked for; nothing asked for is always possible.
    pub(crate) fn new(apparmor: Option<&str>, selinux: Option<&str>) -> Result<Self> {
        let apparmor = apparmor.filter(|profile| !profile.is_empty());
        let selinux = selinux.filter(|label| !label.is_empty());
        if apparmor.is_some_and(|profile| profile != "unconfined") && !has_apparmor() {
            return Err(Error::Unsupported(
                "apparmor profile: AppArmor is not enabled on this host".to_owned(),
            ));
        }
        if selinux.is_some() && !has_selinux() {
            return Err(Error::Unsupported("selinux label: SELinux is not enabled on this host".to_owned()));
        }
        let apparmor = apparmor.filter(|_| has_apparmor()).map(str::to_owned);
        Ok(Self { apparmor, selinux: selinux.map(str::to_owned) })
    }

    /// Whether there is nothing to do, and so no need of a proc.
    pub(crate) fn is_empty(&self) -> bool {
        self.apparmor.is_none() && self.selinux.is_none()
    }

    /// Takes effect with the next exec. `proc` is a procfs mount nobody can have tampered with.
    pub(crate) fn apply(&self, proc: BorrowedFd<'_>) -> Done {
        let own = rustix::process::getpid().as_raw_nonzero();
        if let Some(profile) = &self.apparmor {
            let value = format!("exec {profile}");
            let modern = format!("{own}/attr/apparmor/exec");
            // Kernels before 5.8 have the one file that all security modules share.
            write(proc, &modern, &value).or_else(|_| write(proc, &format!("{own}/attr/exec"), &value))?;
        }
        if let Some(label) = &self.selinux {
            write(proc, &format!("{own}/attr/exec"), label)?;
        }
        Ok(())
    }
}

fn write(proc: BorrowedFd<'_>, name: &str, value: &str) -> Done {
    let file = path::open_same_mount(proc, Path::new(name), OFlags::WRONLY).about(Step::Label, name)?;
    rustix::io::write(&file, value.as_bytes()).about(Step::Label, value)?;
    Ok(())
}
