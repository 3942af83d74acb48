//! Log options: judged in Docker's words, resolved into the [`Target`] that a shim writes to.
//!
//! One rule is the house's own: without `max-size` a `json-file` log is capped (10 MB, five files), because a container
//! that prints for ever must not fill the disk. `max-size=-1` lifts the cap.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{attributes, size};
use crate::{Error, Result};

/// The log drivers of the house.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// One JSON object per line, readable by everybody.
    #[default]
    JsonFile,
    /// Docker's compact binary records.
    Local,
    /// Nothing is kept.
    None,
}

impl Driver {
    /// The driver of this name; no name means the default.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "" | "json-file" => Ok(Self::JsonFile),
            "local" => Ok(Self::Local),
            "none" => Ok(Self::None),
            other => Err(refuse(format!("logger: no log driver named '{other}' is registered"))),
        }
    }

    /// The driver's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JsonFile => "json-file",
            Self::Local => "local",
            Self::None => "none",
        }
    }

    /// The log's file name in the container's folder below the data root, as Docker names it.
    pub fn file_name(self, id: &str) -> PathBuf {
        match self {
            Self::JsonFile => PathBuf::from(format!("{id}-json.log")),
            Self::Local => PathBuf::from("local-logs/container.log"),
            Self::None => PathBuf::new(),
        }
    }
}

/// Where and how a shim logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The format.
    pub driver: Driver,
    /// The current file; rotated ones are beside it with `.1`, `.2.gz` …
    pub path: PathBuf,
    /// Bytes after which the file is rotated.
    pub max_size: Option<u64>,
    /// Files in all.
    pub max_files: u32,
    /// Rotated files are compressed.
    pub compress: bool,
    /// Attributes of every record.
    pub attributes: BTreeMap<String, String>,
}

/// Judged log options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The driver.
    pub driver: Driver,
    max_size: Option<u64>,
    max_files: u32,
    compress: bool,
    chosen: attributes::Chosen,
}

pub use attributes::Info;

/// Judges the names of options, as Docker does when a container is created.
pub fn validate_options<K: AsRef<str>, V: AsRef<str>>(
    driver: &str,
    options: impl IntoIterator<Item = (K, V)>,
) -> Result<()> {
    Given::collect(driver, options).map(|_| ())
}

/// Judges names and values of options, as Docker does when a container is started.
pub fn parse_options<K: AsRef<str>, V: AsRef<str>>(
    driver: &str,
    options: impl IntoIterator<Item = (K, V)>,
) -> Result<Options> {
    let given = Given::collect(driver, options)?;
    let files = match given.driver {
        Driver::JsonFile => given.json_file()?,
        Driver::Local => given.local()?,
        Driver::None => Files { max_size: None, max_files: 1, compress: false },
    };
    Ok(Options {
        driver: given.driver,
        max_size: files.max_size,
        max_files: files.max_files,
        compress: files.compress,
        chosen: given.chosen,
    })
}

impl Options {
    /// The target for a container whose log is at `path`.
    pub fn target(&self, path: PathBuf, info: &Info<'_>) -> Result<Target> {
        Ok(Target {
            driver: self.driver,
            path,
            max_size: self.max_size,
            max_files: self.max_files,
            compress: self.compress,
            attributes: self.chosen.resolve(info)?,
        })
    }
}

struct Files {
    max_size: Option<u64>,
    max_files: u32,
    compress: bool,
}

/// Options by name, values as given.
#[derive(Default)]
struct Given {
    driver: Driver,
    max_size: Option<String>,
    max_file: Option<String>,
    compress: Option<String>,
    mode: String,
    max_buffer_size: Option<String>,
    chosen: attributes::Chosen,
}

impl Given {
    fn collect<K: AsRef<str>, V: AsRef<str>>(
        driver: &str,
        options: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self> {
        if driver == "none" {
            return Ok(Self { driver: Driver::None, ..Self::default() });
        }
        let mut given = Self::default();
        let mut unknown = None;
        for (key, value) in options {
            let (key, value) = (key.as_ref(), value.as_ref().to_owned());
            match key {
                "max-size" => given.max_size = Some(value),
                "max-file" => given.max_file = Some(value),
                "compress" => given.compress = Some(value),
                "labels" => given.chosen.labels = value,
                "labels-regex" => given.chosen.labels_regex = value,
                "env" => given.chosen.env = value,
                "env-regex" => given.chosen.env_regex = value,
                "tag" => given.chosen.tag = value,
                "mode" => given.mode = value,
                "max-buffer-size" => given.max_buffer_size = Some(value),
                _ => unknown = unknown.or(Some(key.to_owned())),
            }
        }
        given.check_mode()?;
        given.driver = Driver::parse(driver)?;
        match (unknown, given.driver) {
            (None, _) => Ok(given),
            (Some(key), Driver::Local) => {
                Err(refuse(format!("unknown log opt '{key}' for log driver local")))
            }
            (Some(key), _) => Err(refuse(format!("unknown log opt '{key}' for json-file log driver"))),
        }
    }

    /// Both modes are the same here: a shim's write to a file never waits for a reader, so nothing has to be dropped
    /// to keep the container going.
    fn check_mode(&self) -> Result<()> {
        if !matches!(&*self.mode, "" | "blocking" | "non-blocking") {
            return Err(refuse(format!("logger: logging mode not supported: {}", self.mode)));
        }
        let Some(buffer) = &self.max_buffer_size else { return Ok(()) };
        if self.mode != "non-blocking" {
            let text = "logger: max-buffer-size option is only supported with 'mode=non-blocking'";
            return Err(refuse(text.to_owned()));
        }
        let parsed = size::parse(buffer, 1024);
        parsed.map(|_| ()).map_err(|why| refuse(format!("error parsing option max-buffer-size: {why}")))
    }

    fn json_file(&self) -> Result<Files> {
        let max_size = match self.max_size.as_deref() {
            None => Some(10_000_000),
            Some("-1") => None,
            Some(text) => Some(size::parse(text, 1000).map_err(refuse)?),
        };
        if max_size == Some(0) {
            return Err(refuse("max-size must be a positive number".to_owned()));
        }
        let max_files = match &self.max_file {
            Some(text) => size::integer(text).map_err(refuse)?,
            None if self.max_size.is_none() => 5,
            None => 1,
        };
        if max_files < 1 {
            return Err(refuse("max-file cannot be less than 1".to_owned()));
        }
        let compress = self.compress.as_deref().map_or(Ok(false), size::boolean).map_err(refuse)?;
        if compress && (max_files == 1 || max_size.is_none()) {
            let text = "compress cannot be true when max-file is less than 2 or max-size is not set";
            return Err(refuse(text.to_owned()));
        }
        Ok(Files { max_size, max_files: clamp(max_files), compress })
    }

    fn local(&self) -> Result<Files> {
        let named =
            |name: &str, value: &str, why| refuse(format!("invalid value for {name}: {value}: {why}"));
        let max_size = match self.max_size.as_deref() {
            None => 20 << 20,
            Some(text) => size::parse(text, 1000).map_err(|why| named("max-size", text, why))?,
        };
        let max_files = match self.max_file.as_deref() {
            None => 5,
            Some(text) => size::integer(text).map_err(|why| named("max-file", text, why))?,
        };
        let compress = self.compress.as_deref().map_or(Ok(true), size::boolean);
        let compress =
            compress.map_err(|why| refuse(format!("invalid boolean value for compress: {why}")))?;
        if max_files < 0 {
            return Err(refuse("max-file must not be negative".to_owned()));
        }
        if compress && max_files <= 1 {
            return Err(refuse("compression cannot be enabled when max file count is 1".to_owned()));
        }
        Ok(Files { max_size: Some(max_size.max(1)), max_files: clamp(max_files.max(1)), compress })
    }
}

/// More files than anybody keeps; a rotation renames each of them.
fn clamp(files: i64) -> u32 {
    u32::try_from(files.min(10_000)).unwrap_or(1)
}

fn refuse(text: String) -> Error {
    Error::LogOption(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (driver, options, expect) in [
            ("json-file", &[][..], (Some(10_000_000), 5, false)),
            ("", &[("max-size", "1k")], (Some(1000), 1, false)),
            ("json-file", &[("max-size", "-1")], (None, 1, false)),
            (
                "json-file",
                &[("max-size", "2m"), ("max-file", "3"), ("compress", "true")],
                (Some(2_000_000), 3, true),
            ),
            (
                "json-file",
                &[("mode", "non-blocking"), ("max-buffer-size", "4m")],
                (Some(10_000_000), 5, false),
            ),
            ("local", &[], (Some(20 << 20), 5, true)),
            ("local", &[("max-file", "1"), ("compress", "false")], (Some(20 << 20), 1, false)),
            ("none", &[("anything", "goes")], (None, 1, false)),
        ] {
            let options = parse_options(driver, options.iter().copied()).unwrap();
            assert_eq!((options.max_size, options.max_files, options.compress), expect, "{driver}");
        }
    }

    #[test]
    fn refusals_in_dockers_words() {
        for (driver, key, value, message) in [
            ("json-file", "foo", "1", "unknown log opt 'foo' for json-file log driver"),
            ("local", "foo", "1", "unknown log opt 'foo' for log driver local"),
            ("syslog", "max-size", "1", "logger: no log driver named 'syslog' is registered"),
            ("json-file", "mode", "x", "logger: logging mode not supported: x"),
            (
                "json-file",
                "max-buffer-size",
                "1m",
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
            ("json-file", "max-size", "abc", "invalid size: 'abc'"),
            ("json-file", "max-size", "0", "max-size must be a positive number"),
            ("json-file", "max-file", "x", "strconv.Atoi: parsing \"x\": invalid syntax"),
            ("json-file", "max-file", "0", "max-file cannot be less than 1"),
            ("json-file", "compress", "maybe", "strconv.ParseBool: parsing \"maybe\": invalid syntax"),
            ("local", "max-size", "x", "invalid value for max-size: x: invalid size: 'x'"),
            ("local", "max-file", "1", "compression cannot be enabled when max file count is 1"),
        ] {
            let error = parse_options(driver, [(key, value)]).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        assert!(validate_options("json-file", [("max-size", "abc")]).is_ok());
    }
}
