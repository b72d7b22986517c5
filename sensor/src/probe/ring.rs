//! Reads records from the BPF ring buffers in the order of time, and waits for them.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use aya::maps::{MapData, RingBuf};
use sensor_ebpf::abi::RingClass;

/// Where the time stands in a record's header.
const HEADER_TIME: usize = std::mem::offset_of!(sensor_ebpf::abi::Header, time);

/// Wakes the thread that waits in [`Rings::wait`], from any other thread.
#[derive(Clone)]
pub struct Wake(Arc<OwnedFd>);

impl Wake {
    /// A new, quiet one.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and ours.
        Ok(Self(Arc::new(unsafe { OwnedFd::from_raw_fd(descriptor) })))
    }

    /// Ends a wait in progress, and the next one if there is none.
    pub fn wake(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: the buffer holds the eight bytes that an eventfd takes. A full counter has woken the waiter already.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    fn clear(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: the buffer has room for the eight bytes that an eventfd gives.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

/// One ring.
pub struct Ring {
    ring: RingBuf<MapData>,
    capacity: usize,
    /// Bytes taken in the current reading, and the most that one reading took since it was last asked for.
    taken: usize,
    fullest: usize,
}

impl Ring {
    pub(super) fn new(ring: RingBuf<MapData>, capacity: usize) -> Self {
        Self { ring, capacity, taken: 0, fullest: 0 }
    }

    /// Bytes the ring holds.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Most bytes that were found in the ring at once since the last call.
    pub fn take_fullest(&mut self) -> usize {
        std::mem::take(&mut self.fullest)
    }

    fn end_reading(&mut self) {
        self.fullest = self.fullest.max(std::mem::take(&mut self.taken));
    }

    /// Time of the oldest record; `None` if there is none. One too short to have a time counts as the oldest of all.
    fn peek(&mut self) -> Option<u64> {
        // An item that is not dropped is not consumed: the next call finds it again.
        let item = ManuallyDrop::new(self.ring.next()?);
        let time = item.get(HEADER_TIME..HEADER_TIME + 8).and_then(|bytes| bytes.try_into().ok());
        Some(time.map_or(0, u64::from_ne_bytes))
    }

    fn pass(&mut self, take: &mut impl FnMut(&[u8])) {
        if let Some(item) = self.ring.next() {
            take(&item);
            self.taken += item.len() + 8;
        }
    }
}

/// All rings, read in the order of time.
pub struct Rings {
    /// Life of processes and cgroups; rare actions; those that come in numbers. Of records of the same time the first
    /// ring's goes first.
    rings: [Ring; 3],
    wake: Wake,
}

impl Rings {
    /// The rings of the classes lineage, critical and bulk.
    pub(super) fn new(rings: [Ring; 3], wake: Wake) -> Self {
        Self { rings, wake }
    }

    /// Each ring with the name of its class.
    pub fn named(&mut self) -> impl Iterator<Item = (&'static str, &mut Ring)> {
        [RingClass::Lineage, RingClass::Critical, RingClass::Bulk]
            .into_iter()
            .map(RingClass::name)
            .zip(&mut self.rings)
    }

    /// Hands up to `limit` records to `take`, oldest first; gives how many there were. An action is handed over after
    /// the birth of the process that does it, and before what becomes of the process later.
    pub fn drain(&mut self, limit: usize, mut take: impl FnMut(&[u8])) -> usize {
        let mut records = 0;
        while records < limit {
            let times = self.rings.iter_mut().map(Ring::peek).enumerate();
            let Some((oldest, _)) =
                times.filter_map(|(ring, time)| Some((ring, time?))).min_by_key(|(_, time)| *time)
            else {
                break;
            };
            self.rings[oldest].pass(&mut take);
            records += 1;
        }
        for ring in &mut self.rings {
            ring.end_reading();
        }
        records
    }

    /// Waits until there is a record, [`Wake::wake`] is called, or the time is over; true if there is a record.
    pub fn wait(&self, timeout: Duration) -> bool {
        let poll = |descriptor| libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
        let [lineage, critical, bulk] = &self.rings;
        let mut descriptors = [
            poll(self.wake.0.as_raw_fd()),
            poll(lineage.ring.as_raw_fd()),
            poll(critical.ring.as_raw_fd()),
            poll(bulk.ring.as_raw_fd()),
        ];
        let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the array holds three valid entries. An interrupted wait is a short wait.
        unsafe { libc::poll(descriptors.as_mut_ptr(), descriptors.len() as libc::nfds_t, milliseconds) };
        if descriptors[0].revents != 0 {
            self.wake.clear();
        }
        descriptors[1..].iter().any(|ring| ring.revents != 0)
    }
}
