//! What was made is kept beside a stamp: the hash of all it was made from.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The inputs of one cached thing, hashed. A new standard library may hash differently: that only makes it anew.
#[derive(Debug, Default)]
pub struct Key(DefaultHasher);

impl Key {
    /// Starts with the recipe's own revision, to be raised when the code that makes the thing changes.
    pub fn new(recipe: &str) -> Self {
        let mut key = Self::default();
        key.add(recipe);
        key
    }

    /// Adds a text or other value.
    pub fn add(&mut self, input: impl Hash) -> &mut Self {
        input.hash(&mut self.0);
        self
    }

    /// Adds a file's content.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn add_file(&mut self, path: &Path) -> Result<&mut Self> {
        let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(self.add(content))
    }

    /// The stamp's text.
    pub fn stamp(&self) -> String {
        format!("{:016x}", self.0.finish())
    }
}

/// Calls `make` unless `folder` was made from the same inputs before; the stamp is written only after success,
/// so a run that was cut off starts over.
///
/// # Errors
/// Those of `make`, and failures to write the stamp.
pub fn ensure(folder: &Path, key: &Key, make: impl FnOnce() -> Result<()>) -> Result<()> {
    if is_fresh(folder, key) {
        return Ok(());
    }
    let stamp = stamp_path(folder);
    let _ = fs::remove_file(&stamp);
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    make()?;
    fs::write(&stamp, key.stamp()).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Whether `folder` was made from these inputs.
pub fn is_fresh(folder: &Path, key: &Key) -> bool {
    fs::read_to_string(stamp_path(folder)).is_ok_and(|stamp| stamp == key.stamp())
}

fn stamp_path(folder: &Path) -> PathBuf {
    folder.join("stamp")
}

/// Writes `content` only when the file differs, so that what depends on the file is not made again.
/// Returns whether it was written.
///
/// # Errors
/// When the file or its folder cannot be written.
pub fn write_if_changed(path: &Path, content: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-cache-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn makes_once_per_key_and_again_after_a_failure() {
        let folder = scratch("ensure");
        let (one, two) = (Key::new("one"), Key::new("two"));
        let mut made = 0;
        assert!(ensure(&folder, &one, || anyhow::bail!("cut off")).is_err());
        for _ in 0..2 {
            ensure(&folder, &one, || {
                made += 1;
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(made, 1);
        assert!(!is_fresh(&folder, &two));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn writes_only_what_changed() {
        let folder = scratch("write");
        let file = folder.join("object");
        assert!(write_if_changed(&file, b"a").unwrap());
        assert!(!write_if_changed(&file, b"a").unwrap());
        assert!(write_if_changed(&file, b"b").unwrap());
        fs::remove_dir_all(folder).unwrap();
    }
}
