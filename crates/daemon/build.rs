//! Tells the daemon which commit it is built from and when, for `version` and `info`: `BOXSHIP_GIT_COMMIT` and
//! `BOXSHIP_BUILD_TIME`, or what the checkout and the clock (`SOURCE_DATE_EPOCH` before it) say. No program is asked.
//!
//! Only release builds look by themselves: a development build would have to be made anew with each commit, or lie.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

/// Characters of a commit that are shown, as Docker shows them.
const SHORT: usize = 7;
/// The first second of the year 10000, which has no date in four digits.
const END: u64 = 253_402_300_800;

fn main() {
    for name in ["BOXSHIP_GIT_COMMIT", "BOXSHIP_BUILD_TIME", "SOURCE_DATE_EPOCH"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    if let (Err(_), Some(commit)) = (env::var("BOXSHIP_GIT_COMMIT"), commit()) {
        println!("cargo:rustc-env=BOXSHIP_GIT_COMMIT={commit}");
    }
    if let (Err(_), Some(time)) = (env::var("BOXSHIP_BUILD_TIME"), seconds()) {
        println!("cargo:rustc-env=BOXSHIP_BUILD_TIME={}", rfc3339(time));
    }
}

/// The commit that is checked out; `None` where there is no checkout, or one of another kind.
fn commit() -> Option<String> {
    let git = Path::new(&env::var_os("CARGO_MANIFEST_DIR")?).join("../../.git");
    let head = read(git.join("HEAD"))?;
    // It grows with each commit and checkout, also where the branch's own file is only about to be made.
    let log = git.join("logs/HEAD");
    if log.exists() {
        println!("cargo:rerun-if-changed={}", log.display());
    }
    let commit = match head.strip_prefix("ref: ") {
        None => head,
        Some(name) => read(git.join(name)).or_else(|| {
            let packed = read(git.join("packed-refs"))?;
            let of = |line: &str| line.strip_suffix(name)?.strip_suffix(' ').map(str::to_owned);
            packed.lines().find_map(of)
        })?,
    };
    let is_hash = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| commit[..SHORT].to_owned())
}

/// A file of the checkout; the build is made anew when it changes.
fn read(path: PathBuf) -> Option<String> {
    let text = fs::read_to_string(&path).ok()?;
    println!("cargo:rerun-if-changed={}", path.display());
    Some(text.trim().to_owned())
}

fn seconds() -> Option<u64> {
    let seconds = match env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text.trim().parse().ok(),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs()),
    };
    seconds.filter(|seconds| *seconds < END)
}

/// Seconds since 1970 as the date and time in UTC.
fn rfc3339(seconds: u64) -> String {
    let (day, second) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut left) = (1970, day);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", month + 1, left + 1)
}
