//! The crate's one error: which call failed, on which object, with which number.
//! It is a leaf: it shows the kernel's text itself and has no source.

use std::fmt::Display;

pub use rustix::io::Errno;

/// A failed system call.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{call} {object}: {}", text(*.errno))]
pub struct Error {
    /// Name of the call, as in section 2 of the manual.
    pub call: &'static str,
    /// What the call was about: a path, a process, a name.
    pub object: String,
    /// The kernel's answer.
    pub errno: Errno,
}

/// The result of a wrapper.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `call` about `object`.
    pub fn new(call: &'static str, object: impl Display, errno: Errno) -> Self {
        Self { call, object: object.to_string(), errno }
    }
}

/// The kernel's words for an error number in the form C programs print them ("no such file or directory").
pub fn text(errno: Errno) -> String {
    let full = std::io::Error::from_raw_os_error(errno.raw_os_error()).to_string();
    let bare = full.split(" (os error").next().unwrap_or(&full);
    let mut letters = bare.chars();
    match (letters.next(), letters.next()) {
        // Words such as "RFS specific error" keep their capitals.
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(std::iter::once(second)).chain(letters).collect()
        }
        _ => bare.to_owned(),
    }
}

/// A message in which Rust wrote errors of the kernel ("No such file or directory (os error 2)"), with the kernel's
/// words as C and Go programs print them and without the numbers.
pub fn plain(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once(" (os error ") {
        let Some((number, after)) = after.split_once(')') else { break };
        let Ok(number) = number.parse::<i32>() else { break };
        let full = std::io::Error::from_raw_os_error(number).to_string();
        let words = full.split(" (os error").next().unwrap_or_default();
        match before.strip_suffix(words) {
            Some(start) => out.extend([start, &text(Errno::from_raw_os_error(number))]),
            None => out.push_str(before),
        }
        rest = after;
    }
    out + rest
}

/// The number of the error the C library reported last.
pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Names the call and the object of a bare error number.
pub trait Named<T> {
    /// Turns an [`Errno`] into an [`Error`]; the object is formatted only when there is one.
    fn named(self, call: &'static str, object: impl Display) -> Result<T>;
}

impl<T> Named<T> for rustix::io::Result<T> {
    fn named(self, call: &'static str, object: impl Display) -> Result<T> {
        self.map_err(|errno| Error::new(call, object, errno))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_call_object_and_kernel_text() {
        let error = Error::new("openat2", "/etc/passwd", Errno::NOENT);
        assert_eq!(error.to_string(), "openat2 /etc/passwd: no such file or directory");
    }

    #[test]
    fn the_kernels_words_stand_without_numbers() {
        for (message, expect) in [
            ("write /x: No space left on device (os error 28)", "write /x: no space left on device"),
            (
                "a: Permission denied (os error 13): b: Is a directory (os error 21)",
                "a: permission denied: b: is a directory",
            ),
            ("nothing to do (os error x)", "nothing to do (os error x)"),
            ("plain", "plain"),
        ] {
            assert_eq!(plain(message), expect);
        }
    }
}
