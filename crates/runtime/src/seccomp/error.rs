//! Why a seccomp section cannot be compiled.

/// A seccomp section that cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A condition on an argument that doesn't exist.
    #[error("seccomp argument index {0} of system call {1}: there are six, from 0 to 5")]
    Argument(u32, String),
    /// Asking a supervisor about the call that sends the question would wait for ever.
    #[error("seccomp action SCMP_ACT_NOTIFY is not possible for {0}: the supervisor could never be reached")]
    Notify(String),
    /// A listener without questions, or questions without a listener.
    #[error("seccomp: {0}")]
    Listener(&'static str),
    /// The kernel's limit.
    #[error("seccomp filter has {0} instructions, more than the kernel's 4096")]
    TooLong(usize),
}

/// The result of compiling.
pub type Result<T, E = Error> = std::result::Result<T, E>;
