//! What the container's process and its maker say to each other over a socket: small binary records, never free text.
//!
//! A failure is a step, an error number and the object it was about; the maker turns it into a typed error.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use boxship_sys::{Errno, fd};

use crate::error::Error;

/// The longest object that is sent whole.
const MOST_OBJECT: usize = 1024;
/// The size of the largest message.
const MOST_MESSAGE: usize = MOST_OBJECT + 16;

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)*) => {
        /// A step of a container's process on its way to the program.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Step { $($(#[$doc])* $name,)* }

        impl Step {
            const ALL: &'static [Step] = &[$(Step::$name,)*];
        }

        impl fmt::Display for Step {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Step::$name => $text,)* })
            }
        }
    };
}

steps! {
    /// Entering namespaces of others.
    Join => "join namespace",
    /// Making namespaces.
    Unshare => "make namespace",
    /// Entering the control group.
    Cgroup => "enter cgroup",
    /// Cloning further.
    Clone => "clone",
    /// Becoming the user namespace's root.
    BecomeRoot => "become root of the user namespace",
    /// The loopback device.
    Network => "bring up loopback device",
    /// The session keyring.
    Keyring => "create session keyring",
    /// Attaching the root file system.
    Root => "mount root file system",
    /// The source of a bind mount.
    BindSource => "bind source",
    /// A mount.
    Mount => "error mounting",
    /// A device node or link.
    Device => "create device",
    /// The terminal.
    Console => "set up console",
    /// Changing the root.
    Pivot => "pivot root",
    /// Host and domain name.
    HostName => "set host name",
    /// Resource limits.
    Limits => "set rlimit",
    /// A kernel parameter.
    Sysctl => "write sysctl",
    /// A masked path.
    Mask => "mask path",
    /// A read-only path.
    ReadOnly => "make path read-only",
    /// AppArmor profile or SELinux label.
    Label => "apply security label",
    /// no_new_privs.
    NoNewPrivileges => "set no_new_privs",
    /// Scheduler and I/O priority.
    Scheduling => "set scheduling",
    /// Execution domain.
    Personality => "set personality",
    /// Folder to start in.
    WorkingDirectory => "chdir to cwd",
    /// User and groups.
    Identity => "set user",
    /// A name the container's passwd file does not have.
    UnknownUser => "find user",
    /// A name the container's group file does not have.
    UnknownGroup => "find group",
    /// Reading the container's passwd and group file.
    Accounts => "read accounts",
    /// Capability sets.
    Capabilities => "set capabilities",
    /// System call filter.
    Seccomp => "install seccomp filter",
    /// The standard streams.
    Streams => "set up standard streams",
    /// Closing what the program must not see.
    Descriptors => "close descriptors",
    /// The program isn't on PATH.
    CommandNotFound => "find program",
    /// The program cannot be executed.
    CommandNotExecutable => "exec",
    /// Talking to the maker.
    Channel => "talk to the runtime",
    /// Waiting for the start.
    Wait => "wait for start",
    /// A hook at createContainer; the object says which and how.
    CreateContainerHook => "createContainer hook",
    /// A hook at startContainer; the object says which and how.
    StartContainerHook => "startContainer hook",
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub step: Step,
    pub object: String,
    pub errno: Errno,
}

/// The result of the steps in a container's process.
pub(crate) type Done<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(step: Step, object: impl fmt::Display, errno: Errno) -> Self {
        Self { step, object: object.to_string(), errno }
    }
}

/// Says at which step a call failed.
pub(crate) trait At<T> {
    /// The call and its object become the failure's object.
    fn at(self, step: Step) -> Done<T>;
    /// The failure is about `object`; the call is told too.
    fn about(self, step: Step, object: impl fmt::Display) -> Done<T>;
}

impl<T> At<T> for boxship_sys::Result<T> {
    fn at(self, step: Step) -> Done<T> {
        self.map_err(|error| {
            Failure::new(step, format_args!("({} {})", error.call, error.object), error.errno)
        })
    }

    fn about(self, step: Step, object: impl fmt::Display) -> Done<T> {
        self.map_err(|error| Failure::new(step, format_args!("{object}: {}", error.call), error.errno))
    }
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, step: Step) -> Done<T> {
        self.map_err(|errno| Failure::new(step, "", errno))
    }

    fn about(self, step: Step, object: impl fmt::Display) -> Done<T> {
        self.map_err(|errno| Failure::new(step, object, errno))
    }
}

/// What a container's process says.
#[derive(Debug)]
pub(crate) enum Report {
    /// It gives up.
    Failed(Failure),
    /// A helper of the caller has made the container's process; this is its number.
    Spawned(i32),
    /// Mounts and devices are there: device rules may come into force, hooks may run.
    Mounted,
    /// Here is the terminal's master.
    Console(OwnedFd),
    /// Here is the seccomp filter's listener.
    Listener(OwnedFd),
    /// Nothing can fail any more but the exec itself.
    Ready,
}

const FAILED: u8 = 1;
const SPAWNED: u8 = 2;
const MOUNTED: u8 = 3;
const CONSOLE: u8 = 4;
const LISTENER: u8 = 5;
const READY: u8 = 6;

/// The container's end of the socket.
#[derive(Debug)]
pub(crate) struct Reporter<'fd>(pub BorrowedFd<'fd>);

impl Reporter<'_> {
    pub(crate) fn failed(&self, failure: &Failure) -> boxship_sys::Result<()> {
        let mut object = failure.object.as_str();
        if object.len() > MOST_OBJECT {
            object = &object[..object.floor_char_boundary(MOST_OBJECT)];
        }
        let mut message = vec![FAILED, failure.step as u8];
        message.extend(failure.errno.raw_os_error().to_le_bytes());
        message.extend(object.as_bytes());
        fd::send(self.0, &message, &[])
    }

    pub(crate) fn spawned(&self, pid: i32) -> Done {
        let mut message = vec![SPAWNED];
        message.extend(pid.to_le_bytes());
        fd::send(self.0, &message, &[]).at(Step::Channel)
    }

    pub(crate) fn mounted(&self) -> Done {
        fd::send(self.0, &[MOUNTED], &[]).at(Step::Channel)
    }

    pub(crate) fn console(&self, master: BorrowedFd<'_>) -> Done {
        fd::send(self.0, &[CONSOLE], &[master]).at(Step::Channel)
    }

    pub(crate) fn listener(&self, listener: BorrowedFd<'_>) -> Done {
        fd::send(self.0, &[LISTENER], &[listener]).at(Step::Channel)
    }

    pub(crate) fn ready(&self) -> Done {
        fd::send(self.0, &[READY], &[]).at(Step::Channel)
    }

    /// Waits until the maker says "go on"; when it is gone there is nothing to go on for.
    pub(crate) fn wait_for_go(&self) -> Done {
        let mut byte = [0];
        match fd::receive(self.0, &mut byte).at(Step::Channel)? {
            (1, _) => Ok(()),
            _ => Err(Failure::new(Step::Channel, "runtime is gone", Errno::PIPE)),
        }
    }
}

/// The maker's end of the socket.
#[derive(Debug)]
pub(crate) struct Channel(pub OwnedFd);

impl Channel {
    /// Lets the container's process go on. That it is gone shows in the next report.
    pub(crate) fn go(&self) -> boxship_sys::Result<()> {
        fd::send(self.0.as_fd(), &[1], &[])
    }

    /// The next report; none when the process is gone or has begun its program.
    pub(crate) fn next(&self) -> boxship_sys::Result<Option<Report>> {
        let mut buffer = [0; MOST_MESSAGE];
        let (length, mut passed) = match fd::receive(self.0.as_fd(), &mut buffer) {
            Err(error) if error.errno == Errno::CONNRESET => return Ok(None),
            other => other?,
        };
        let malformed = || boxship_sys::Error::new("recvmsg", "report", Errno::PROTO);
        let report = match &buffer[..length] {
            [] => return Ok(None),
            [FAILED, step, a, b, c, d, object @ ..] => Report::Failed(Failure {
                step: *Step::ALL.get(usize::from(*step)).ok_or_else(malformed)?,
                errno: Errno::from_raw_os_error(i32::from_le_bytes([*a, *b, *c, *d])),
                object: String::from_utf8_lossy(object).into_owned(),
            }),
            [SPAWNED, a, b, c, d] => Report::Spawned(i32::from_le_bytes([*a, *b, *c, *d])),
            [MOUNTED] => Report::Mounted,
            [CONSOLE] => Report::Console(passed.pop().ok_or_else(malformed)?),
            [LISTENER] => Report::Listener(passed.pop().ok_or_else(malformed)?),
            [READY] => Report::Ready,
            _ => return Err(malformed()),
        };
        Ok(Some(report))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let Failure { step, object, errno } = failure;
        match step {
            Step::CommandNotFound => Error::CommandNotFound { program: object },
            Step::CommandNotExecutable => Error::CommandNotExecutable { program: object, errno },
            Step::WorkingDirectory => Error::WorkingDirectory { directory: object, errno },
            Step::UnknownUser => Error::NoSuchUser { what: "user", name: object, file: "passwd" },
            Step::UnknownGroup => Error::NoSuchUser { what: "group", name: object, file: "group" },
            Step::BindSource => {
                Error::File { operation: "bind source", path: object.into(), source: errno.into() }
            }
            Step::CreateContainerHook => hook("createContainer", &object),
            Step::StartContainerHook => hook("startContainer", &object),
            step => Error::Child { step, object, errno },
        }
    }
}

/// The object of a failed hook is its index, a space, and the reason.
fn hook(point: &'static str, object: &str) -> Error {
    let (index, reason) = object.split_once(' ').unwrap_or(("0", object));
    Error::Hook { point, index: index.parse().unwrap_or(0), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_arrive_as_they_were_sent() {
        let (ours, theirs) = fd::message_pair().unwrap();
        let sent = Failure::new(Step::Mount, "/proc/é", Errno::NOENT);
        Reporter(theirs.as_fd()).failed(&sent).unwrap();
        let long = Failure::new(Step::Mask, "é".repeat(MOST_OBJECT), Errno::PERM);
        Reporter(theirs.as_fd()).failed(&long).unwrap();
        drop(theirs);

        let channel = Channel(ours);
        let Some(Report::Failed(got)) = channel.next().unwrap() else { panic!("not a failure") };
        assert_eq!(got, sent);
        let Some(Report::Failed(got)) = channel.next().unwrap() else { panic!("not a failure") };
        assert_eq!((got.object.len(), got.errno), (MOST_OBJECT, Errno::PERM));
        assert!(channel.next().unwrap().is_none());
    }

    #[test]
    fn wording_is_dockers() {
        let cases = [
            (
                Step::CommandNotFound,
                "foo",
                Errno::NOENT,
                r#"exec: "foo": executable file not found in $PATH"#,
            ),
            (
                Step::CommandNotExecutable,
                "/x",
                Errno::NOENT,
                r#"exec: "/x": stat /x: no such file or directory"#,
            ),
            (Step::CommandNotExecutable, "/x", Errno::ACCESS, r#"exec: "/x": permission denied"#),
            (Step::CommandNotExecutable, "/x", Errno::ISDIR, r#"exec: "/x": is a directory"#),
            (
                Step::UnknownUser,
                "u",
                Errno::NOENT,
                "unable to find user u: no matching entries in passwd file",
            ),
            (
                Step::UnknownGroup,
                "g",
                Errno::NOENT,
                "unable to find group g: no matching entries in group file",
            ),
            (
                Step::StartContainerHook,
                "2 exit status 1",
                Errno::IO,
                "error running startContainer hook #2: exit status 1",
            ),
            (
                Step::WorkingDirectory,
                "/nope",
                Errno::NOENT,
                r#"chdir to cwd ("/nope") set in config.json failed: no such file or directory"#,
            ),
        ];
        for (step, object, errno, text) in cases {
            assert_eq!(Error::from(Failure::new(step, object, errno)).to_string(), text);
        }
    }
}
