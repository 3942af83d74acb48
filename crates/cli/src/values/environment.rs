//! Environment variables and labels: from flags and from files.

use std::env;
use std::fs;
use std::path::Path;

/// Variables of `--env-file`s and then of `-e`: `NAME=value`, or `NAME` for the client's own value if it has one.
pub fn variables(files: &[String], given: &[String]) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for file in files {
        for line in lines(file)? {
            all.extend(from_file(file, &line)?);
        }
    }
    for variable in given {
        if variable.is_empty() || variable.starts_with('=') {
            return Err(format!("invalid environment variable: {variable}"));
        }
        all.push(own(variable).unwrap_or_else(|| variable.clone()));
    }
    Ok(all)
}

/// `NAME` becomes `NAME=value` when this process has it.
fn own(variable: &str) -> Option<String> {
    if variable.contains('=') {
        return None;
    }
    env::var(variable).ok().map(|value| format!("{variable}={value}"))
}

/// A name without `=` in a file stands for the client's own value; without one it is left out.
fn from_file(file: &str, line: &str) -> Result<Option<String>, String> {
    let name = line.split('=').next().unwrap_or_default();
    if name.is_empty() {
        return Err(format!("invalid env file ({file}): no variable name on line '{line}'"));
    }
    if name.contains(char::is_whitespace) {
        return Err(format!("invalid env file ({file}): variable '{name}' contains whitespaces"));
    }
    if line.contains('=') {
        return Ok(Some(line.to_string()));
    }
    Ok(own(line))
}

/// Labels of `--label-file`s, of which those without a value are left out, and then of `--label`.
pub fn labels(files: &[String], given: &[String]) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for file in files {
        for line in lines(file)? {
            let name = line.split('=').next().unwrap_or_default();
            if name.is_empty() {
                return Err(format!("invalid env file ({file}): no variable name on line '{line}'"));
            }
            if name.contains([' ', '\t']) {
                return Err(format!("invalid env file ({file}): variable '{name}' contains whitespaces"));
            }
            if line.contains('=') {
                all.push(line);
            }
        }
    }
    all.extend(given.iter().cloned());
    Ok(all)
}

/// The lines of a file that say something.
fn lines(file: &str) -> Result<Vec<String>, String> {
    let bytes = fs::read(Path::new(file)).map_err(|error| format!("open {file}: {}", reason(&error)))?;
    let text =
        String::from_utf8(bytes).map_err(|_| format!("invalid env file ({file}): invalid utf8 bytes"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(String::from).collect())
}

/// The kernel's words for an error, without Rust's number behind them.
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().collect::<String>() + letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_come_from_files_and_flags() {
        let file = std::env::temp_dir().join(format!("boxship-env-{}", std::process::id()));
        fs::write(&file, "\u{feff}A=1\n# no\n\n  B=with space \nBOXSHIP_NO_SUCH\n").unwrap();
        let path = file.display().to_string();
        let all = variables(std::slice::from_ref(&path), &["C=3".into(), "BOXSHIP_NO_SUCH".into()]).unwrap();
        assert_eq!(all, ["A=1", "B=with space ", "C=3", "BOXSHIP_NO_SUCH"]);
        fs::write(&file, "A B=1\n").unwrap();
        assert!(variables(&[path], &[]).unwrap_err().contains("contains whitespaces"));
        fs::remove_file(&file).unwrap();
        assert_eq!(
            variables(&["/nosuch".into()], &[]).unwrap_err(),
            "open /nosuch: no such file or directory"
        );
        assert_eq!(variables(&[], &["=x".into()]).unwrap_err(), "invalid environment variable: =x");
    }
}
