//! The runtime specification 1.2 for Linux: `config.json`, state, features.
//!
//! One file per noun: [`process`], [`capability`], [`mount`], [`hooks`], [`linux`] (namespaces, mappings, devices),
//! [`resources`], [`seccomp`], [`state`], [`features`].

pub mod capability;
pub mod features;
pub mod hooks;
pub mod linux;
pub mod mount;
pub mod process;
pub mod resources;
pub mod seccomp;
pub mod spec;
pub mod state;
pub mod sysctl;

pub use capability::CAPABILITIES;
pub use features::Features;
pub use hooks::{Hook, Hooks};
pub use linux::{
    Device, DeviceKind, IdMapping, IntelRdt, Linux, Namespace, NamespaceKind, NetDevice, Personality,
    PersonalityDomain, TimeOffset,
};
pub use mount::{Mount, Root};
pub use process::{
    Capabilities, ConsoleSize, CpuAffinity, IoPriority, IoPriorityClass, Process, Rlimit, Scheduler, User,
};
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, InterfacePriority, Memory, Network, Pids, Rdma, Resources,
    ThrottleDevice, WeightDevice,
};
pub use seccomp::{Seccomp, SeccompAction, SeccompArch, SeccompArg, SeccompFlag, SeccompOperator, Syscall};
pub use spec::Spec;
pub use state::{ContainerProcessState, State, Status};

/// The version of the specification that we write.
pub const VERSION: &str = "1.2.1";

pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}
