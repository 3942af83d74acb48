//! `--security-opt`: a seccomp profile is read here, on the client's side, and sent as text.

use std::fs;

use super::environment::reason;

/// The options as the API takes them; `systempaths=unconfined` is told apart, for it is another field.
pub fn options(given: &[String]) -> Result<(Vec<String>, bool), String> {
    let mut options = Vec::new();
    let mut unconfined_paths = false;
    for option in given {
        let Some((key, value)) = option.split_once('=').or_else(|| option.split_once(':')) else {
            if option != "no-new-privileges" {
                return Err(format!("Invalid --security-opt: {option:?}"));
            }
            options.push(option.clone());
            continue;
        };
        match (key, value) {
            ("systempaths", "unconfined") => unconfined_paths = true,
            ("seccomp", "unconfined" | "builtin") => options.push(option.clone()),
            ("seccomp", file) => options.push(format!("seccomp={}", profile(file)?)),
            _ => options.push(option.clone()),
        }
    }
    Ok((options, unconfined_paths))
}

/// The profile without white space, as it is sent.
fn profile(file: &str) -> Result<String, String> {
    let text = fs::read(file)
        .map_err(|e| format!("opening seccomp profile ({file}) failed: open {file}: {}", reason(&e)))?;
    let value: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|e| format!("compacting json for seccomp profile ({file}) failed: {e}"))?;
    Ok(value.to_string())
}
