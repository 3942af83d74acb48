//! Creating a container: a list of steps, each undone when a later one fails.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use boxship_oci::runtime::{Hooks, Linux, Resources, State, Status};
use boxship_sys::clone::Clone;
use boxship_sys::namespace::Kind;
use boxship_sys::{fd, mount, path};
use rustix::fs::{CWD, FileType, Mode, OFlags};

use crate::cgroup::{self, Cgroup};
use crate::child::enter;
use crate::child::init::Init;
use crate::child::pivot::Way;
use crate::child::streams::Streams;
use crate::child_process::{self as outer, NewProcess};
use crate::error::{Error, Result};
use crate::message::{Channel, Report, Reporter};
use crate::options::{CreateOptions, Started};
use crate::plan::{Plan, What};
use crate::record::{self, Claim, FIFO, Record};
use crate::{hooks, supervisor, trees};

/// Creates a container: everything is set up and its process waits to be started.
/// When it fails nothing is left behind.
pub fn create(options: CreateOptions) -> Result<Started> {
    record::check_id(&options.id)?;
    outer::check_sealed()?;
    outer::check_preserved(options.preserve_fds)?;
    let bundle = options.bundle.canonicalize().map_err(Error::file("open bundle", &options.bundle))?;
    let plan = Plan::new(&options.spec, &bundle)?;
    let linux = options.spec.linux.clone().unwrap_or_default();
    let cgroup_options =
        cgroup::Options { systemd: options.systemd_cgroup, rootless: !rustix::process::geteuid().is_root() };
    let cgroup = Cgroup::for_spec(&linux, &options.id, cgroup_options)?;
    let folder = Folder::claim(&options.root, &options.id)?;
    cgroup.create()?;
    let made = Groups(Some(cgroup));
    let creation =
        Creation { bundle, plan, linux, folder: folder.claim.folder.clone(), cgroup: made.get(), options };
    let started = creation.run()?;
    made.keep();
    folder.keep();
    Ok(started)
}

/// The container's folder, removed again unless kept.
struct Folder {
    claim: Claim,
    kept: bool,
}

impl Folder {
    fn claim(root: &Path, id: &str) -> Result<Self> {
        Ok(Self { claim: record::claim(root, id)?, kept: false })
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            // The failure that brought us here is the one to tell.
            let _ = std::fs::remove_dir_all(&self.claim.folder);
        }
    }
}

/// The root mount of a container without a mount namespace, unmounted again unless kept.
struct HostMount(PathBuf);

impl HostMount {
    fn keep(mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for HostMount {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // The failure that brought us here is the one to tell.
            let _ = mount::detach(&self.0);
        }
    }
}

/// The container's control groups, removed again unless kept.
struct Groups(Option<Cgroup>);

impl Groups {
    fn get(&self) -> Cgroup {
        self.0.clone().expect("kept only at the end")
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        if let Some(cgroup) = &self.0 {
            // As above. Hooks may have put processes there.
            let _ = cgroup.kill_all();
            let _ = cgroup.remove();
        }
    }
}

/// Everything known while a container is being made.
struct Creation {
    options: CreateOptions,
    bundle: PathBuf,
    plan: Plan,
    linux: Linux,
    folder: PathBuf,
    cgroup: Cgroup,
}

impl Creation {
    fn run(mut self) -> Result<Started> {
        let stdio = std::mem::take(&mut self.options.stdio);
        let terminal = self.plan.process.terminal.is_some();
        let (streams, console_socket) = outer::streams(stdio, terminal, self.options.preserve_fds)?;
        let hooks = self.options.spec.hooks.clone().unwrap_or_default();
        let on_host = self.mount_on_host()?;
        let (ours, theirs) = fd::message_pair().map_err(Error::system("make socket"))?;
        let channel = Channel(ours);
        let init = self.init(streams, &hooks)?;
        let process = self.spawn(init, theirs, &channel)?;
        let mut console = match self.attend(process.pid, &channel, &hooks) {
            Ok(console) => console,
            Err(Error::ChildGone { .. }) => return Err(process.reap()),
            Err(error) => return Err(error),
        };
        if let (Some(socket), Some(master)) = (&console_socket, console.take_if(|_| console_socket.is_some()))
        {
            outer::send_console(socket, &master)?;
        }
        outer::apply_outer(process.pid, &self.plan.process)?;
        self.record(process.pid, hooks)?.write(&self.folder)?;
        if let Some(path) = &self.options.pid_file {
            outer::write_pid_file(path, process.pid)?;
        }
        channel.go().map_err(Error::system("let the container's process go on"))?;
        if let Some(mount) = on_host {
            mount.keep();
        }
        let pid = process.pid;
        let warnings = self.plan.process.warnings;
        Ok(Started { pid, pidfd: process.release(), console, warnings })
    }

    /// What the first process works with.
    fn init(&self, streams: Streams, hooks: &Hooks) -> Result<Init<'_>> {
        let way = self.way();
        let root = match way {
            Way::Chroot => path::open(&self.plan.root.path, OFlags::PATH | OFlags::DIRECTORY)
                .map_err(Error::system("open root file system"))?,
            Way::Pivot | Way::Move => trees::root(self.options.rootfs.as_ref(), &self.plan.root)?,
        };
        let shows_cgroups = self.plan.mounts.iter().any(|mount| mount.what == What::Cgroup);
        Ok(Init {
            plan: &self.plan,
            root,
            root_place: Some(self.plan.root.path.clone()).filter(|path| path.is_dir()),
            trees: trees::binds(&self.plan, &self.linux)?,
            null: path::open_null_device()
                .and_then(|device| mount::copy_of(device.as_fd(), false))
                .map_err(Error::system("open null device"))?,
            view: shows_cgroups.then(|| self.cgroup.view()).transpose()?,
            entrances: self.cgroup.entrances()?,
            joined: enter::needs_two(&self.plan.namespaces),
            way,
            keyring: self.keyring(),
            streams,
            preserve_fds: self.options.preserve_fds,
            fifo: self.make_fifo()?,
            create_container: hooks.create_container.clone(),
            start_container: hooks.start_container.clone(),
            state: self.state(0),
        })
    }

    /// Without a mount namespace of its own the container's mounts are the host's, as the specification wants it: all
    /// below one mount at the root folder, so that taking that away takes all away.
    fn mount_on_host(&self) -> Result<Option<HostMount>> {
        if self.way() != Way::Chroot {
            return Ok(None);
        }
        let place = &self.plan.root.path;
        let tree = trees::root(self.options.rootfs.as_ref(), &self.plan.root)?;
        path::open(place, OFlags::PATH | OFlags::DIRECTORY)
            .and_then(|folder| mount::attach(tree.as_fd(), folder.as_fd()))
            .map_err(Error::system("mount root file system"))?;
        Ok(Some(HostMount(place.clone())))
    }

    fn keyring(&self) -> Option<String> {
        (!self.options.no_new_keyring).then(|| format!("_ses.{}", self.options.id))
    }

    fn way(&self) -> Way {
        match (self.plan.namespaces.has(Kind::Mount), self.options.no_pivot) {
            (false, _) => Way::Chroot,
            (true, true) => Way::Move,
            (true, false) => Way::Pivot,
        }
    }

    /// Opened for both directions: neither side ever waits for the other to open it.
    fn make_fifo(&self) -> Result<OwnedFd> {
        let path = self.folder.join(FIFO);
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .map_err(|errno| Error::file("make", &path)(errno.into()))?;
        path::open(&path, OFlags::RDWR).map_err(Error::system("open fifo"))
    }

    /// Makes the first process, by way of another where the namespaces ask for it.
    fn spawn(&self, init: Init<'_>, theirs: OwnedFd, channel: &Channel) -> Result<NewProcess> {
        let namespaces = &self.plan.namespaces;
        let two = enter::needs_two(namespaces);
        let cgroup = self.cgroup.directory_fd();
        let cgroup = cgroup.as_ref().map(|folder| folder.as_fd());
        let clone = if two {
            Clone::default()
        } else {
            Clone { namespaces: enter::clone_bits(namespaces), sibling: false, cgroup }
        };
        let child = clone.spawn(move || {
            fd::close_copy(channel.0.as_fd());
            let reporter = Reporter(theirs.as_fd());
            if two {
                enter::make_sibling(namespaces, cgroup, &reporter, || init.run(&reporter))
            } else {
                init.run(&reporter)
            }
        });
        let child = child.map_err(Error::system("clone the container's process"))?;
        let mut process = NewProcess::new(child.pid, child.pidfd);
        if two {
            process = outer::sibling(process, channel)?;
        }
        if let Some((uids, gids)) = &namespaces.maps {
            trees::write_maps(process.pid, uids, gids)?;
        }
        if two || namespaces.is_new(Kind::User) {
            channel.go().map_err(Error::system("let the container's process go on"))?;
        }
        Ok(process)
    }

    /// Listens to the process until it is ready, and does what is the maker's part meanwhile.
    fn attend(&self, pid: i32, channel: &Channel, hooks: &Hooks) -> Result<Option<OwnedFd>> {
        let none = Resources::default();
        let resources = self.linux.resources.as_ref().unwrap_or(&none);
        let mut console = None;
        loop {
            match channel.next().map_err(Error::system("listen to the container's process"))? {
                None => return Err(Error::ChildGone { how: String::new() }),
                Some(Report::Failed(failure)) => return Err(failure.into()),
                Some(Report::Mounted) => {
                    // Device rules come after the nodes were made, limits before anybody else runs in there.
                    self.cgroup.apply(resources)?;
                    let state = self.state(pid);
                    hooks::run("prestart", &hooks.prestart, &state)?;
                    hooks::run("createRuntime", &hooks.create_runtime, &state)?;
                    channel.go().map_err(Error::system("let the container's process go on"))?;
                }
                Some(Report::Console(master)) => console = Some(master),
                Some(Report::Listener(listener)) => {
                    let state = State { status: Status::Creating, ..self.state(pid) };
                    supervisor::hand_over(self.linux.seccomp.as_ref(), &listener, pid, state)?;
                }
                Some(Report::Ready) => return Ok(console),
                Some(Report::Spawned(_)) => {
                    return Err(Error::ChildGone { how: "unexpected report".to_owned() });
                }
            }
        }
    }

    fn state(&self, pid: i32) -> State {
        State {
            oci_version: boxship_oci::runtime::VERSION.to_owned(),
            id: self.options.id.clone(),
            status: Status::Creating,
            pid,
            bundle: self.bundle.clone(),
            annotations: self.options.spec.annotations.clone(),
        }
    }

    fn record(&self, pid: i32, hooks: Hooks) -> Result<Record> {
        let (start_time, _) =
            outer::start_time(pid).ok_or_else(|| Error::ChildGone { how: "ended".to_owned() })?;
        Ok(Record {
            oci_version: boxship_oci::runtime::VERSION.to_owned(),
            id: self.options.id.clone(),
            pid,
            start_time,
            bundle: self.bundle.clone(),
            rootfs: self.plan.root.path.clone(),
            created: jiff::Timestamp::now().to_string(),
            owner: rustix::process::geteuid().as_raw(),
            annotations: self.options.spec.annotations.clone(),
            namespaces: self.plan.namespaces.bits(),
            keyring: self.keyring(),
            mounted_on_host: self.way() == Way::Chroot,
            cgroup: self.cgroup.record().clone(),
            hooks: Hooks { poststart: hooks.poststart, poststop: hooks.poststop, ..Hooks::default() },
        })
    }
}
