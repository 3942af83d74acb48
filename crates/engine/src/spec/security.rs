//! `--security-opt`: parsed once into [`SecurityOptions`]. What cannot be honoured here is an error or a warning,
//! never silence.

use boxship_oci::go;

use super::host::Host;
use crate::{Error, Result};

/// What the security options ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityOptions {
    /// Never gain privileges by exec; `None` leaves the daemon's default.
    pub no_new_privileges: Option<bool>,
    /// Whether /sys/fs/cgroup is writable; `None` follows privileged mode.
    pub writable_cgroups: Option<bool>,
    /// `unconfined`, `builtin`, or the profile's text; empty: the default.
    pub seccomp: String,
    /// The AppArmor profile; empty: the default.
    pub apparmor: String,
    /// SELinux labels.
    pub labels: Vec<String>,
    /// Nothing below /proc and /sys is hidden or read-only.
    pub unconfined_system_paths: bool,
}

/// Reads the options.
pub fn parse(options: &[String]) -> Result<SecurityOptions> {
    let mut result = SecurityOptions::default();
    for option in options {
        parse_one(option, &mut result)?;
    }
    Ok(result)
}

fn parse_one(option: &str, result: &mut SecurityOptions) -> Result<()> {
    match option {
        "no-new-privileges" => result.no_new_privileges = Some(true),
        "writable-cgroups" => result.writable_cgroups = Some(true),
        "disable" => result.labels.push("disable".to_owned()),
        _ => {
            let (key, value) = option
                .split_once('=')
                .or_else(|| option.split_once(':'))
                .ok_or_else(|| Error::invalid(format!("invalid --security-opt 1: {option:?}")))?;
            parse_pair(option, key, value, result)?;
        }
    }
    Ok(())
}

fn parse_pair(option: &str, key: &str, value: &str, result: &mut SecurityOptions) -> Result<()> {
    let invalid = || Error::invalid(format!("invalid --security-opt 2: {option:?}"));
    match key {
        "label" => result.labels.push(value.to_owned()),
        "apparmor" => value.clone_into(&mut result.apparmor),
        "seccomp" => value.clone_into(&mut result.seccomp),
        "no-new-privileges" => result.no_new_privileges = Some(go::boolean(value).map_err(|_| invalid())?),
        "writable-cgroups" => result.writable_cgroups = Some(go::boolean(value).map_err(|_| invalid())?),
        "systempaths" if value == "unconfined" => result.unconfined_system_paths = true,
        _ => return Err(invalid()),
    }
    Ok(())
}

impl SecurityOptions {
    /// What the user should know: options that this host cannot honour.
    pub fn warnings(&self, host: &Host) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.labels.iter().any(|label| label != "disable") {
            warnings.push("SELinux is not used on this host. Labels discarded.".to_owned());
        }
        if !host.apparmor && !matches!(self.apparmor.as_str(), "" | "unconfined") {
            warnings.push("AppArmor is not enabled on this host. Profile discarded.".to_owned());
        }
        warnings
    }

    /// The AppArmor profile for the runtime.
    pub fn apparmor_profile(&self, host: &Host) -> Option<String> {
        (host.apparmor && !self.apparmor.is_empty()).then(|| self.apparmor.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood() {
        let list = |options: &[&str]| options.iter().map(|&o| o.to_owned()).collect::<Vec<_>>();
        let options = parse(&list(&[
            "no-new-privileges:true",
            "seccomp=unconfined",
            "apparmor=p",
            "label=disable",
            "writable-cgroups=false",
            "systempaths=unconfined",
        ]))
        .unwrap();
        assert_eq!(
            options,
            SecurityOptions {
                no_new_privileges: Some(true),
                writable_cgroups: Some(false),
                seccomp: "unconfined".into(),
                apparmor: "p".into(),
                labels: vec!["disable".into()],
                unconfined_system_paths: true,
            }
        );
        assert_eq!(options.warnings(&Host::example(true)).len(), 1);
        for (bad, message) in [
            ("x", "invalid --security-opt 1: \"x\""),
            ("x=y", "invalid --security-opt 2: \"x=y\""),
            ("no-new-privileges=maybe", "invalid --security-opt 2: \"no-new-privileges=maybe\""),
        ] {
            assert_eq!(parse(&list(&[bad])).unwrap_err().to_string(), message);
        }
    }
}
