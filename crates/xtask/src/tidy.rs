//! The house rules that a program can check: see ARCHITECTURE.md, "Invariants".

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Crates that must stay synchronous: no tokio below them.
const SYNCHRONOUS: &[&str] = &["oci", "api", "sys", "layer", "store", "image", "runtime", "shim"];

/// Which rooms of our own a room may use directly. What is missing here is forbidden.
const MAY_USE: &[(&str, &[&str])] = &[
    ("oci", &[]),
    ("api", &["oci"]),
    ("sys", &[]),
    ("layer", &["oci", "sys"]),
    ("store", &["oci", "sys", "layer"]),
    ("image", &["oci", "layer", "store"]),
    ("dial", &[]),
    ("distribution", &["oci", "dial", "layer", "store", "image"]),
    ("registry", &["oci", "sys", "dial", "distribution"]),
    ("net", &["sys"]),
    ("runtime", &["oci", "sys"]),
    ("shim", &["oci", "sys", "runtime"]),
    ("engine", &["oci", "api", "sys", "layer", "store", "image", "distribution", "net", "runtime", "shim"]),
    ("daemon", &["oci", "api", "sys", "dial", "engine"]),
    ("client", &["oci", "api", "dial"]),
    ("cli", &["oci", "api", "sys", "client", "daemon", "distribution", "registry", "shim", "runtime"]),
    ("testkit", &["image"]),
    ("xtask", &["testkit"]),
];

/// Lines of a file, tests not counted, above which a second idea hides in it.
const LONGEST_FILE: usize = 500;

/// Licences that a dependency may have (any one of an `OR`).
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unlicense",
    "CC0-1.0",
    "0BSD",
    "Unicode-3.0",
    "MIT-0",
    "BSL-1.0",
    "OpenSSL",
    "bzip2-1.0.6",
];

/// Runs all checks and reports everything that is wrong.
pub fn check() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut wrong = Vec::new();
    let mut files = Vec::new();
    collect(&root.join("crates"), &mut files);
    for file in &files {
        let text = fs::read_to_string(file).map_err(|e| format!("read {}: {e}", file.display()))?;
        let name = file.strip_prefix(&root).unwrap_or(file).display().to_string();
        check_file(&name, &text, &mut wrong);
    }
    check_dependencies(&root, &mut wrong)?;
    if wrong.is_empty() {
        println!("tidy: {} files", files.len());
        return Ok(());
    }
    wrong.sort();
    Err(wrong.join("\n"))
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn check_file(name: &str, text: &str, wrong: &mut Vec<String>) {
    if !text.starts_with("//!") {
        wrong.push(format!("{name}: begins without //! (what it is, why, what it must never do)"));
    }
    let code = text.split("\n#[cfg(test)]").next().unwrap_or(text);
    let lines = code.lines().count();
    if lines > LONGEST_FILE && !name.contains("/tests/") {
        wrong.push(format!("{name}: {lines} lines without tests, {LONGEST_FILE} at most"));
    }
    if name.starts_with("crates/xtask/src/tidy.rs") {
        return;
    }
    if !name.starts_with("crates/sys/") && code.contains("unsafe {") {
        wrong.push(format!("{name}: unsafe outside crates/sys"));
    }
    for word in ["todo!(", "unimplemented!(", "FIXME", "XXX"] {
        if code.contains(word) {
            wrong.push(format!("{name}: {word}"));
        }
    }
    let room = name.split('/').nth(1).unwrap_or_default();
    if ["runtime", "shim"].contains(&room) && !name.contains("/tests/") && code.contains("thread::spawn") {
        wrong.push(format!("{name}: {room} never starts a thread"));
    }
    let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if ["util", "utils", "common", "misc", "helper", "helpers", "manager"].contains(&stem.as_str()) {
        wrong.push(format!("{name}: a name that says nothing"));
    }
}

fn check_dependencies(root: &Path, wrong: &mut Vec<String>) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("run cargo metadata: {e}"))?;
    let metadata: Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("read cargo metadata: {e}"))?;
    let none = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&none);
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        check_licence(name, package["license"].as_str().unwrap_or("none"), wrong);
        let Some(room) = name.strip_prefix("boxship-") else { continue };
        let Some(may) = allowed.get(room) else {
            wrong.push(format!("{name}: a room that tidy.rs and ARCHITECTURE.md don't know"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap_or(&none) {
            if dependency["kind"] == "dev" {
                continue;
            }
            let used = dependency["name"].as_str().unwrap_or_default();
            match used.strip_prefix("boxship-") {
                Some(used) if !may.contains(&used) => wrong.push(format!("{room} must not use {used}")),
                None if used == "tokio" && SYNCHRONOUS.contains(&room) => {
                    wrong.push(format!("{room} must stay synchronous: it uses tokio"));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn check_licence(name: &str, licence: &str, wrong: &mut Vec<String>) {
    let licence = licence.replace('/', " OR ").replace(['(', ')'], "");
    let fine = |one: &str| one.split(" AND ").all(|part| LICENCES.contains(&part.trim()));
    // `A AND (B OR C)` reads as two alternatives here; each part still has to be on the list.
    let any = licence.split(" OR ").any(fine);
    if !any {
        wrong.push(format!("{name}: licence {licence} is not on the permissive list"));
    }
}
