//! `list`, and the form in which `list` and `state` tell of a container.

use std::io::Write;
use std::path::PathBuf;

use boxship_oci::runtime::Status;
use boxship_runtime::Container;
use indexmap::IndexMap;
use serde::Serialize;

use super::arguments::{Arguments, Flag, switch, value};
use super::failure::{Failure, Result};
use super::{Context, print};

pub(super) const FLAGS: &[Flag] = &[
    value("format", Some('f'), "table (default) or json"),
    switch("quiet", Some('q'), "only the containers' names"),
];

/// A container as runc tells of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    oci_version: String,
    id: String,
    pid: i32,
    status: Status,
    bundle: PathBuf,
    rootfs: PathBuf,
    created: String,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    annotations: IndexMap<String, String>,
    owner: String,
}

impl Entry {
    /// Without the owner, as `state` prints it.
    pub(super) fn of(container: &Container) -> Result<Self> {
        let status = container.status()?;
        let record = container.record();
        Ok(Self {
            oci_version: record.oci_version.clone(),
            id: record.id.clone(),
            pid: if status == Status::Stopped { 0 } else { record.pid },
            status,
            bundle: record.bundle.clone(),
            rootfs: record.rootfs.clone(),
            created: record.created.clone(),
            annotations: record.annotations.clone(),
            owner: String::new(),
        })
    }
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<u8> {
    let entries = entries(context)?;
    if arguments.has("quiet") {
        let names: String = entries.iter().map(|entry| format!("{}\n", entry.id)).collect();
        return print(&names);
    }
    match arguments.value("format").unwrap_or("table") {
        "table" => print(&table(&entries)?),
        // Nothing at all is Go's empty slice.
        "json" if entries.is_empty() => print("null\n"),
        "json" => print(&format!("{}\n", serde_json::to_string(&entries)?)),
        _ => Err(Failure::new("invalid format option")),
    }
}

fn entries(context: &Context) -> Result<Vec<Entry>> {
    if !context.root.exists() {
        if context.root_given {
            let path = context.root.display();
            return Err(Failure::new(format!("open {path}: no such file or directory")));
        }
        return Ok(Vec::new());
    }
    let names = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut entries = Vec::new();
    for container in boxship_runtime::list(&context.root)? {
        match Entry::of(&container) {
            Ok(entry) => entries.push(Entry { owner: owner(&names, container.record().owner), ..entry }),
            // One that can't be read must not hide the others.
            Err(failure) => context.log.warning(&format!("status for {}: {failure}", container.id())),
        }
    }
    entries.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(entries)
}

/// The user's name, or `#` and the number.
fn owner(passwd: &str, uid: u32) -> String {
    let number = uid.to_string();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("#{uid}"))
}

fn table(entries: &[Entry]) -> Result<String> {
    // Go counts the padding into the least width of 12.
    let mut writer = tabwriter::TabWriter::new(Vec::new()).minwidth(9).padding(3);
    writeln!(writer, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER")?;
    for entry in entries {
        let bundle = entry.bundle.display();
        let Entry { id, pid, status, created, owner, .. } = entry;
        writeln!(writer, "{id}\t{pid}\t{status}\t{bundle}\t{created}\t{owner}")?;
    }
    let bytes = writer.into_inner().map_err(|error| Failure::new(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/:/bin/sh\n";
        for (uid, expected) in [(0, "root"), (1000, "ann"), (7, "#7")] {
            assert_eq!(owner(passwd, uid), expected);
        }
    }

    #[test]
    fn columns() {
        let entry = Entry {
            oci_version: "1.2.1".into(),
            id: "a".into(),
            pid: 12,
            status: Status::Running,
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: "2026-11-21T00:00:00Z".into(),
            annotations: IndexMap::new(),
            owner: "root".into(),
        };
        assert_eq!(
            table(&[entry]).unwrap(),
            "ID          PID         STATUS      BUNDLE      CREATED                OWNER\n\
             a           12          running     /b          2026-11-21T00:00:00Z   root\n"
        );
    }
}
