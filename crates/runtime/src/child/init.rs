//! The first process of a container, from birth to its program.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use boxship_oci::runtime::{Hook, State, Status};
use boxship_sys::namespace::{self, Kind};
use boxship_sys::{Errno, path, process};
use rustix::fs::Mode;

use super::mounts::Mounting;
use super::pivot::{self, Way};
use super::streams::{self, Streams};
use super::{console, devices, enter, finish, identity, masks, procfs};
use crate::cgroup::View;
use crate::hooks;
use crate::message::{At, Done, Failure, Reporter, Step};
use crate::plan::Plan;
use crate::trees;

/// Everything the first process works with; descriptors are the child's copies of its maker's.
#[derive(Debug)]
pub(crate) struct Init<'p> {
    pub plan: &'p Plan,
    /// The detached root tree.
    pub root: OwnedFd,
    /// Where hooks expect the root tree; none attaches it over the old root.
    pub root_place: Option<PathBuf>,
    /// Bind mounts, prepared, in the order of the mounts.
    pub trees: Vec<Option<OwnedFd>>,
    /// A detached mount of the host's null device.
    pub null: OwnedFd,
    pub view: Option<View>,
    /// Ways into the control groups.
    pub entrances: Vec<OwnedFd>,
    /// Namespaces were joined by the process that made this one.
    pub joined: bool,
    pub way: Way,
    pub keyring: Option<String>,
    pub streams: Streams,
    pub preserve_fds: u32,
    /// A byte in it starts the program.
    pub fifo: OwnedFd,
    pub create_container: Vec<Hook>,
    pub start_container: Vec<Hook>,
    pub state: State,
}

impl Init<'_> {
    /// Runs the whole life; what it returns is the exit status of a process that never became its program.
    pub(crate) fn run(self, reporter: &Reporter<'_>) -> u8 {
        // Its descriptors are closed all at once; dropping them then would close somebody else's.
        let this = ManuallyDrop::new(self);
        match this.prepare(reporter) {
            Err(failure) => {
                // Were the maker gone, nobody would be left to be told.
                let _ = reporter.failed(&failure);
                1
            }
            Ok(prepared) => this.start(prepared),
        }
    }

    fn prepare(&self, reporter: &Reporter<'_>) -> Done<finish::Prepared> {
        enter::seclude()?;
        let namespaces = &self.plan.namespaces;
        if self.joined || namespaces.is_new(Kind::User) {
            // Until then this process has no number in its user namespace, or its maker does not hold it.
            reporter.wait_for_go()?;
        }
        if namespaces.has(Kind::User) {
            enter::become_root()?;
        }
        enter::cgroups(&self.entrances)?;
        if !self.joined {
            enter::join(namespaces)?;
        }
        if namespaces.is_new(Kind::Cgroup) {
            namespace::unshare(Kind::Cgroup.flag()).at(Step::Unshare)?;
        }
        if namespaces.is_new(Kind::Network) {
            namespace::bring_loopback_up().at(Step::Network)?;
        }
        if let Some(keyring) = &self.keyring {
            enter::keyring(keyring)?;
        }
        self.names()?;
        let root = self.build_root(reporter)?;
        self.close_up(&root)?;
        let prepared =
            finish::prepare(root, &self.plan.process, self.preserve_fds, Some(self.fifo.as_fd()), reporter)?;
        reporter.ready()?;
        reporter.wait_for_go()?;
        Ok(prepared)
    }

    /// Mounts, devices, hooks, terminal, change of root. Answers the new root.
    fn build_root(&self, reporter: &Reporter<'_>) -> Done<OwnedFd> {
        let plan = self.plan;
        if plan.namespaces.is_new(Kind::Mount) {
            pivot::leave_propagation()?;
        }
        if self.way != Way::Chroot {
            pivot::attach(self.root.as_fd(), self.root_place.as_deref())?;
        }
        let mut mounting = Mounting {
            root: self.root.as_fd(),
            trees: &self.trees,
            default_propagation: trees::default_propagation(&plan.root),
            view: self.view.as_ref(),
            own_cgroups: plan.namespaces.has(Kind::Cgroup),
            read_only_later: Vec::new(),
        };
        mounting.all(&plan.mounts)?;
        if plan.fills_dev() {
            devices::make(self.root.as_fd(), &plan.devices, plan.namespaces.has(Kind::User))?;
        }
        reporter.mounted()?;
        // Hooks run now, and limits are set: device rules of cgroup v1 are all denied and then allowed one by one, and
        // a terminal that was opened between the two would be refused.
        reporter.wait_for_go()?;
        self.hooks(&self.create_container, Status::Creating, Step::CreateContainerHook)?;
        let root = pivot::change(self.root.as_fd(), self.way)?;
        // The folder to start in is made if it is missing: here it cannot be outside.
        path::make_folders_in_root(root.as_fd(), &plan.process.cwd, Mode::from_raw_mode(0o755))
            .map_err(|error| Failure::new(Step::WorkingDirectory, plan.process.cwd.display(), error.errno))?;
        let terminal = match plan.process.terminal {
            Some(size) => Some(console::open(root.as_fd(), size, reporter)?),
            None => None,
        };
        if let Some(terminal) = &terminal {
            console::bind(root.as_fd(), terminal.as_fd())?;
        }
        streams::place(&self.streams, terminal.as_ref().map(|terminal| terminal.as_fd()))?;
        pivot::set_propagation(root.as_fd(), plan.root.propagation)?;
        mounting.finish()?;
        Ok(root)
    }

    fn names(&self) -> Done {
        if let Some(name) = &self.plan.hostname {
            process::set_host_name(name).at(Step::HostName)?;
        }
        if let Some(name) = &self.plan.domainname {
            process::set_domain_name(name).at(Step::HostName)?;
        }
        if let Some(persona) = self.plan.personality {
            process::set_personality(persona).at(Step::Personality)?;
        }
        Ok(())
    }

    /// Kernel parameters, then everything that closes doors.
    fn close_up(&self, root: &OwnedFd) -> Done {
        if !self.plan.sysctls.is_empty() {
            let proc = procfs::private()?;
            for (name, value) in &self.plan.sysctls {
                let file = path::open_same_mount(proc.as_fd(), name, rustix::fs::OFlags::WRONLY)
                    .about(Step::Sysctl, name.display())?;
                rustix::io::write(&file, value.as_bytes()).about(Step::Sysctl, name.display())?;
            }
        }
        masks::read_only(root.as_fd(), &self.plan.readonly)?;
        masks::mask(root.as_fd(), &self.plan.masked, self.null.as_fd())?;
        if self.plan.root.readonly {
            masks::read_only_root(root.as_fd())?;
        }
        identity::enter(root.as_fd(), std::path::Path::new("/"))
    }

    fn hooks(&self, hooks: &[Hook], status: Status, step: Step) -> Done {
        if hooks.is_empty() {
            return Ok(());
        }
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let state = State { status, pid, ..self.state.clone() };
        // What runs right before the program has the program's environment.
        let inherited = (step == Step::StartContainerHook).then_some(self.plan.process.env.as_slice());
        for (index, hook) in hooks.iter().enumerate() {
            hooks::run_one(hook, &state, inherited)
                .map_err(|reason| Failure::new(step, format_args!("{index} {reason}"), Errno::IO))?;
        }
        Ok(())
    }

    /// Waits for the start, runs the hooks due then, and becomes the program. Whoever created the container may be
    /// gone: what goes wrong now is told on standard error.
    fn start(&self, prepared: finish::Prepared) -> u8 {
        let started = self
            .wait_for_start()
            .and_then(|()| self.hooks(&self.start_container, Status::Created, Step::StartContainerHook));
        let failure = match started {
            Err(failure) => failure,
            Ok(()) => prepared.exec(&self.plan.process),
        };
        let text = format!("{}\n", last_words(failure));
        let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
        u8::MAX
    }

    fn wait_for_start(&self) -> Done {
        let mut byte = [0];
        loop {
            match rustix::io::read(&self.fifo, &mut byte) {
                Err(Errno::INTR) => {}
                Ok(1) => return Ok(()),
                Ok(_) => return Err(Failure::new(Step::Wait, "", Errno::PIPE)),
                Err(errno) => return Err(Failure::new(Step::Wait, "", errno)),
            }
        }
    }
}

/// As runc words a failed exec.
fn last_words(failure: Failure) -> String {
    match failure.step {
        Step::CommandNotExecutable => {
            format!("exec {}: {}", failure.object, boxship_sys::error::text(failure.errno))
        }
        _ => crate::Error::from(failure).chain(),
    }
}
