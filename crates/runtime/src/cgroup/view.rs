//! What the container sees on its `/sys/fs/cgroup`: a description, mounted by the runtime's child.

use std::path::PathBuf;

use super::Cgroup;
use super::error::{Error, Result};
use super::hierarchy::{Hierarchies, clean};

/// The shape of the container's `/sys/fs/cgroup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// One v2 tree: with a cgroup namespace a new mount of type `cgroup2`, else a bind mount of `source`.
    Unified {
        /// The container's own directory on the host.
        source: PathBuf,
    },
    /// A tmpfs (mode 755) with a directory and a mount for each hierarchy and links for co-mounted controllers.
    Split {
        /// The hierarchies to mount.
        hierarchies: Vec<ViewHierarchy>,
        /// Links on the tmpfs: name and target, such as `cpu` → `cpu,cpuacct`.
        links: Vec<(String, String)>,
    },
}

/// One v1 hierarchy in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewHierarchy {
    /// The directory on the tmpfs: `cpu,cpuacct`.
    pub name: String,
    /// The options of a new mount of type `cgroup` inside a cgroup namespace: `cpu,cpuacct`, `name=systemd`.
    pub options: String,
    /// Without a cgroup namespace: the container's own directory on the host, to be bind mounted.
    pub source: PathBuf,
}

pub(super) fn of(cgroup: &Cgroup) -> Result<View> {
    if cgroup.is_unified() {
        let source = cgroup.paths().get("").cloned().ok_or(Error::NotMounted)?;
        return Ok(View::Unified { source });
    }
    let mounted = Hierarchies::read()?;
    let mut hierarchies: Vec<ViewHierarchy> = Vec::new();
    let mut links = Vec::new();
    for (controller, path) in cgroup.paths().iter().filter(|(controller, _)| !controller.is_empty()) {
        let Some(mount) = mounted.v1.get(controller) else { continue };
        let Some(name) = mount.point.file_name().and_then(|name| name.to_str()) else { continue };
        match hierarchies.iter_mut().find(|known| known.name == name) {
            Some(known) => known.options = format!("{},{controller}", known.options),
            None => hierarchies.push(ViewHierarchy {
                name: name.to_owned(),
                options: controller.clone(),
                source: path.clone(),
            }),
        }
        if name.contains(',') && clean(controller.as_ref()).as_os_str() != name {
            links.push((controller.clone(), name.to_owned()));
        }
    }
    Ok(View::Split { hierarchies, links })
}
