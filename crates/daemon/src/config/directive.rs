//! The table of everything the daemon can be told: one row per directive, read by the argument parser,
//! the file reader and the help text, so that the three cannot disagree.
//!
//! It must never hold a value: a row says what a directive is called and what form its value has.

/// The form of a directive's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `true` or `false`; on the command line the bare flag means `true`.
    Switch,
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// Several texts: the flag may be repeated, the file holds an array.
    List,
    /// Several objects: the flag may be repeated, each with `name=value,…`; the file holds an array.
    Objects,
    /// `name=value` pairs: the flag may be repeated, the file holds an object.
    Pairs,
}

/// One directive.
#[derive(Debug)]
pub(crate) struct Directive {
    /// Its name on the command line, without dashes; empty if it exists only in the file.
    pub flag: &'static str,
    /// Its one-letter name, if it has one.
    pub short: Option<char>,
    /// Its name in the configuration file; empty if it exists only on the command line.
    pub key: &'static str,
    /// The form of its value.
    pub form: Form,
    /// One line for the help text.
    pub help: &'static str,
}

const fn row(
    flag: &'static str,
    short: Option<char>,
    key: &'static str,
    form: Form,
    help: &'static str,
) -> Directive {
    Directive { flag, short, key, form, help }
}

/// All directives, in the order of the help text.
pub(crate) const DIRECTIVES: &[Directive] = &[
    row(
        "allow-direct-routing",
        None,
        "allow-direct-routing",
        Form::Switch,
        "Only false: other hosts reach containers by published ports",
    ),
    row("bip", None, "bip", Form::Text, "IPv4 address for the default bridge"),
    row("bip6", None, "bip6", Form::Text, "IPv6 address for the default bridge"),
    row(
        "bridge",
        Some('b'),
        "bridge",
        Form::Text,
        "Attach containers to a network bridge (default \"boxship0\", made at need; \"none\": no default bridge)",
    ),
    row(
        "config-file",
        None,
        "",
        Form::Text,
        "Daemon configuration file (default \"/etc/boxship/daemon.json\")",
    ),
    row(
        "data-root",
        None,
        "data-root",
        Form::Text,
        "Root directory of persistent state (default \"/var/lib/boxship\")",
    ),
    row("debug", Some('D'), "debug", Form::Switch, "Enable debug mode"),
    row(
        "default-address-pool",
        None,
        "default-address-pools",
        Form::Objects,
        "Default address pools for node specific local networks",
    ),
    row(
        "default-cgroupns-mode",
        None,
        "default-cgroupns-mode",
        Form::Text,
        "Default mode for containers cgroup namespace (\"host\" | \"private\")",
    ),
    row(
        "default-gateway",
        None,
        "default-gateway",
        Form::Text,
        "Default gateway IPv4 address for the default bridge network",
    ),
    row(
        "default-gateway-v6",
        None,
        "default-gateway-v6",
        Form::Text,
        "Default gateway IPv6 address for the default bridge network",
    ),
    row(
        "default-ipc-mode",
        None,
        "default-ipc-mode",
        Form::Text,
        "Default mode for containers ipc (\"shareable\" | \"private\")",
    ),
    row(
        "default-network-opt",
        None,
        "default-network-opts",
        Form::Pairs,
        "Default network options, as driver=option=value",
    ),
    row(
        "default-shm-size",
        None,
        "default-shm-size",
        Form::Text,
        "Default shm size for containers (default 64MiB)",
    ),
    row("default-ulimit", None, "default-ulimits", Form::Pairs, "Default ulimits for containers"),
    row("dns", None, "dns", Form::List, "DNS server to use"),
    row("dns-opt", None, "dns-opts", Form::List, "DNS options to use"),
    row("dns-search", None, "dns-search", Form::List, "DNS search domains to use"),
    row(
        "exec-root",
        None,
        "exec-root",
        Form::Text,
        "Root directory for execution state files (default \"/run/boxship\")",
    ),
    row(
        "firewall",
        None,
        "firewall",
        Form::Text,
        "How published ports meet the host's own rules: bypass them, or pass them too (\"docker\" | \"honest\")",
    ),
    row("firewall-backend", None, "firewall-backend", Form::Text, "Always \"nftables\""),
    row("fixed-cidr", None, "fixed-cidr", Form::Text, "IPv4 subnet for the default bridge network"),
    row("fixed-cidr-v6", None, "fixed-cidr-v6", Form::Text, "IPv6 subnet for the default bridge network"),
    row(
        "group",
        Some('G'),
        "group",
        Form::Text,
        "Group for the unix socket (default \"docker\", or root where there is no such group)",
    ),
    row("help", Some('h'), "", Form::Switch, "Print usage"),
    row("host", Some('H'), "hosts", Form::List, "Daemon socket(s) to connect to"),
    row(
        "host-gateway-ip",
        None,
        "host-gateway-ips",
        Form::List,
        "IP addresses that \"host-gateway\" in --add-host stands for (default: the default bridge's)",
    ),
    row(
        "icc",
        None,
        "icc",
        Form::Switch,
        "Enable inter-container communication for the default bridge network",
    ),
    row(
        "init",
        None,
        "init",
        Form::Switch,
        "Run an init in the container to forward signals and reap processes",
    ),
    row("ip", None, "ip", Form::Text, "Host IP for port publishing from the default bridge network"),
    row("ip-forward", None, "ip-forward", Form::Switch, "Enable IP forwarding where networks need it"),
    row("ip-masq", None, "ip-masq", Form::Switch, "Enable IP masquerading for the default bridge network"),
    row("ip6tables", None, "ip6tables", Form::Switch, "As --iptables: one table serves both families"),
    row("iptables", None, "iptables", Form::Switch, "Keep a firewall table of our own (nftables)"),
    row("ipv6", None, "ipv6", Form::Switch, "Enable IPv6 networking for the default bridge network"),
    row("http-proxy", None, "", Form::Text, "HTTP proxy URL to use for outgoing traffic"),
    row("https-proxy", None, "", Form::Text, "HTTPS proxy URL to use for outgoing traffic"),
    row(
        "no-proxy",
        None,
        "",
        Form::Text,
        "Comma-separated list of hosts or IP addresses for which the proxy is skipped",
    ),
    row("", None, "proxies", Form::Pairs, ""),
    row(
        "insecure-registry",
        None,
        "insecure-registries",
        Form::List,
        "Enable insecure registry communication",
    ),
    row("registry-mirror", None, "registry-mirrors", Form::List, "Preferred registry mirror"),
    row(
        "layer-cache-size",
        None,
        "layer-cache-size",
        Form::Text,
        "What archives of pulled layers may take on disk; the oldest are fetched again when needed (default 20GiB)",
    ),
    row(
        "max-concurrent-downloads",
        None,
        "max-concurrent-downloads",
        Form::Number,
        "Set the max concurrent downloads (default 3)",
    ),
    row(
        "max-concurrent-uploads",
        None,
        "max-concurrent-uploads",
        Form::Number,
        "Set the max concurrent uploads (default 5)",
    ),
    row(
        "max-download-attempts",
        None,
        "max-download-attempts",
        Form::Number,
        "Set the max download attempts for each pull (default 5)",
    ),
    row("label", None, "labels", Form::List, "Set key=value labels to the daemon"),
    row(
        "live-restore",
        None,
        "live-restore",
        Form::Switch,
        "Containers run on when the daemon stops: always on, accepted for compatibility",
    ),
    row(
        "log-driver",
        None,
        "log-driver",
        Form::Text,
        "Default driver for container logs (default \"json-file\")",
    ),
    row(
        "log-level",
        Some('l'),
        "log-level",
        Form::Text,
        "Set the logging level (\"debug\"|\"info\"|\"warn\"|\"error\"|\"fatal\") (default \"info\")",
    ),
    row("log-opt", None, "log-opts", Form::Pairs, "Default log driver options for containers"),
    row("mtu", None, "mtu", Form::Number, "Set the containers network MTU of the default bridge"),
    row(
        "no-new-privileges",
        None,
        "no-new-privileges",
        Form::Switch,
        "Set no-new-privileges by default for new containers",
    ),
    row(
        "pidfile",
        Some('p'),
        "pidfile",
        Form::Text,
        "Path to use for daemon PID file (default \"<exec-root>.pid\")",
    ),
    row(
        "seccomp-profile",
        None,
        "seccomp-profile",
        Form::Text,
        "Path to seccomp profile, or \"unconfined\" (default \"builtin\")",
    ),
    row(
        "shutdown-timeout",
        None,
        "shutdown-timeout",
        Form::Number,
        "Seconds that open requests get to end when the daemon stops (default 15)",
    ),
    row("tls", None, "tls", Form::Switch, "Use TLS; implied by --tlsverify"),
    row(
        "tlscacert",
        None,
        "tlscacert",
        Form::Text,
        "Trust client certificates signed only by this CA (default \"~/.docker/ca.pem\")",
    ),
    row(
        "tlscert",
        None,
        "tlscert",
        Form::Text,
        "Path to TLS certificate file (default \"~/.docker/cert.pem\")",
    ),
    row("tlskey", None, "tlskey", Form::Text, "Path to TLS key file (default \"~/.docker/key.pem\")"),
    row("tlsverify", None, "tlsverify", Form::Switch, "Use TLS and verify the remote"),
    row(
        "userland-proxy",
        None,
        "userland-proxy",
        Form::Switch,
        "Relay published ports that the firewall can't carry (from IPv6 to containers without it)",
    ),
    row("validate", None, "", Form::Switch, "Validate daemon configuration and exit"),
    row("version", Some('v'), "", Form::Switch, "Print version information and quit"),
];

/// Names that dockerd knows and this daemon doesn't have, on the command line or in the file.
///
/// They are told apart from misspellings, so that whoever brings a dockerd configuration along learns
/// which line to take out.
pub(crate) const ABSENT: &[&str] = &[
    "add-runtime",
    "allow-nondistributable-artifacts",
    "api-cors-header",
    "authorization-plugin",
    "authorization-plugins",
    "bridge-accept-fwmark",
    "builder",
    "cdi-spec-dir",
    "cdi-spec-dirs",
    "cgroup-parent",
    "cluster-advertise",
    "cluster-store",
    "cluster-store-opts",
    "containerd",
    "containerd-namespace",
    "containerd-plugins-namespace",
    "containerd-plugin-namespace",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cri-containerd",
    "data-root-size",
    "default-runtime",
    "exec-opt",
    "exec-opts",
    "experimental",
    "feature",
    "features",
    "graph",
    "init-path",
    "ip-forward-no-drop",
    "log-format",
    "metrics-addr",
    "min-api-version",
    "network-control-plane-mtu",
    "node-generic-resource",
    "node-generic-resources",
    "oom-score-adjust",
    "raw-logs",
    "rootless",
    "runtimes",
    "selinux-enabled",
    "storage-driver",
    "storage-opt",
    "storage-opts",
    "swarm-default-advertise-addr",
    "userland-proxy-path",
    "userns-remap",
];

/// The directive called `name` on the command line.
pub(crate) fn by_flag(name: &str) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|row| !row.flag.is_empty() && row.flag == name)
}

/// The directive whose one-letter name is `letter`.
pub(crate) fn by_letter(letter: char) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|row| row.short == Some(letter))
}

/// The directive called `key` in the file.
pub(crate) fn by_key(key: &str) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|row| !row.key.is_empty() && row.key == key)
}
