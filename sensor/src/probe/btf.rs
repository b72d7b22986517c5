//! Reads the running kernel's type information (BTF) and finds members in it.
//!
//! A small reader of our own, because aya keeps member offsets private and a general reader takes ten times as long.
//! Format: Documentation/bpf/btf.rst of the Linux kernel.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Why type information cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file is not there or not readable.
    #[error("cannot read {path}: {source}; the kernel needs CONFIG_DEBUG_INFO_BTF=y")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not BTF as this reader knows it.
    #[error("{path} is not valid BTF: {problem} at byte {at}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
        /// Where.
        at: usize,
    },
}

/// Types of one BTF file, with those of its base when it is a module's.
pub struct Btf<'a> {
    base: Option<&'a Btf<'a>>,
    types: Vec<u8>,
    strings: Vec<u8>,
    /// Byte position of each type in `types`; the first has id `first_id`.
    positions: Vec<u32>,
    first_id: u32,
    first_string: u32,
    /// Structures by name.
    structures: HashMap<Vec<u8>, u32>,
    /// Functions by name.
    functions: HashMap<Vec<u8>, u32>,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The structure it points to, if it does.
    pub pointee: Option<String>,
}

/// Where a member lies in its structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Offset in bits.
    pub bit_offset: u32,
    /// The member's type.
    type_id: u32,
}

const KIND_INT: u32 = 1;
const KIND_POINTER: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;

/// Bytes of the part that all types share: name, info, size or type.
const TYPE_HEADER: usize = 12;
/// Anonymous members nest at most this deep; a guard against type loops in a damaged file.
const MAX_DEPTH: u32 = 16;

impl<'a> Btf<'a> {
    /// Reads a BTF file: `/sys/kernel/btf/vmlinux`, or a module's with `base`.
    ///
    /// # Errors
    /// If the file cannot be read or is malformed.
    pub fn read(path: &Path, base: Option<&'a Self>) -> Result<Self, BtfError> {
        let bytes = fs::read(path).map_err(|source| BtfError::Read { path: path.to_owned(), source })?;
        Self::parse(&bytes, base).map_err(|(problem, at)| BtfError::Malformed {
            path: path.to_owned(),
            problem,
            at,
        })
    }

    fn parse(bytes: &[u8], base: Option<&'a Self>) -> Result<Self, (&'static str, usize)> {
        let word = |at: usize| read_u32(bytes, at).ok_or(("the header is cut short", at));
        if read_u32(bytes, 0).map(|word| word & 0xffff) != Some(0xeb9f) {
            return Err(("the magic number is wrong", 0));
        }
        let header = word(4)? as usize;
        let section = |offset: usize, length: usize| {
            let start = header.checked_add(offset);
            let end = start.and_then(|start| start.checked_add(length));
            start
                .zip(end)
                .and_then(|(start, end)| bytes.get(start..end))
                .ok_or(("a section lies outside", offset))
        };
        let types = section(word(8)? as usize, word(12)? as usize)?.to_vec();
        let strings = section(word(16)? as usize, word(20)? as usize)?.to_vec();
        let mut btf = Self {
            first_id: base.map_or(1, |base| base.first_id + base.positions.len() as u32),
            first_string: base.map_or(0, |base| base.first_string + base.strings.len() as u32),
            base,
            types,
            strings,
            positions: Vec::new(),
            structures: HashMap::new(),
            functions: HashMap::new(),
        };
        btf.index()?;
        Ok(btf)
    }

    fn index(&mut self) -> Result<(), (&'static str, usize)> {
        let mut at = 0;
        while at < self.types.len() {
            let (name, info) = read_u32(&self.types, at)
                .zip(read_u32(&self.types, at + 4))
                .ok_or(("a type is cut short", at))?;
            let (kind, count) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
            let extra = match kind {
                KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
                KIND_ARRAY => 12,
                KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => count * 12,
                KIND_ENUM | KIND_FUNC_PROTO => count * 8,
                0..=KIND_ENUM64 => 0,
                _ => return Err(("a type of unknown kind", at)),
            };
            self.positions.push(at as u32);
            if kind == KIND_STRUCT && name != 0 {
                let id = self.first_id + self.positions.len() as u32 - 1;
                let name = self.string(name).to_vec();
                self.structures.entry(name).or_insert(id);
            } else if kind == KIND_FUNC && name != 0 {
                let id = self.first_id + self.positions.len() as u32 - 1;
                let name = self.string(name).to_vec();
                self.functions.entry(name).or_insert(id);
            }
            at += TYPE_HEADER + extra;
        }
        Ok(())
    }

    fn string(&self, offset: u32) -> &[u8] {
        if offset < self.first_string {
            return self.base.map_or(&[], |base| base.string(offset));
        }
        let tail = self.strings.get((offset - self.first_string) as usize..).unwrap_or(&[]);
        tail.split(|&byte| byte == 0).next().unwrap_or(&[])
    }

    /// The bytes of type `id` and those behind it.
    fn type_bytes(&self, id: u32) -> Option<&[u8]> {
        if id < self.first_id {
            return self.base?.type_bytes(id);
        }
        let position = *self.positions.get((id - self.first_id) as usize)?;
        self.types.get(position as usize..)
    }

    /// Kind, number of members, whether offsets carry a bit field's size, and size or type of type `id`.
    fn info(&self, id: u32) -> Option<(u32, usize, bool, u32)> {
        let bytes = self.type_bytes(id)?;
        let info = read_u32(bytes, 4)?;
        Some(((info >> 24) & 0x1f, (info & 0xffff) as usize, info >> 31 != 0, read_u32(bytes, 8)?))
    }

    /// The id of a structure.
    pub fn structure(&self, name: &str) -> Option<u32> {
        let own = self.structures.get(name.as_bytes()).copied();
        own.or_else(|| self.base.and_then(|base| base.structure(name)))
    }

    /// A structure's size in bytes.
    pub fn size(&self, structure: u32) -> Option<u32> {
        self.info(structure).map(|(_, _, _, size)| size)
    }

    /// A member by its path through embedded structures, for example `f_path.dentry`.
    pub fn member(&self, structure: u32, path: &str) -> Option<Member> {
        let mut found = Member { bit_offset: 0, type_id: structure };
        for name in path.split('.') {
            let inner = self.find(self.resolve(found.type_id)?, name.as_bytes(), 0)?;
            found = Member { bit_offset: found.bit_offset + inner.bit_offset, type_id: inner.type_id };
        }
        Some(found)
    }

    /// The parameters of a function; `None` if this kernel has no such function, or it was not compiled as one.
    pub fn parameters(&self, function: &str) -> Option<Vec<Parameter>> {
        let Some(&id) = self.functions.get(function.as_bytes()) else {
            return self.base?.parameters(function);
        };
        let (_, _, _, prototype) = self.info(id)?;
        let (kind, count, _, _) = self.info(prototype)?;
        if kind != KIND_FUNC_PROTO {
            return None;
        }
        let bytes = self.type_bytes(prototype)?;
        let parameter = |index: usize| {
            let at = TYPE_HEADER + index * 8;
            let name = String::from_utf8_lossy(self.string(read_u32(bytes, at)?)).into_owned();
            Some(Parameter { name, pointee: self.pointee(read_u32(bytes, at + 4)?) })
        };
        (0..count).map(parameter).collect()
    }

    /// Name of the structure that a pointer type points to.
    fn pointee(&self, id: u32) -> Option<String> {
        let (kind, _, _, target) = self.info(self.resolve(id)?)?;
        if kind != KIND_POINTER {
            return None;
        }
        let target = self.resolve(target)?;
        let (kind, ..) = self.info(target)?;
        let name = read_u32(self.type_bytes(target)?, 0)?;
        matches!(kind, KIND_STRUCT | KIND_UNION)
            .then(|| String::from_utf8_lossy(self.string(name)).into_owned())
    }

    /// Follows typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<u32> {
        for _ in 0..64 {
            match self.info(id)? {
                (KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG, _, _, target) => {
                    id = target
                }
                _ => return Some(id),
            }
        }
        None
    }

    fn find(&self, structure: u32, name: &[u8], depth: u32) -> Option<Member> {
        let (kind, count, bit_fields, _) = self.info(structure)?;
        if depth > MAX_DEPTH || !matches!(kind, KIND_STRUCT | KIND_UNION) {
            return None;
        }
        let bytes = self.type_bytes(structure)?;
        for index in 0..count {
            let at = TYPE_HEADER + index * 12;
            let (member_name, type_id, offset) =
                (read_u32(bytes, at)?, read_u32(bytes, at + 4)?, read_u32(bytes, at + 8)?);
            let bit_offset = if bit_fields { offset & 0x00ff_ffff } else { offset };
            if member_name == 0 {
                if let Some(inner) = self.resolve(type_id).and_then(|id| self.find(id, name, depth + 1)) {
                    return Some(Member {
                        bit_offset: bit_offset + inner.bit_offset,
                        type_id: inner.type_id,
                    });
                }
            } else if self.string(member_name) == name {
                return Some(Member { bit_offset, type_id });
            }
        }
        None
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let slice = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes([slice[0], slice[1], slice[2], slice[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct inner { int a; int b; }; struct outer { int x; struct { union { int y; int z; }; }; struct inner in; }`
    fn sample() -> Vec<u8> {
        let strings = b"\0int\0inner\0a\0b\0outer\0x\0y\0z\0in\0";
        let mut types = Vec::new();
        let mut push = |words: &[u32]| types.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        let head = |kind: u32, count: u32| (kind << 24) | count;
        push(&[1, head(KIND_INT, 0), 4, 32]); // 1 int
        push(&[5, head(KIND_STRUCT, 2), 8, 11, 1, 0, 13, 1, 32]); // 2 inner
        push(&[0, head(KIND_UNION, 2), 4, 23, 1, 0, 25, 1, 0]); // 3 union { y, z }
        push(&[0, head(KIND_STRUCT, 1), 4, 0, 3, 0]); // 4 struct { union }
        push(&[15, head(KIND_STRUCT, 3), 16, 21, 1, 0, 0, 4, 32, 27, 2, 64]); // 5 outer
        let mut bytes = Vec::new();
        for word in [0x0001_eb9f, 24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            bytes.extend(u32::to_le_bytes(word));
        }
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn members_are_found_through_anonymous_and_embedded_structures() {
        let btf = Btf::parse(&sample(), None).expect("valid");
        let outer = btf.structure("outer").expect("there");
        assert_eq!(btf.size(outer), Some(16));
        assert_eq!(btf.member(outer, "x").map(|member| member.bit_offset), Some(0));
        assert_eq!(btf.member(outer, "z").map(|member| member.bit_offset), Some(32));
        assert_eq!(btf.member(outer, "in.b").map(|member| member.bit_offset), Some(96));
        assert_eq!(btf.member(outer, "nothing"), None);
        assert_eq!(btf.member(outer, "x.y"), None);
        assert_eq!(btf.structure("nothing"), None);
    }

    #[test]
    fn parameters_of_functions_are_read() {
        let path = Path::new("/sys/kernel/btf/vmlinux");
        if !path.exists() {
            return;
        }
        let btf = Btf::read(path, None).expect("the kernel's BTF is valid");
        let parameters = btf.parameters("security_file_open").expect("every kernel decides about opens");
        assert_eq!(parameters, [Parameter { name: "file".into(), pointee: Some("file".into()) }]);
        assert_eq!(btf.parameters("no_such_function"), None);
    }

    #[test]
    fn damaged_files_are_refused_and_never_panic() {
        let good = sample();
        assert!(Btf::parse(&[], None).is_err());
        for length in 0..good.len() {
            let _ = Btf::parse(&good[..length], None);
        }
        for at in 0..good.len() {
            let mut damaged = good.clone();
            damaged[at] ^= 0xff;
            if let Ok(btf) = Btf::parse(&damaged, None) {
                let _ = btf.structure("outer").and_then(|outer| btf.member(outer, "in.b"));
            }
        }
    }

    #[test]
    fn this_kernels_own_types_are_read() {
        let path = Path::new("/sys/kernel/btf/vmlinux");
        if !path.exists() {
            return;
        }
        let btf = Btf::read(path, None).expect("the kernel's BTF is valid");
        let task = btf.structure("task_struct").expect("every kernel has tasks");
        let seccomp = btf.member(task, "seccomp.mode").expect("built with seccomp");
        assert!(seccomp.bit_offset > 0 && seccomp.bit_offset < 8 * btf.size(task).expect("sized"));
    }
}
