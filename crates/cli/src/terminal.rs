//! The terminal of this process: raw mode and size.
//!
//! Raw mode is undone on every way out: the guard's drop, and a process that is killed by a signal is put right by
//! the handlers of [`crate::streams`], which end the loop instead of the process.

use std::io;

use rustix::termios::{self, OptionalActions, Termios};

/// Puts the terminal of standard input into raw mode as long as it lives.
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// Every key goes to the container, ctrl-c among them.
    pub fn enter() -> io::Result<Raw> {
        let input = io::stdin();
        let before = termios::tcgetattr(&input)?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(&input, OptionalActions::Now, &raw)?;
        Ok(Raw { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing can be done when the terminal has gone away.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Rows and columns of the terminal of standard output; `None` when it is none, or knows no size.
pub fn size() -> Option<(u16, u16)> {
    let size = termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}
