//! The BPF object carried inside this binary, and the check that it speaks our ABI.

use object::{Object, ObjectSection, ObjectSymbol};
use sensor_ebpf::abi::Settings;

/// Words at the start of `SETTINGS` that must agree: the version and the sizes.
const WORDS: usize = 4;

/// Why the object inside this binary cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Built without one.
    #[error("this stride-sensor was built without its BPF object; build it with `cargo xtask build`")]
    Absent,
    /// Not an object file, or one without settings.
    #[error("the BPF object inside this binary is damaged ({0}); build it again with `cargo xtask build`")]
    Damaged(String),
    /// Of another version.
    #[error(
        "the BPF object speaks ABI version {found:?}, the sensor {expected:?} (version, offsets, exec record, action record); \
         build both with `cargo xtask build`"
    )]
    OtherAbi {
        /// Version and sizes in the object.
        found: [u32; WORDS],
        /// Version and sizes in the sensor.
        expected: [u32; WORDS],
    },
}

/// Eight-byte alignment, which the ELF reader wants.
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("STRIDE_SENSOR_BPF_OBJECT")));

/// The object's bytes, checked to be of this sensor's ABI.
///
/// # Errors
/// If it is absent, damaged, or of another ABI.
pub fn checked() -> Result<&'static [u8], ObjectError> {
    let bytes = &OBJECT.0;
    if bytes.is_empty() {
        return Err(ObjectError::Absent);
    }
    let found = settings_of(bytes).map_err(ObjectError::Damaged)?;
    let own = Settings::BUILT;
    let expected = [own.abi_version, own.offsets_size, own.exec_record_size, own.action_record_size];
    if found == expected { Ok(bytes) } else { Err(ObjectError::OtherAbi { found, expected }) }
}

/// The first words of the symbol `SETTINGS`: version and sizes.
fn settings_of(bytes: &[u8]) -> Result<[u32; WORDS], String> {
    let file = object::File::parse(bytes).map_err(|error| error.to_string())?;
    let symbol = file
        .symbols()
        .find(|symbol| symbol.name() == Ok("SETTINGS"))
        .ok_or_else(|| "no symbol SETTINGS".to_owned())?;
    let index = symbol.section_index().ok_or_else(|| "SETTINGS lies in no section".to_owned())?;
    let section = file.section_by_index(index).map_err(|error| error.to_string())?;
    let data = section.data().map_err(|error| error.to_string())?;
    let start = symbol.address().saturating_sub(section.address()) as usize;
    let word = |at: usize| {
        let bytes = data.get(start + at * 4..start + at * 4 + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let mut words = [0; WORDS];
    for (index, value) in words.iter_mut().enumerate() {
        *value = word(index).ok_or_else(|| "SETTINGS is cut short".to_owned())?;
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_object_are_damaged() {
        assert!(settings_of(b"not an object").is_err());
    }

    #[test]
    fn the_object_inside_speaks_our_abi() {
        match checked() {
            Ok(bytes) => assert!(bytes.len() > 1000),
            Err(error) => assert!(matches!(error, ObjectError::Absent), "{error}"),
        }
    }
}
