//! Fits the module of `tests/vm/credentials.c` to the running kernel: what a build with the kernel's headers would do.

use crate::Outcome;
use crate::system::number;
use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::Path;
use stride_sensor::probe::btf::Btf;
use stride_sensor::probe::offsets::VMLINUX;

/// Functions that the module calls, in the order of its table.
const FUNCTIONS: [&str; 4] =
    ["find_get_task_by_vpid", "task_work_add", "prepare_kernel_cred", "commit_creds"];
/// What the module is called once it is loaded.
const NAME: &[u8] = b"credentials";
const THIS_MODULE: &str = ".gnu.linkonce.this_module";
const VERSIONS: &str = "__versions";
const VERSION: &[u8] = b"vermagic=";

/// Fits OBJECT to this kernel and to the process PID, and writes it to OUTPUT; MODEL is any module of this kernel.
pub fn fit(operands: &[OsString]) -> Outcome {
    let [object, model, output, mode, victim] = operands else { return Err(wrong("five operands")) };
    let commit = match mode.to_str() {
        Some("commit") => 1,
        Some("overwrite") => 0,
        _ => return Err(wrong("commit or overwrite")),
    };
    let mut module = Module(std::fs::read(object)?);
    let btf = Btf::read(Path::new(VMLINUX), None).map_err(io::Error::other)?;
    let symbols = std::fs::read_to_string("/proc/kallsyms")?;
    let [credentials, from, to] = [
        offset(&btf, "task_struct", "cred")?,
        offset(&btf, "cred", "uid")?,
        offset(&btf, "cred", "cap_ambient")?,
    ];
    let mut table = FUNCTIONS.iter().map(|name| address(&symbols, name)).collect::<io::Result<Vec<u64>>>()?;
    table.extend([credentials, from, to, number(victim)?, commit]);
    for (index, value) in table.into_iter().enumerate() {
        module.write(".data.fitted", index * 8, &value.to_le_bytes())?;
    }
    module.describe(&btf)?;
    module.take_version(&Module(std::fs::read(model)?))?;
    std::fs::write(output, module.0)?;
    println!("fitted");
    Ok(0)
}

/// A relocatable object (ELF, 64 bits), changed in place.
struct Module(Vec<u8>);

impl Module {
    /// Makes the section `struct module` as large as this kernel wants it, with name, first and last function.
    fn describe(&mut self, btf: &Btf<'_>) -> io::Result<()> {
        let structure = btf.structure("module").ok_or_else(|| wrong("no struct module"))?;
        let size = btf.size(structure).ok_or_else(|| wrong("no size of struct module"))?;
        let (header, contents) = self.section(THIS_MODULE)?;
        if contents.len() < size as usize {
            return Err(wrong("struct module is larger than its section"));
        }
        // `sh_size` of `Elf64_Shdr`
        self.put(header + 32, &u64::from(size).to_le_bytes())?;
        self.write(THIS_MODULE, offset(btf, "module", "name")? as usize, NAME)?;
        for (index, member) in ["init", "exit"].into_iter().enumerate() {
            // `r_offset` of `Elf64_Rela`, which is 24 bytes long
            let place = offset(btf, "module", member)?.to_le_bytes();
            self.write(&format!(".rela{THIS_MODULE}"), index * 24, &place)?;
        }
        Ok(())
    }

    /// Takes over what shows a kernel that a module is its own: a text, and the checksum of `struct module`.
    fn take_version(&mut self, model: &Self) -> io::Result<()> {
        let text = find(&model.0, VERSION).and_then(|at| model.0[at..].split(|&byte| byte == 0).next());
        let text = text.ok_or_else(|| wrong("no vermagic"))?;
        let (_, own) = self.section(".modinfo")?;
        let at = find(&self.0[own], VERSION).ok_or_else(|| wrong("no room for vermagic"))?;
        // The zero behind it must stay.
        self.write(".modinfo", at, &[text, b"\0"].concat())?;
        // `struct modversion_info` of include/linux/module.h: 8 bytes of checksum, 56 of name
        let Ok((_, table)) = model.section(VERSIONS) else { return Ok(()) };
        let layout = model.0[table].chunks(64).find(|entry| entry[8..].starts_with(b"module_layout\0"));
        self.write(VERSIONS, 0, layout.ok_or_else(|| wrong("no checksum of module_layout"))?)
    }

    /// Where a section's header and its contents lie.
    fn section(&self, name: &str) -> io::Result<(usize, Range<usize>)> {
        // `e_shoff`, `e_shnum` and `e_shstrndx` of `Elf64_Ehdr`; a section's header is 64 bytes long.
        let headers = self.read::<8>(40)? as usize;
        let (count, names) = (self.read::<2>(60)? as usize, self.read::<2>(62)? as usize);
        let contents = |header: usize| -> io::Result<Range<usize>> {
            let start = self.read::<8>(header + 24)? as usize;
            Ok(start..start + self.read::<8>(header + 32)? as usize)
        };
        let names = contents(headers + names * 64)?;
        for header in (0..count).map(|index| headers + index * 64) {
            let start = names.start + self.read::<4>(header)? as usize;
            let own = self.0.get(start..).and_then(|rest| rest.split(|&byte| byte == 0).next());
            if own == Some(name.as_bytes()) {
                return Ok((header, contents(header)?));
            }
        }
        Err(wrong(&format!("the object has no section {name}")))
    }

    /// A number of N bytes.
    fn read<const N: usize>(&self, at: usize) -> io::Result<u64> {
        let bytes = self.0.get(at..at + N).ok_or_else(|| wrong("the object is cut short"))?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn write(&mut self, section: &str, at: usize, bytes: &[u8]) -> io::Result<()> {
        let (_, contents) = self.section(section)?;
        if at + bytes.len() > contents.len() {
            return Err(wrong(&format!("{section} is too short")));
        }
        self.put(contents.start + at, bytes)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let place = self.0.get_mut(at..at + bytes.len()).ok_or_else(|| wrong("the object is cut short"))?;
        place.copy_from_slice(bytes);
        Ok(())
    }
}

/// Where a member lies in its structure, in bytes.
fn offset(btf: &Btf<'_>, structure: &str, member: &str) -> io::Result<u64> {
    let found = btf.structure(structure).and_then(|structure| btf.member(structure, member));
    found
        .map(|found| u64::from(found.bit_offset / 8))
        .ok_or_else(|| wrong(&format!("this kernel has no {structure}.{member}")))
}

/// Where a function of the kernel lies, by a line `ADDRESS TYPE NAME` of /proc/kallsyms.
fn address(symbols: &str, name: &str) -> io::Result<u64> {
    let address = symbols.lines().find_map(|line| {
        let (address, rest) = line.split_once(' ')?;
        (rest.split_once(' ')?.1 == name).then(|| u64::from_str_radix(address, 16).ok())?
    });
    // All of them are 0 for who may not see them.
    address.filter(|&address| address != 0).ok_or_else(|| wrong(&format!("no address of {name}")))
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

fn wrong(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, problem.to_owned())
}
