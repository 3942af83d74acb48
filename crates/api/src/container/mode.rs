//! The string modes of `HostConfig` (network, IPC, PID …): any text is kept, methods tell what it means.

use crate::json::wire_string;

wire_string! {
    /// Which network the container joins.
    NetworkMode;
    /// Which IPC namespace it joins.
    IpcMode;
    /// Which PID namespace it joins.
    PidMode;
    /// Which UTS namespace it joins.
    UtsMode;
    /// Which user namespace it joins.
    UsernsMode;
    /// Which cgroup namespace it joins.
    CgroupnsMode;
    /// Which container's cgroup it joins.
    CgroupSpec;
    /// Windows isolation technology.
    Isolation;
}

/// The container named by a `container:NAME` mode.
fn container_of(mode: &str) -> Option<&str> {
    mode.strip_prefix("container:")
}

impl NetworkMode {
    /// Nothing asked, or `default`.
    pub fn is_default(&self) -> bool {
        self.0.is_empty() || self.0 == "default"
    }

    /// The host's own network.
    pub fn is_host(&self) -> bool {
        self.0 == "host"
    }

    /// Loopback only.
    pub fn is_none(&self) -> bool {
        self.0 == "none"
    }

    /// The default bridge.
    pub fn is_bridge(&self) -> bool {
        self.0 == "bridge"
    }

    /// The container whose network is joined.
    pub fn container(&self) -> Option<&str> {
        container_of(&self.0)
    }

    /// A network made by a user.
    pub fn is_user_defined(&self) -> bool {
        !self.is_default()
            && !self.is_bridge()
            && !self.is_host()
            && !self.is_none()
            && self.container().is_none()
    }
}

impl IpcMode {
    /// The host's IPC namespace.
    pub fn is_host(&self) -> bool {
        self.0 == "host"
    }

    /// Its own, which others cannot join.
    pub fn is_private(&self) -> bool {
        self.0 == "private"
    }

    /// Its own, which others may join.
    pub fn is_shareable(&self) -> bool {
        self.0 == "shareable"
    }

    /// Its own, without /dev/shm.
    pub fn is_none(&self) -> bool {
        self.0 == "none"
    }

    /// The container whose IPC namespace is joined.
    pub fn container(&self) -> Option<&str> {
        container_of(&self.0)
    }

    /// Whether Docker knows the mode.
    pub fn is_valid(&self) -> bool {
        self.is_empty()
            || self.is_host()
            || self.is_private()
            || self.is_shareable()
            || self.is_none()
            || self.container().is_some()
    }
}

impl PidMode {
    /// The host's processes.
    pub fn is_host(&self) -> bool {
        self.0 == "host"
    }

    /// The container whose processes are seen.
    pub fn container(&self) -> Option<&str> {
        container_of(&self.0)
    }

    /// Whether Docker knows the mode.
    pub fn is_valid(&self) -> bool {
        self.is_empty() || self.is_host() || self.container().is_some_and(|name| !name.is_empty())
    }
}

impl UtsMode {
    /// The host's names.
    pub fn is_host(&self) -> bool {
        self.0 == "host"
    }

    /// Whether Docker knows the mode.
    pub fn is_valid(&self) -> bool {
        self.is_empty() || self.is_host()
    }
}

impl UsernsMode {
    /// The host's user namespace.
    pub fn is_host(&self) -> bool {
        self.0 == "host"
    }

    /// Whether Docker knows the mode.
    pub fn is_valid(&self) -> bool {
        self.is_empty() || self.is_host()
    }
}

impl CgroupnsMode {
    /// The host's cgroup namespace.
    pub fn is_host(&self) -> bool {
        self.0 == "host"
    }

    /// Its own.
    pub fn is_private(&self) -> bool {
        self.0 == "private"
    }

    /// Whether Docker knows the mode.
    pub fn is_valid(&self) -> bool {
        self.is_empty() || self.is_host() || self.is_private()
    }
}

impl CgroupSpec {
    /// The container whose cgroup is joined.
    pub fn container(&self) -> Option<&str> {
        container_of(&self.0)
    }

    /// Whether Docker knows the mode.
    pub fn is_valid(&self) -> bool {
        self.is_empty() || self.container().is_some()
    }
}

impl Isolation {
    /// Nothing asked, or `default` in any case.
    pub fn is_default(&self) -> bool {
        self.0.is_empty() || self.0.eq_ignore_ascii_case("default")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_mean_what_docker_means() {
        assert!(NetworkMode::from("").is_default());
        assert!(NetworkMode::from("mynet").is_user_defined());
        assert_eq!(NetworkMode::from("container:x").container(), Some("x"));
        assert!(IpcMode::from("container:").is_valid());
        assert!(!IpcMode::from("bogus").is_valid());
        assert!(!PidMode::from("container:").is_valid());
        assert!(!UtsMode::from("private").is_valid());
        assert!(Isolation::from("Default").is_default());
    }
}
