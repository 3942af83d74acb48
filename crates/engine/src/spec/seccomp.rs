//! System call filters: a profile in Docker's format (with `includes`, `excludes` and `archMap`) becomes the flat
//! filter of the OCI specification, for this architecture, kernel and set of capabilities. Compiling it is the
//! runtime's business. The default profile is data: `seccomp-default.json`.
//!
//! The default profile allows `socket` for families below 38, 39 and above 40: AF_ALG (38) and AF_VSOCK (40) are
//! denied. 32-bit programs keep `socketcall`, under the rules of their own architecture.

use boxship_oci::runtime::{Seccomp, SeccompAction, SeccompArch, SeccompArg, SeccompFlag, Syscall};
use serde::Deserialize;

use super::host::Host;
use crate::{Error, Result};

const DEFAULT_PROFILE: &str = include_str!("seccomp-default.json");
/// A profile is part of a request; beyond this it is no profile.
const MAX_PROFILE: usize = 4 << 20;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Profile {
    default_action: Option<SeccompAction>,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<SeccompArch>>,
    arch_map: Option<Vec<ArchMap>>,
    flags: Option<Vec<SeccompFlag>>,
    listener_path: Option<std::path::PathBuf>,
    listener_metadata: Option<String>,
    syscalls: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: SeccompArch,
    #[serde(default)]
    sub_architectures: Option<Vec<SeccompArch>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    name: Option<String>,
    names: Option<Vec<String>>,
    action: SeccompAction,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<SeccompArg>>,
    #[serde(default)]
    includes: Option<Filter>,
    #[serde(default)]
    excludes: Option<Filter>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// What a profile is resolved for.
pub struct Target<'a> {
    /// The host (its kernel's version).
    pub host: &'a Host,
    /// The container's bounding set.
    pub capabilities: &'a [String],
}

/// The filter of a container: what its options, its privileges and the daemon's default make.
pub fn filter(
    option: &str,
    privileged: bool,
    daemon_default: Option<&str>,
    target: &Target<'_>,
) -> Result<Option<Seccomp>> {
    let profile = match (option, privileged, daemon_default) {
        ("unconfined", ..) | ("", true, _) => return Ok(None),
        ("builtin", ..) => DEFAULT_PROFILE,
        ("", false, None) => DEFAULT_PROFILE,
        ("", false, Some("unconfined")) => return Ok(None),
        ("", false, Some(text)) => text,
        (text, ..) => text,
    };
    if !target.host.seccomp {
        if matches!(option, "" | "builtin") {
            return Ok(None);
        }
        return Err(Error::invalid(
            "seccomp is not enabled in your kernel, cannot run a custom seccomp profile",
        ));
    }
    resolve(profile, target)
}

fn resolve(text: &str, target: &Target<'_>) -> Result<Option<Seccomp>> {
    if text.len() > MAX_PROFILE {
        return Err(Error::invalid(format!("seccomp profile is larger than {MAX_PROFILE} bytes")));
    }
    let profile: Profile = serde_json::from_str(text)
        .map_err(|error| Error::invalid(format!("Decoding seccomp profile failed: {error}")))?;
    let rules = profile.syscalls.unwrap_or_default();
    let Some(default_action) = profile.default_action else {
        if rules.is_empty() {
            return Ok(None);
        }
        return Err(Error::invalid("Decoding seccomp profile failed: defaultAction is missing"));
    };
    let mut architectures = profile.architectures.unwrap_or_default();
    let map = profile.arch_map.unwrap_or_default();
    if !architectures.is_empty() && !map.is_empty() {
        return Err(Error::invalid(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' \
             or 'archMap'",
        ));
    }
    if let Some(own) = map.into_iter().find(|entry| entry.architecture == native().1) {
        architectures.push(own.architecture);
        architectures.extend(own.sub_architectures.unwrap_or_default());
    }
    let mut syscalls = Vec::new();
    for rule in rules {
        syscalls.extend(flatten(rule, target)?);
    }
    Ok(Some(Seccomp {
        default_action,
        default_errno_ret: profile.default_errno_ret,
        architectures,
        flags: profile.flags.unwrap_or_default(),
        listener_path: profile.listener_path,
        listener_metadata: profile.listener_metadata,
        syscalls,
    }))
}

fn flatten(rule: Rule, target: &Target<'_>) -> Result<Option<Syscall>> {
    let names = match (rule.name, rule.names.unwrap_or_default()) {
        (Some(name), names) if names.is_empty() => vec![name],
        (Some(_), _) => {
            return Err(Error::invalid(
                "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
            ));
        }
        (None, names) => names,
    };
    let excluded = rule.excludes.unwrap_or_default().any(target)?;
    let included = rule.includes.unwrap_or_default().all(target)?;
    Ok((included && !excluded).then(|| Syscall {
        names,
        action: rule.action,
        errno_ret: rule.errno_ret,
        args: rule.args.unwrap_or_default(),
    }))
}

impl Filter {
    /// Whether any of its conditions holds (`excludes`).
    fn any(&self, target: &Target<'_>) -> Result<bool> {
        let arch = self.arches.iter().flatten().any(|arch| arch == native().0);
        let cap = self.caps.iter().flatten().any(|cap| target.capabilities.contains(cap));
        Ok(arch || cap || (self.min_kernel.is_some() && self.kernel_is_new(target)?))
    }

    /// Whether all of its conditions hold (`includes`).
    fn all(&self, target: &Target<'_>) -> Result<bool> {
        let arches = self.arches.as_deref().unwrap_or_default();
        let arch = arches.is_empty() || arches.iter().any(|arch| arch == native().0);
        let caps = self.caps.iter().flatten().all(|cap| target.capabilities.contains(cap));
        Ok(arch && caps && self.kernel_is_new(target)?)
    }

    fn kernel_is_new(&self, target: &Target<'_>) -> Result<bool> {
        let Some(text) = &self.min_kernel else { return Ok(true) };
        let invalid = || Error::invalid(format!("invalid kernel version in seccomp profile: {text:?}"));
        let (major, minor) = text.split_once('.').ok_or_else(invalid)?;
        let wanted = (major.parse().map_err(|_| invalid())?, minor.parse().map_err(|_| invalid())?);
        Ok(target.host.kernel >= wanted)
    }
}

/// The name that profiles use for the architecture, and libseccomp's.
fn native() -> (&'static str, SeccompArch) {
    if cfg!(target_arch = "aarch64") {
        ("arm64", SeccompArch::Aarch64)
    } else {
        ("amd64", SeccompArch::X86_64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_caps(option: &str, caps: &[&str]) -> Result<Option<Seccomp>> {
        let host = Host::example(true);
        let capabilities: Vec<String> = caps.iter().map(|&cap| cap.to_owned()).collect();
        filter(option, false, None, &Target { host: &host, capabilities: &capabilities })
    }

    fn allows(filter: &Seccomp, name: &str) -> bool {
        let allowed = |rule: &&Syscall| rule.action == SeccompAction::Allow && rule.args.is_empty();
        filter.syscalls.iter().filter(allowed).any(|rule| rule.names.iter().any(|one| one == name))
    }

    #[test]
    fn the_default_profile_follows_capabilities() {
        let plain = with_caps("", &["CAP_CHOWN"]).unwrap().unwrap();
        let admin = with_caps("", &["CAP_SYS_ADMIN"]).unwrap().unwrap();
        assert!(!allows(&plain, "mount") && allows(&admin, "mount"));
        assert!(!allows(&plain, "clone3") && allows(&admin, "clone3"));
        assert!(allows(&plain, "ptrace"), "the kernel is new enough");
        assert_eq!(plain.default_errno_ret, Some(1));
        assert_eq!(plain.architectures[0], native().1);
    }

    #[test]
    fn af_alg_is_denied_and_32_bit_programs_have_socketcall() {
        let plain = with_caps("", &[]).unwrap().unwrap();
        assert!(!allows(&plain, "socket"), "only with conditions");
        let families = plain.syscalls.iter().filter(|rule| rule.names == ["socket"]);
        let conditions: Vec<_> = families.map(|rule| (rule.args[0].op, rule.args[0].value)).collect();
        use boxship_oci::runtime::SeccompOperator::{Equal, Greater, Less};
        assert_eq!(conditions, [(Less, 38), (Equal, 39), (Greater, 40)]);
        assert!(allows(&plain, "socketcall"));
        #[cfg(target_arch = "x86_64")]
        assert_eq!(plain.architectures, [SeccompArch::X86_64, SeccompArch::X86, SeccompArch::X32]);
        for name in ["io_uring_setup", "io_uring_enter", "io_uring_register"] {
            assert!(!allows(&plain, name), "{name}");
        }
    }

    #[test]
    fn options_choose_the_profile() {
        let host = Host::example(true);
        let target = Target { host: &host, capabilities: &[] };
        assert_eq!(filter("unconfined", false, None, &target).unwrap(), None);
        assert_eq!(filter("", true, None, &target).unwrap(), None);
        assert_eq!(filter("", false, Some("unconfined"), &target).unwrap(), None);
        let custom =
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"mkdir","action":"SCMP_ACT_ERRNO"}]}"#;
        let own = filter(custom, true, None, &target).unwrap().unwrap();
        assert_eq!(own.syscalls[0].names, ["mkdir"]);
        assert_eq!(filter("{}", false, None, &target).unwrap(), None);
        let error = filter("nonsense", false, None, &target).unwrap_err().to_string();
        assert!(error.starts_with("Decoding seccomp profile failed: "), "{error}");
    }
}
