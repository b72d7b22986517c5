//! Who did it: process, line of descent, container, pod, and how sure that is.
//!
//! [`Attributor::apply`] takes each event in order, updates the tables, and gives the event back with what they say of
//! it. Nothing here asks a runtime or an API server: everything comes from events, /proc and the specs on disk.

pub mod accounts;
mod addresses;
mod aliases;
pub mod burst;
pub mod cgroup;
pub mod container;
pub mod containers;
mod disks;
mod fork_limits;
pub mod handle;
pub mod host;
mod image;
pub mod known;
mod likeness;
mod mounts;
pub mod oci;
pub mod overlay;
pub mod pipes;
mod places;
pub mod pod;
mod process;
pub mod runtime;
pub mod seed;
pub mod servers;
pub mod stdio;
pub mod sweep;

mod attributor;
mod subpath;

pub use attributor::{AttributeOptions, Attributor, host_namespaces, host_root};
pub use handle::{Baseline, ContainerHandle};
pub use image::{Ancestor, Entry, Image, base_name, is_loader, names};
pub use process::{Origin, Process, ProcessCounters, ProcessTable, RuntimeRole};

use std::sync::Arc;

use crate::event::Event;
use accounts::Accounts;
use known::KnownCredentials;
use pipes::PipeLinks;
use servers::Server;

/// How sure an attribution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribution {
    /// Seen from the first moment: the birth of the process, and the container's spec.
    Exact,
    /// Concluded from the cgroup a process is in, because its birth was before the sensor or lost.
    Inferred,
    /// The container is known, its spec could not be read yet.
    Pending,
    /// Not known.
    Unknown,
}

impl Attribution {
    /// All values.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Inferred, Self::Pending, Self::Unknown];

    /// The name used in JSON and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Inferred => "inferred",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
        }
    }
}

/// An event with everything that is known of its process.
pub struct Attributed<'a> {
    /// The event.
    pub event: &'a Event,
    /// The process after the event; `None` for events of the kernel itself.
    pub process: Option<&'a Process>,
    /// The container it was born in.
    pub container: Option<&'a Arc<ContainerHandle>>,
    /// How sure that is.
    pub attribution: Attribution,
    /// What was concluded of an exec.
    pub exec: Option<ExecFacts>,
    /// What was concluded of an action.
    pub action: Option<ActionFacts>,
    /// Where the process is now, in words, if it was born in a container and is no longer in that one's cgroup.
    pub left_cgroup: Option<String>,
    /// Path of a host process's cgroup, if it is known.
    pub cgroup_path: Option<&'a [u8]>,
    /// Names of users and groups where the process is, if they are read.
    pub accounts: Option<&'a Accounts>,
    /// Names of the node's users, if they are read.
    pub host_accounts: Option<&'a Accounts>,
    /// Containers that were given the namespaces in which the process is now, its own and its pod's left out.
    pub namespace_owners: Vec<(u32, Arc<ContainerHandle>)>,
}

impl Attributed<'_> {
    /// The other container that was given a namespace, if the process is in such a one.
    pub fn namespace_owner(&self, inum: u32) -> Option<&Arc<ContainerHandle>> {
        self.namespace_owners.iter().find(|(owned, _)| *owned == inum).map(|(_, owner)| owner)
    }
}

/// What attribution concludes of an action beyond the event's own fields.
#[derive(Clone, Debug, Default)]
pub struct ActionFacts {
    /// The runtime's own init, before the container's first program, or the runtime itself.
    pub runtime_setup: bool,
    /// A process that the sweep found holds more than it can have come to: what that was.
    pub exceeded: Option<KnownCredentials>,
    /// Of a switch of namespaces: CLONE_NEW* flags of those that changed.
    pub changed_namespaces: u64,
    /// Of a move to another cgroup: the container whose cgroup that is.
    pub entered_container: Option<Arc<ContainerHandle>>,
    /// The other process, if it is known.
    pub target: Option<Arc<Image>>,
    /// Which process that is.
    pub target_process: Option<crate::event::ProcessKey>,
    /// The acting and the other process are each other's parent and child.
    pub target_related: bool,
    /// Of an open of a watched file: age of the container, in nanoseconds, when this program first opened one of this name.
    pub habit_age: Option<u64>,
    /// The container the other process was born in.
    pub target_container: Option<Arc<ContainerHandle>>,
    /// Path of the file on the host.
    pub host_path: Option<Vec<u8>>,
    /// Path of the second file on the host: of what is shown in a second place.
    pub other_host_path: Option<Vec<u8>>,
    /// Of a connection, what is known of where it leads.
    pub destination: Option<Destination>,
    /// Its address in words.
    pub destination_text: Option<String>,
    /// The address that an ARP reply claims, in words.
    pub claimed_text: Option<String>,
    /// When the container was created, in seconds since 1970.
    pub container_created: Option<i64>,
    /// Of a file of the upper layer that is mapped executable: the image has it with the same content.
    pub copied_up: bool,
    /// Of a change of the wall clock, by how many seconds it is ahead of the old one; `None` if the kernel refuses it.
    pub clock_step: Option<i64>,
    /// The other process is the sensor itself.
    pub target_is_sensor: bool,
    /// The path that the file had on the host before it was linked or renamed.
    pub known_as: Option<Vec<u8>>,
    /// The file, or the one that loses its name to it, is a binary of the container runtime.
    pub runtime_file: bool,
    /// Who listens on the unix socket that is connected to: the process that has this number now.
    pub peer: Option<Arc<Image>>,
    /// That process runs a binary of the container runtime, in the node's own mount namespace.
    pub peer_runtime: bool,
    /// A mount of a folder within a pod's volume shows something that lies outside the pod's folder.
    pub leaves_pod: bool,
    /// The device node that is shown in a second place, as major:minor.
    pub node: Option<String>,
    /// The device that is mounted holds the node's own root folder.
    pub node_root: bool,
    /// Of a change of the root folder: the device that holds the one before; `None` if it is not known.
    pub root_device: Option<u32>,
    /// The host's own namespaces.
    pub host_namespaces: crate::event::Namespaces,
    /// The device that a mount or a device node is about, as major:minor.
    pub device: Option<String>,
    /// Where mount(2) will attach the superblock; `None` for the new mount API, which decides later.
    pub mount_point: Option<Vec<u8>>,
}

/// What is known of where a connection leads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Destination {
    /// To an address of the node itself.
    pub node: bool,
    /// To the API server, as pods are told it.
    pub api_server: bool,
}

/// What attribution concludes of an exec beyond the event's own fields.
#[derive(Clone, Debug)]
pub struct ExecFacts {
    /// How the program came into its container.
    pub entry: Entry,
    /// The runtime's own init, before the container's first program.
    pub runtime_setup: bool,
    /// Whether the program is part of the container's image.
    pub drift: Drift,
    /// Programs at the other ends of its pipes.
    pub pipes: PipeLinks,
    /// Identical exec sessions without a terminal that this container had before.
    pub session_repeats: u32,
    /// Different discovery commands of this session within half a minute, this one included; 0 if it is none.
    pub discovery_burst: usize,
    /// Nanoseconds since the container's cgroup was created; `None` on the host.
    pub container_age: Option<u64>,
    /// What the process ran before.
    pub previous: Arc<Image>,
    /// The server that it, or whoever started it, is or descends from.
    pub server: Option<Server>,
    /// Of a script that a server started: whether the script was changed since the container's start; `None` where it could
    /// not be looked at.
    pub script_changed: Option<bool>,
    /// Age of the container, in nanoseconds, when its servers first started this program with these arguments.
    pub habit_age: Option<u64>,
    /// The tool of its container whose content a dropped program has under another name.
    pub same_as: Option<&'static str>,
    /// The program holds more than the process can have come to: what that was.
    pub exceeded: Option<KnownCredentials>,
}

/// Whether an executable is part of its container's image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drift {
    /// It runs on the host, or for the runtime.
    #[default]
    NotApplicable,
    /// From the image.
    Image,
    /// Copied to the upper layer with the image's content, as `chown` does.
    CopiedUp,
    /// On a volume, and older than the container.
    Volume,
    /// In the upper layer, and new or changed.
    Upper,
    /// On a volume or a memory file system, and changed since the container was created.
    VolumeChanged,
    /// Never on a disk.
    Memory,
}

impl Drift {
    /// Whether the container's image and its volumes did not hold this program when it started.
    pub fn is_drift(self) -> bool {
        matches!(self, Self::Upper | Self::VolumeChanged | Self::Memory)
    }

    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotApplicable => "not_applicable",
            Self::Image => "image",
            Self::CopiedUp => "copied_up",
            Self::Volume => "volume",
            Self::Upper => "upper",
            Self::VolumeChanged => "volume_changed",
            Self::Memory => "memory",
        }
    }
}
