//! What the filters in the kernel decide by: processes of containers, inodes whose opens are always told, and the watch lists.
//!
//! Whoever may use bpf(2) on the node may change these maps. So the lists are kept here too, and put right from time to time.

use std::net::IpAddr;

use aya::maps::{Array, HashMap, MapData, MapError};
use aya::{Ebpf, Pod};
use sensor_ebpf::abi::{DestinationKey, InodeKey, NameKey};

use super::load::LoadError;

/// [`InodeKey`] as the map takes it: inode number, then device.
type InodeWords = [u64; 2];
/// [`NameKey`] as the map takes it.
type NameWords = [u64; 4];
/// [`DestinationKey`] as the map takes it: the address, then the port.
type DestinationWords = [u64; 3];

/// A list in the kernel, and what it must hold.
struct List<K: Pod> {
    map: HashMap<MapData, K, u32>,
    wanted: foldhash::HashMap<K, u32>,
}

impl<K: Pod + std::hash::Hash + Eq> List<K> {
    fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Self, LoadError> {
        let map = ebpf.take_map(name).ok_or(LoadError::NoMap(name))?;
        let map = HashMap::try_from(map).map_err(|error| LoadError::Map(name, error))?;
        Ok(Self { map, wanted: foldhash::HashMap::default() })
    }

    /// Puts an entry in; 0 takes it out.
    fn set(&mut self, key: K, value: u32) -> Result<(), MapError> {
        if value == 0 {
            self.wanted.remove(&key);
            // One that was not there needs no removing.
            let _ = self.map.remove(&key);
            return Ok(());
        }
        self.map.insert(key, value, 0)?;
        self.wanted.insert(key, value);
        Ok(())
    }

    /// Puts right what others changed; gives how many entries that were.
    fn restore(&mut self) -> usize {
        let Self { map, wanted } = self;
        let changed = wanted.iter().filter(|(key, value)| map.get(*key, 0).ok() != Some(**value));
        let changed: Vec<(K, u32)> = changed.map(|(key, value)| (*key, *value)).collect();
        for (key, value) in &changed {
            // Without room there is nothing more to do; it is counted as changed the next time too.
            let _ = map.insert(key, value, 0);
        }
        changed.len()
    }
}

/// The filter maps.
pub struct Filter {
    contained: HashMap<MapData, u32, u32>,
    watched: List<InodeWords>,
    names: List<NameWords>,
    all: Array<MapData, u32>,
    all_wanted: u32,
    places: List<InodeWords>,
    destinations: List<DestinationWords>,
}

impl Filter {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        const { assert!(size_of::<InodeKey>() == size_of::<InodeWords>()) };
        const { assert!(size_of::<NameKey>() == size_of::<NameWords>()) };
        const { assert!(size_of::<DestinationKey>() == size_of::<DestinationWords>()) };
        let contained = ebpf.take_map("CONTAINED").ok_or(LoadError::NoMap("CONTAINED"))?;
        let all = ebpf.take_map("WATCHED_ALL").ok_or(LoadError::NoMap("WATCHED_ALL"))?;
        Ok(Self {
            contained: HashMap::try_from(contained).map_err(|error| LoadError::Map("CONTAINED", error))?,
            watched: List::take(ebpf, "WATCHED_INODES")?,
            names: List::take(ebpf, "WATCHED_NAMES")?,
            all: Array::try_from(all).map_err(|error| LoadError::Map("WATCHED_ALL", error))?,
            all_wanted: 0,
            places: List::take(ebpf, "WATCHED_PLACES")?,
            destinations: List::take(ebpf, "WATCHED_DESTINATIONS")?,
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
        self.watched.set([inode, u64::from(device)], 1)
    }

    /// Watches a name: operations of its mask on files that have it are told.
    ///
    /// # Errors
    /// If the map is full.
    pub fn watch_name(&mut self, key: NameKey, mask: u32) -> Result<(), MapError> {
        self.names.set(key.words, mask)
    }

    /// The mask that a name has on the list; 0 for none.
    pub fn mask_of_name(&self, key: NameKey) -> u32 {
        self.names.wanted.get(&key.words).copied().unwrap_or(0)
    }

    /// The mask of what is told of every file.
    pub fn mask_of_all(&self) -> u32 {
        self.all_wanted
    }

    /// Watches operations of a mask on every file, whatever its name.
    ///
    /// # Errors
    /// If the map cannot be written.
    pub fn watch_all(&mut self, mask: u32) -> Result<(), MapError> {
        self.all.set(0, mask, 0)?;
        self.all_wanted = mask;
        Ok(())
    }

    /// Watches a file or folder of the node by its mask; 0 ends that.
    ///
    /// # Errors
    /// If the map is full.
    pub fn watch_place(&mut self, device: u32, inode: u64, mask: u32) -> Result<(), MapError> {
        self.places.set([inode, u64::from(device)], mask)
    }

    /// Watches connections of containers to an address, to a port of any address, or to both.
    ///
    /// # Errors
    /// If the map is full.
    pub fn watch_destination(&mut self, address: Option<IpAddr>, port: Option<u16>) -> Result<(), MapError> {
        let bytes = match address {
            Some(IpAddr::V4(address)) => address.to_ipv6_mapped().octets(),
            Some(IpAddr::V6(address)) => address.octets(),
            None => [0; 16],
        };
        let (first, second) = bytes.split_at(8);
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_ne_bytes);
        self.destinations.set([word(first), word(second), u64::from(port.unwrap_or(0))], 1)
    }

    /// Puts right what others changed of the lists; gives how many entries that were.
    pub fn restore(&mut self) -> usize {
        let all = self.all.get(&0, 0).ok() != Some(self.all_wanted);
        if all {
            // What cannot be written is counted as changed the next time too.
            let _ = self.all.set(0, self.all_wanted, 0);
        }
        usize::from(all)
            + self.watched.restore()
            + self.names.restore()
            + self.places.restore()
            + self.destinations.restore()
    }
}
