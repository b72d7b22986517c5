//! Files that user space wants to hear of, by name and by place, so that all others never leave the kernel.
//!
//! A list holds a mask: which operations are told, of processes of containers and of the host's own. Masks of places hold
//! it twice: for the place itself, and for all that lies below it.

/// Opened, and not for writing.
pub const WATCH_READ: u32 = 1;
/// Opened for writing, or made.
pub const WATCH_WRITE: u32 = 1 << 1;
/// Cut to another length, when it is opened or later.
pub const WATCH_TRUNCATE: u32 = 1 << 2;
/// Gets, changes or loses a name.
pub const WATCH_NAME: u32 = 1 << 3;
/// Mode, owner or times change.
pub const WATCH_ATTRIBUTE: u32 = 1 << 4;

/// The operations of the host's own processes stand so many bits higher than those of containers.
pub const WATCH_HOST: u32 = 5;
/// The operations on what lies below a folder stand so many bits higher than those on the place itself.
pub const WATCH_BELOW: u32 = 10;
/// What lies below is told only if it is seen through a mount of the folder itself or of one above: a container that has a
/// volume of its own mounted from there does not see the folder.
pub const WATCH_SEEN_FROM_ABOVE: u32 = 1 << 20;
/// Names: not on the container's own overlay file system, whose files come with the image.
pub const WATCH_NO_OVERLAY: u32 = 1 << 21;

/// Names: also as a command that a process gives itself.
pub const WATCH_COMMAND: u32 = 1 << 22;

/// Names: a domain of which the names that are asked for are told.
pub const WATCH_QUERY: u32 = 1 << 23;

/// Names: also on proc, sysfs and cgroup file systems, which are nobody's files.
pub const WATCH_EVERYWHERE: u32 = 1 << 24;
/// In the mask of what is told of every file: names of folders are compared that do not begin with a dot, too.
pub const WATCH_ANY_FOLDER: u32 = 1 << 25;
/// The same: opens of directories, devices and the like are compared, not only those of regular files.
pub const WATCH_ANY_TYPE: u32 = 1 << 26;

/// Bytes of a name that are compared, its NUL included.
pub const WATCH_NAME_MAX: usize = 32;
/// Longest ending that is compared, its dot included.
pub const WATCH_ENDING_MAX: usize = 8;
/// Longest domain that is compared, its dot included.
pub const WATCH_DOMAIN_MAX: usize = 24;

/// A watched name: the key of its list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct NameKey {
    /// The name, padded with NUL; of an ending or a folder's name as [`NameKey::ending`] and [`NameKey::folder`] give it.
    pub words: [u64; WATCH_NAME_MAX / 8],
}

/// Marks the last word of keys that are no whole name: no name of 31 bytes ends in these.
const MARK_ENDING: u64 = u64::MAX;
/// The same of the name of a file's folder.
const MARK_FOLDER: u64 = u64::MAX - 1;
/// The same of a domain.
const MARK_DOMAIN: u64 = u64::MAX - 2;

impl NameKey {
    /// A whole name; `None` if it is longer than what is compared.
    pub fn name(name: &[u8]) -> Option<Self> {
        if name.is_empty() || name.len() >= WATCH_NAME_MAX {
            return None;
        }
        let mut words = [0; WATCH_NAME_MAX / 8];
        for (word, part) in words.iter_mut().zip(name.chunks(8)) {
            *word = word_of(part);
        }
        Some(Self { words })
    }

    /// The end of a name, from its last dot on.
    pub fn ending(ending: &[u8]) -> Option<Self> {
        let fits = ending.len() <= WATCH_ENDING_MAX && ending.first() == Some(&b'.');
        fits.then(|| Self::of_ending(word_of(ending)))
    }

    /// The same of an ending as a word, in memory order.
    #[inline(always)]
    pub fn of_ending(ending: u64) -> Self {
        Self { words: [ending, 0, 0, MARK_ENDING] }
    }

    /// The name of the folder in which a file lies. One that does not begin with a dot is compared only with
    /// [`WATCH_ANY_FOLDER`].
    pub fn folder(name: &[u8]) -> Option<Self> {
        let fits = !name.is_empty() && name.len() <= 16;
        let (first, rest) = name.split_at(name.len().min(8));
        fits.then(|| Self::of_folder([word_of(first), word_of(rest)]))
    }

    /// The same of a name as two words, in memory order.
    #[inline(always)]
    pub fn of_folder(words: [u64; 2]) -> Self {
        Self { words: [words[0], words[1], 0, MARK_FOLDER] }
    }

    /// A domain of two labels in small letters, with all names below it.
    pub fn domain(name: &[u8]) -> Option<Self> {
        if name.len() > WATCH_DOMAIN_MAX || name.iter().filter(|&&byte| byte == b'.').count() != 1 {
            return None;
        }
        let dot = name.iter().position(|&byte| byte == b'.')?;
        let mut bytes = [0; WATCH_DOMAIN_MAX];
        bytes[..name.len()].copy_from_slice(name);
        // DNS writes the length of the next label where people write a dot.
        bytes[dot] = (name.len() - dot - 1) as u8;
        let word = |at: usize| word_of(&bytes[at..at + 8]);
        Some(Self::of_domain([word(0), word(8), word(16)]))
    }

    /// The same of a domain as DNS writes it, without the length of the first label, as three words in memory order.
    #[inline(always)]
    pub fn of_domain(words: [u64; 3]) -> Self {
        Self { words: [words[0], words[1], words[2], MARK_DOMAIN] }
    }
}

fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(word)
}

const _: () = assert!(size_of::<NameKey>() == WATCH_NAME_MAX);
