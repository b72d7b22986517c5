//! Reads records from a BPF ring buffer, and waits for them.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use aya::maps::{MapData, RingBuf};

/// Wakes the thread that waits in [`Ring::wait`], from any other thread.
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
    wake: Wake,
    capacity: usize,
}

impl Ring {
    pub(super) fn new(ring: RingBuf<MapData>, wake: Wake, capacity: usize) -> Self {
        Self { ring, wake, capacity }
    }

    /// Bytes the ring holds.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Hands up to `limit` records to `take`, oldest first; gives how many there were and their bytes.
    pub fn drain(&mut self, limit: usize, mut take: impl FnMut(&[u8])) -> (usize, usize) {
        let (mut records, mut bytes) = (0, 0);
        while records < limit {
            let Some(item) = self.ring.next() else { break };
            take(&item);
            records += 1;
            bytes += item.len() + 8;
        }
        (records, bytes)
    }

    /// Waits until there is a record, [`Wake::wake`] is called, or the time is over.
    pub fn wait(&self, timeout: Duration) {
        let poll = |descriptor| libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
        let mut descriptors = [poll(self.ring.as_raw_fd()), poll(self.wake.0.as_raw_fd())];
        let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the array holds two valid entries. An interrupted wait is a short wait.
        unsafe { libc::poll(descriptors.as_mut_ptr(), 2, milliseconds) };
        if descriptors[1].revents != 0 {
            self.wake.clear();
        }
    }
}
