//! Log options: judged in Docker's words, resolved into the [`Target`] that a shim writes to.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

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
    labels: String,
    labels_regex: String,
    env: String,
    env_regex: String,
    tag: String,
}

/// What a container offers for attributes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Info<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Its name, without slash.
    pub name: &'a str,
    /// Its image's id.
    pub image_id: &'a str,
    /// Its image's name.
    pub image_name: &'a str,
    /// Its labels.
    pub labels: &'a [(&'a str, &'a str)],
    /// Its environment, `NAME=value`.
    pub env: &'a [&'a str],
}
/// Judges the names of options, as Docker does when a container is created.
pub fn validate_options<K: AsRef<str>, V: AsRef<str>>(
    driver: &str,
    options: impl IntoIterator<Item = (K, V)>,
) -> Result<()> {
    parse_options(driver, options).map(|_| ())
}

/// Judges names and values of options, as Docker does when a container is started.
pub fn parse_options<K: AsRef<str>, V: AsRef<str>>(
    driver: &str,
    options: impl IntoIterator<Item = (K, V)>,
) -> Result<Options> {
    let _ = options;
    Err(Error::LogOption(driver.to_owned()))
}

impl Options {
    /// The target for a container whose log is at `path`.
    pub fn target(&self, path: PathBuf, info: &Info<'_>) -> Result<Target> {
        let _ = info;
        Ok(Target {
            driver: self.driver,
            path,
            max_size: self.max_size,
            max_files: self.max_files,
            compress: self.compress,
            attributes: BTreeMap::new(),
        })
    }
}
