//! How a command fails: what it says, and with which code it exits.

use boxship_client::Error;
use boxship_sys::error::plain;

use crate::flags::UsageError;

/// A command's result.
pub type Result<T> = std::result::Result<T, Failure>;

/// A failure; everything is printed by `main`, in one place.
#[derive(Debug)]
pub enum Failure {
    /// Flags that don't parse: the message, the usage line, a hint; 125.
    Usage(UsageError),
    /// The wrong number of operands: the message, the usage line, a hint; 1.
    Operands(String),
    /// A message and a code; nothing is printed for an empty message.
    Code(String, u8),
    /// As Docker's `run`, `create` and `exec` fail before the container runs: the program's name before the message,
    /// the hint behind it.
    Hinted(String, u8),
    /// The daemon refused, or there is none.
    Client(Error),
}

impl Failure {
    /// A message that ends the command with code 1.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure::Code(message.into(), 1)
    }

    /// Ends with this code and says nothing more: all was said.
    pub fn silent(code: u8) -> Failure {
        Failure::Code(String::new(), code)
    }

    /// What it says, without the program's name before it.
    pub fn message(&self) -> String {
        match self {
            Failure::Usage(UsageError(message)) => message.clone(),
            Failure::Operands(message) | Failure::Code(message, _) | Failure::Hinted(message, _) => {
                message.clone()
            }
            Failure::Client(error) => client_message(error),
        }
    }

    /// The same failure as `run` and `create` tell it: with the program's name, the hint, and code 125.
    pub fn before_start(self) -> Failure {
        match self {
            Failure::Usage(_) | Failure::Operands(_) | Failure::Hinted(..) => self,
            Failure::Code(message, _) if message.is_empty() => Failure::Code(message, 125),
            other => Failure::Hinted(other.message(), 125),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Client(error)
    }
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Self {
        Failure::Usage(error)
    }
}

/// The daemon's words carry who said them; a missing daemon carries what to do.
fn client_message(error: &Error) -> String {
    match error {
        Error::Daemon { message, .. } => format!("Error response from daemon: {message}"),
        Error::Connect { address, source } => format!(
            "Cannot connect to the Boxship daemon at {address}. Is the daemon running? ({})\n\
             Start it as root with 'boxship daemon', or name another with -H or DOCKER_HOST.",
            plain(&source.to_string()).to_lowercase()
        ),
        Error::Permission { address } => format!(
            "permission denied while trying to connect to the daemon socket at {address}\n\
             Run the command as root, or as a member of the group that owns the socket ('boxship daemon --group NAME')."
        ),
        Error::Exchange(why) if why.contains("invalid HTTP version") => {
            format!(
                "error during connect: {why}\nDoes the daemon speak TLS? Then use --tlsverify or DOCKER_TLS_VERIFY=1."
            )
        }
        other => plain(&other.to_string()),
    }
}
