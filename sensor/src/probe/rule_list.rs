//! What the rules of the user ask of files, added to the kernel's lists: names with their operations, and what is told of every
//! file where a rule names none.

use sensor_ebpf::abi::{
    NameKey, WATCH_ANY_FOLDER, WATCH_ANY_TYPE, WATCH_ATTRIBUTE, WATCH_EVERYWHERE, WATCH_HOST, WATCH_NAME,
    WATCH_NO_OVERLAY, WATCH_READ, WATCH_TRUNCATE, WATCH_WRITE,
};

use super::{Filter, watch_list};

/// How a file is known to the kernel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileName {
    /// By its whole name.
    Whole(Box<[u8]>),
    /// By what its name has from the last dot on.
    Ending(Box<[u8]>),
    /// By the name of the folder in which it lies.
    Folder(Box<[u8]>),
}

/// Which operations are told, of processes of containers and of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileOperations {
    /// Opened, not for writing.
    pub read: bool,
    /// Opened for writing.
    pub write: bool,
    /// Gets, changes or loses a name.
    pub name: bool,
    /// Mode, owner, times or length change.
    pub attribute: bool,
    /// By processes of containers.
    pub container: bool,
    /// By processes of the host.
    pub host: bool,
}

impl FileOperations {
    /// All of everybody.
    pub const ALL: Self =
        Self { read: true, write: true, name: true, attribute: true, container: true, host: true };
    /// Nothing.
    pub const NONE: Self =
        Self { read: false, write: false, name: false, attribute: false, container: false, host: false };

    /// Joins each pair of flags.
    pub fn combine(self, other: Self, with: fn(bool, bool) -> bool) -> Self {
        Self {
            read: with(self.read, other.read),
            write: with(self.write, other.write),
            name: with(self.name, other.name),
            attribute: with(self.attribute, other.attribute),
            container: with(self.container, other.container),
            host: with(self.host, other.host),
        }
    }

    /// Whether nothing is left.
    pub fn is_none(self) -> bool {
        let by_nobody = !self.container && !self.host;
        by_nobody || !(self.read || self.write || self.name || self.attribute)
    }

    /// The bits of a mask.
    fn mask(self) -> u32 {
        let bits = [
            (self.read, WATCH_READ),
            (self.write, WATCH_WRITE),
            (self.name, WATCH_NAME),
            (self.attribute, WATCH_ATTRIBUTE | WATCH_TRUNCATE),
        ];
        let operations = bits.into_iter().filter(|(wanted, _)| *wanted).fold(0, |mask, (_, bit)| mask | bit);
        let of = |wanted, mask| if wanted { mask } else { 0 };
        of(self.container, operations) | of(self.host, operations << WATCH_HOST)
    }
}

/// What rules added to the lists.
#[derive(Debug, Default)]
pub struct RuleList {
    /// Keys with the masks that rules gave them.
    names: Vec<(NameKey, u32)>,
    /// The mask of what is told of every file.
    all: u32,
}

impl Filter {
    /// Adds names to the list, beside what it has of them already, and to what is told of every file `all`, and what finds no
    /// room among the names. What earlier rules added stays until [`Filter::settle_rules`] is told. Gives how many names found no
    /// room.
    pub fn watch_for_rules<'a>(
        &mut self,
        names: impl Iterator<Item = (&'a FileName, FileOperations)>,
        all: impl Iterator<Item = FileOperations>,
    ) -> (RuleList, usize) {
        let mut list =
            RuleList { names: Vec::new(), all: all.fold(0, |mask, operations| mask | operations.mask()) };
        let mut without_room = 0;
        for (name, operations) in names {
            let key = match name {
                FileName::Whole(name) => NameKey::name(name),
                FileName::Ending(ending) => NameKey::ending(ending),
                FileName::Folder(name) => NameKey::folder(name),
            };
            // A rule knows nothing of overlays and of the kernel's own file systems.
            let added = operations.mask() | WATCH_EVERYWHERE;
            list.all |= WATCH_EVERYWHERE;
            if matches!(name, FileName::Folder(_)) {
                list.all |= WATCH_ANY_FOLDER;
            }
            let kept = key.filter(|key| {
                let mask = (self.mask_of_name(*key) | added) & !WATCH_NO_OVERLAY;
                self.watch_name(*key, mask).is_ok()
            });
            match kept {
                Some(key) => list.names.push((key, added)),
                None => {
                    list.all |= operations.mask();
                    without_room += 1;
                }
            }
        }
        if list.all != 0 {
            list.all |= WATCH_ANY_TYPE;
        }
        // Without the map, which is there for as long as the programs are, nothing could be done about it.
        let _ = self.watch_all(self.mask_of_all() | list.all);
        (list, without_room)
    }

    /// From now on what `list` holds is all that rules want: what earlier ones added is taken back to what the built-in list
    /// says.
    pub fn settle_rules(&mut self, earlier: &RuleList, list: &RuleList) {
        for (key, _) in &earlier.names {
            let own = watch_list::names().find(|(own, _)| own == key).map_or(0, |(_, mask)| mask);
            let wanted = list.names.iter().filter(|(kept, _)| kept == key);
            let mask = match wanted.fold(0, |mask, (_, added)| mask | added) {
                0 => own,
                added => (own | added) & !WATCH_NO_OVERLAY,
            };
            // There is room: the key is on the list.
            let _ = self.watch_name(*key, mask);
        }
        let _ = self.watch_all(list.all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_stand_twice_in_a_mask() {
        let operations = FileOperations { write: true, container: true, ..FileOperations::default() };
        assert_eq!(operations.mask(), WATCH_WRITE);
        assert_eq!(
            FileOperations { host: true, ..operations }.mask(),
            WATCH_WRITE | WATCH_WRITE << WATCH_HOST
        );
        assert_eq!(FileOperations { container: false, ..operations }.mask(), 0);
        let all = FileOperations {
            read: true,
            write: true,
            name: true,
            attribute: true,
            container: true,
            host: true,
        };
        assert!(all.mask() < 1 << (2 * WATCH_HOST));
    }
}
