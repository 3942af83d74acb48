//! Finding the program: the container's PATH, searched as the user who will run it. Words as runc's.

use std::path::{Path, PathBuf};

use boxship_sys::Errno;
use rustix::fs::{Access, AtFlags, CWD, FileType};

use crate::message::{Done, Failure, Step};

/// Where the program is: a path with a slash as it is, else the first executable file on the PATH of `env`.
pub(crate) fn find(program: &str, env: &[String]) -> Done<PathBuf> {
    if program.contains('/') {
        return match executable(Path::new(program)) {
            Ok(()) => Ok(program.into()),
            Err(errno) => Err(Failure::new(Step::CommandNotExecutable, program, errno)),
        };
    }
    let path = variable(env, "PATH").unwrap_or_default();
    for folder in path.split(':') {
        let folder = if folder.is_empty() { "." } else { folder };
        let candidate = Path::new(folder).join(program);
        // A file that is there but may not be executed is passed over, as shells and Go do.
        if executable(&candidate).is_ok() {
            return Ok(candidate);
        }
    }
    Err(Failure::new(Step::CommandNotFound, program, Errno::NOENT))
}

fn executable(path: &Path) -> Result<(), Errno> {
    let found = rustix::fs::stat(path)?;
    if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

/// The value of a variable; the last one counts.
pub(crate) fn variable<'e>(env: &'e [String], name: &str) -> Option<&'e str> {
    env.iter().rev().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_the_containers() {
        let env = vec!["PATH=/nowhere".to_owned(), "PATH=/nowhere:/bin".to_owned()];
        assert_eq!(find("sh", &env).unwrap(), Path::new("/bin/sh"));
        assert_eq!(find("sh", &env[..1]).unwrap_err().step, Step::CommandNotFound);
        assert_eq!(find("sh", &[]).unwrap_err().step, Step::CommandNotFound);
    }

    #[test]
    fn paths_say_why_not() {
        let cases = [
            ("/nope", Errno::NOENT),
            ("/etc", Errno::ISDIR),
            ("/etc/passwd", Errno::ACCESS),
            ("/etc/passwd/x", Errno::NOTDIR),
        ];
        for (program, errno) in cases {
            let failure = find(program, &[]).unwrap_err();
            assert_eq!((failure.step, failure.errno), (Step::CommandNotExecutable, errno), "{program}");
        }
    }
}
