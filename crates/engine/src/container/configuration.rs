//! What was asked of a container, as its row keeps it. Changed only by rename and update, through the driver.

use boxship_api as api;
use serde::{Deserialize, Serialize};

/// A container's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Configuration {
    /// Its identifier: 64 hexadecimal digits.
    pub id: String,
    /// Its name, without slash.
    pub name: String,
    /// When it was made, nanoseconds since 1970.
    pub created: i64,
    /// The image's identifier (`sha256:…`).
    pub image: String,
    /// The image's operating system.
    pub os: String,
    /// What runs: the request merged with the image's.
    pub config: api::container::Config,
    /// How it runs here, defaults filled in.
    pub host_config: api::container::HostConfig,
    /// The endpoints asked for.
    pub networking: Option<api::network::NetworkingConfig>,
    /// Its mounts, resolved.
    pub mounts: Vec<api::mount::MountPoint>,
}

impl Configuration {
    /// The program and its arguments.
    pub(crate) fn command(&self) -> (String, Vec<String>) {
        let entrypoint = self.config.entrypoint.iter().flat_map(|list| list.iter());
        let cmd = self.config.cmd.iter().flat_map(|list| list.iter());
        let mut words = entrypoint.chain(cmd).cloned();
        (words.next().unwrap_or_default(), words.collect())
    }

    /// The command line as `ps` shows it: words with spaces quoted.
    pub(crate) fn command_line(&self) -> String {
        let (path, arguments) = self.command();
        if arguments.is_empty() {
            return path;
        }
        let quote = |word: &String| if word.contains(' ') { format!("'{word}'") } else { word.clone() };
        let arguments: Vec<_> = arguments.iter().map(quote).collect();
        format!("{path} {}", arguments.join(" "))
    }

    /// Labels, name and image: the attributes of its events.
    pub(crate) fn attributes(&self) -> std::collections::BTreeMap<String, String> {
        let mut attributes = self.config.labels.clone().unwrap_or_default();
        if !self.config.image.is_empty() {
            attributes.insert("image".into(), self.config.image.clone());
        }
        attributes.insert("name".into(), self.name.clone());
        attributes
    }

    /// The signal that asks it to stop.
    pub(crate) fn stop_signal(&self) -> i32 {
        boxship_sys::signal::Signal::parse(&self.config.stop_signal)
            .map_or(boxship_sys::signal::Signal::TERM.number(), |signal| signal.number())
    }

    /// Seconds to wait between that and SIGKILL; negative: for ever.
    pub(crate) fn stop_timeout(&self) -> i64 {
        self.config.stop_timeout.unwrap_or(10)
    }

    /// Whether it removes itself after its exit.
    pub(crate) fn auto_remove(&self) -> bool {
        self.host_config.auto_remove
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        let mut configuration = Configuration::default();
        configuration.config.entrypoint = Some(vec!["sh".to_owned()].into());
        assert_eq!(configuration.command_line(), "sh");
        configuration.config.cmd = Some(vec!["-c".to_owned(), "echo hi".to_owned()].into());
        assert_eq!(configuration.command_line(), "sh -c 'echo hi'");
        assert_eq!(configuration.command().1, ["-c", "echo hi"]);
        assert_eq!(configuration.stop_signal(), 15);
        configuration.config.stop_signal = "SIGQUIT".into();
        assert_eq!(configuration.stop_signal(), 3);
    }
}
