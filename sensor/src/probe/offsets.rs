//! Resolves the offsets that the BPF object asks for from the running kernel's BTF.

use std::path::Path;

use sensor_ebpf::abi::{ARGUMENT_SOURCES, ArgumentSource, MISSING, OFFSET_SOURCES, OffsetSource};

use super::btf::{Btf, BtfError, Parameter};

/// The kernel's own type information.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
/// The overlay module's, present once it is loaded.
const OVERLAY: &str = "/sys/kernel/btf/overlay";

/// Offsets as the object takes them, and the names of those this kernel does not have.
#[derive(Clone, Debug)]
pub struct ResolvedOffsets {
    /// One u32 for each of [`OFFSET_SOURCES`], in its order.
    pub values: Vec<u32>,
    /// `structure.member` of each missing field.
    pub missing: Vec<String>,
    /// One u32 for each of [`ARGUMENT_SOURCES`], in its order.
    pub arguments: Vec<u32>,
    /// The overlay module's types were not there, so its layout is assumed (`__upperdentry` right behind the inode,
    /// as in every kernel from 4.13 to 7.2).
    pub overlay_assumed: bool,
}

/// Reads the kernel's types and resolves every offset.
///
/// # Errors
/// If the kernel has no BTF or it cannot be parsed.
pub fn resolve() -> Result<ResolvedOffsets, BtfError> {
    let vmlinux = Btf::read(Path::new(VMLINUX), None)?;
    let module = Btf::read(Path::new(OVERLAY), Some(&vmlinux)).ok();
    let btf = module.as_ref().unwrap_or(&vmlinux);
    let overlay_assumed = btf.structure("ovl_inode").is_none();
    let mut resolved = ResolvedOffsets {
        values: Vec::new(),
        missing: Vec::new(),
        arguments: ARGUMENT_SOURCES.iter().map(|source| position(source, &vmlinux)).collect(),
        overlay_assumed,
    };
    for source in OFFSET_SOURCES {
        let value = if overlay_assumed && source.structure == "ovl_inode" {
            assumed_overlay(source, &vmlinux)
        } else {
            find(source, btf)
        };
        if value == MISSING && !is_of_one_architecture(source) && !is_replaced(source, &vmlinux) {
            resolved.missing.push(format!("{}.{}", source.structure, source.member));
        }
        resolved.values.push(value);
    }
    Ok(resolved)
}

fn find(source: &OffsetSource, btf: &Btf<'_>) -> u32 {
    let Some(structure) = btf.structure(source.structure) else { return MISSING };
    if source.member.is_empty() {
        return btf.size(structure).unwrap_or(MISSING);
    }
    let member = source.member.split('|').find_map(|path| btf.member(structure, path));
    match member {
        Some(member) if source.bit => member.bit_offset,
        Some(member) if member.bit_offset % 8 == 0 => member.bit_offset / 8,
        _ => MISSING,
    }
}

/// Where an argument stands; [`MISSING`] if the function is not there, or has no such parameter of such a type.
fn position(source: &ArgumentSource, btf: &Btf<'_>) -> u32 {
    let Some(parameters) = source.function.split('|').find_map(|name| btf.parameters(name)) else {
        return MISSING;
    };
    let wanted = |parameter: &Parameter| {
        source.names().any(|name| name == parameter.name)
            && (source.pointee.is_empty() || parameter.pointee.as_deref() == Some(source.pointee))
    };
    parameters.iter().position(wanted).map_or(MISSING, |position| position as u32)
}

/// Fields that one architecture has and another has not.
fn is_of_one_architecture(source: &OffsetSource) -> bool {
    source.member == "thread_info.status"
}

/// Fields of which a kernel has one or the other: mounts were held in a list before 6.8, and are in a tree since.
const REPLACED: &[(&str, &str, &str)] =
    &[("mnt_namespace", "mounts.rb_node", "list.prev"), ("mount", "mnt_node", "mnt_list")];

fn is_replaced(source: &OffsetSource, btf: &Btf<'_>) -> bool {
    let has = |member: &str| {
        btf.structure(source.structure).and_then(|structure| btf.member(structure, member)).is_some()
    };
    REPLACED
        .iter()
        .filter(|(structure, ..)| *structure == source.structure)
        .any(|(_, one, other)| (source.member == *one && has(other)) || (source.member == *other && has(one)))
}

/// `vfs_inode` at 0 and `__upperdentry` behind it: the difference is all that the object uses.
fn assumed_overlay(source: &OffsetSource, vmlinux: &Btf<'_>) -> u32 {
    if source.member == "vfs_inode" {
        return 0;
    }
    vmlinux.structure("inode").and_then(|inode| vmlinux.size(inode)).unwrap_or(MISSING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_has_what_the_hooks_need() {
        if !Path::new(VMLINUX).exists() {
            return;
        }
        let resolved = resolve().expect("the kernel's BTF is valid");
        assert_eq!(resolved.values.len(), OFFSET_SOURCES.len());
        for missing in &resolved.missing {
            let essential = ["task_struct.", "cred.", "linux_binprm.", "dentry.", "mount.", "kernfs_node."];
            let optional = ["task_struct.loginuid", "task_struct.sessionid"];
            assert!(
                optional.contains(&missing.as_str())
                    || !essential.iter().any(|name| missing.starts_with(name)),
                "{missing}"
            );
        }
        let value_of = |structure: &str, member: &str| {
            let is_it = |source: &OffsetSource| source.structure == structure && source.member == member;
            OFFSET_SOURCES.iter().position(is_it).map(|index| resolved.values[index])
        };
        for (structure, one, other) in REPLACED {
            let values = [value_of(structure, one), value_of(structure, other)].map(Option::unwrap);
            assert!(values.iter().any(|value| *value != MISSING), "{structure}: {one} or {other}");
        }
    }
}
