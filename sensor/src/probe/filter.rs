//! What the filters in the kernel decide by: processes of containers, and inodes whose opens are always told.

use aya::Ebpf;
use aya::maps::{HashMap, MapData, MapError};
use sensor_ebpf::abi::InodeKey;

use super::load::LoadError;

/// [`InodeKey`] as the map takes it: inode number, then device.
type InodeWords = [u64; 2];

/// The filter maps.
pub struct Filter {
    contained: HashMap<MapData, u32, u32>,
    watched: HashMap<MapData, InodeWords, u32>,
}

impl Filter {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        const { assert!(size_of::<InodeKey>() == size_of::<InodeWords>()) };
        let mut map = |name: &'static str| ebpf.take_map(name).ok_or(LoadError::NoMap(name));
        let contained = map("CONTAINED")?;
        let watched = map("WATCHED_INODES")?;
        Ok(Self {
            contained: HashMap::try_from(contained).map_err(|error| LoadError::Map("CONTAINED", error))?,
            watched: HashMap::try_from(watched).map_err(|error| LoadError::Map("WATCHED_INODES", error))?,
        })
    }

    /// Tells the kernel that a process, which was there before the sensor, is a container's.
    ///
    /// # Errors
    /// If the map is full.
    pub fn contain(&mut self, pid: u32) -> Result<(), MapError> {
        self.contained.insert(pid, 1, 0)
    }

    /// Watches an inode: opens for writing are told whoever makes them.
    ///
    /// # Errors
    /// If the map is full.
    pub fn watch(&mut self, device: u32, inode: u64) -> Result<(), MapError> {
        self.watched.insert([inode, u64::from(device)], 1, 0)
    }
}
