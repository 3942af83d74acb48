//! `manifest annotate`: says what platform an image of an index is for.

use super::{kept, reference};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;

/// `manifest annotate`.
pub const ANNOTATE: Command = Command {
    name: "annotate",
    usage: "[OPTIONS] MANIFEST_LIST MANIFEST",
    about: "Add additional information to a local image manifest",
    operands: Operands::Exactly(2),
    mixed: true,
    flags: &[
        Flag::value("arch", "string", "Set architecture"),
        Flag::value("os", "string", "Set operating system"),
        Flag::list("os-features", "Set operating system feature").of("strings"),
        Flag::value("os-version", "string", "Set operating system version"),
        Flag::value("variant", "string", "Set architecture variant"),
    ],
    shared: &[],
    aliases: &[],
    action: action!(annotate),
};

/// The platforms that there are, by operating system.
const PLATFORMS: &[(&str, &[&str])] = &[
    ("darwin", &["386", "amd64", "arm", "arm64"]),
    ("dragonfly", &["amd64"]),
    ("freebsd", &["386", "amd64", "arm"]),
    ("linux", &["386", "amd64", "arm", "arm64", "ppc64le", "mips64", "mips64le", "riscv64", "s390x"]),
    ("netbsd", &["386", "amd64", "arm"]),
    ("openbsd", &["386", "amd64", "arm"]),
    ("plan9", &["386", "amd64"]),
    ("solaris", &["amd64"]),
    ("windows", &["386", "amd64"]),
];

async fn annotate(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let (list_name, image_name) = (parsed.operand(0), parsed.operand(1));
    let named = |what: &str, name: &str| {
        reference(name).map_err(|failure| {
            Failure::new(format!("annotate: error parsing name for {what} {name}: {}", failure.message()))
        })
    };
    let (list, image) = (named("manifest list", list_name)?, named("manifest", image_name)?);
    let kept = kept(invocation);
    let mut part = kept.get(&list, &image)?.ok_or_else(|| {
        Failure::new(format!("manifest for image {image_name} does not exist in {list_name}"))
    })?;
    let platform = part.descriptor.platform.get_or_insert_default();
    if let Some(os) = parsed.filled("os") {
        platform.os = os;
    }
    if let Some(architecture) = parsed.filled("arch") {
        platform.architecture = architecture;
    }
    for feature in parsed.list("os-features").iter().flat_map(|list| list.split(',')) {
        if !platform.os_features.iter().any(|known| known == feature) {
            platform.os_features.push(feature.to_owned());
        }
    }
    platform.variant = parsed.filled("variant").or(platform.variant.take());
    platform.os_version = parsed.filled("os-version").or(platform.os_version.take());
    let known = PLATFORMS.iter().find(|(os, _)| *os == platform.os);
    if !known.is_some_and(|(_, architectures)| architectures.contains(&platform.architecture.as_str())) {
        let given = |name: &str| parsed.text(name).unwrap_or_default();
        return Err(Failure::new(format!(
            "manifest entry for image has unsupported os/arch combination: {}/{}",
            given("os"),
            given("arch")
        )));
    }
    kept.save(&list, &image, &part)?;
    Ok(0)
}
