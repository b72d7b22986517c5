//! Image folders for the containers' lower layers, made of this host's own programs.

mod contents;
mod software;

use crate::host::find_program;
use crate::scenario::ImageName;
use anyhow::{Context as _, Result, bail};
use contents::{FILES, FOLDERS, PROBES};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Builds images on demand and keeps them below the work folder for later runs.
pub struct Images {
    folder: PathBuf,
    atk: PathBuf,
    building: Mutex<()>,
}

impl Images {
    /// `folder` holds the images, `atk` goes into each of them.
    pub fn new(folder: PathBuf, atk: PathBuf) -> Self {
        Self { folder, atk, building: Mutex::new(()) }
    }

    /// The image's folder, built now if it is missing or older than its ingredients.
    pub fn get(&self, name: ImageName) -> Result<PathBuf> {
        // A panic in another thread leaves no half-built image behind: the stamp is written last.
        let _one_at_a_time = self.building.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let root = self.folder.join(format!("{name:?}").to_lowercase());
        let stamp = root.with_extension("stamp");
        let ingredients = self.ingredients()?;
        if fs::read_to_string(&stamp).is_ok_and(|text| text == ingredients) {
            return Ok(root);
        }
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("old image {}", root.display()))?;
        }
        let builder = Builder { root: &root };
        builder.build(name, &self.atk).with_context(|| format!("image {name:?}"))?;
        fs::write(&stamp, ingredients)?;
        Ok(root)
    }

    /// Changes when an image must be built anew: this program and `atk`.
    fn ingredients(&self) -> Result<String> {
        let mut text = String::new();
        for path in [std::env::current_exe()?, self.atk.clone()] {
            let metadata = fs::metadata(&path).with_context(|| path.display().to_string())?;
            text += &format!("{} {} {}\n", path.display(), metadata.len(), metadata.mtime_nsec());
        }
        Ok(text)
    }
}

struct Builder<'a> {
    root: &'a Path,
}

impl Builder<'_> {
    fn build(&self, name: ImageName, atk: &Path) -> Result<()> {
        for folder in FOLDERS {
            fs::create_dir_all(self.root.join(folder))?;
        }
        for folder in ["tmp", "var/tmp"] {
            fs::set_permissions(self.root.join(folder), fs::Permissions::from_mode(0o1777))?;
        }
        for folder in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{folder}"), self.root.join(folder))?;
        }
        for (path, text) in FILES {
            fs::write(self.root.join(path), text)?;
        }
        let busybox = find_program("busybox").context("busybox is missing: install busybox-static")?;
        self.copy(&busybox, "usr/bin/busybox")?;
        match name {
            ImageName::Busybox => self.busybox_links(&busybox)?,
            ImageName::Debian => self.debian()?,
            ImageName::Java => {
                self.debian()?;
                self.java()?;
            }
            ImageName::Node => {
                self.debian()?;
                self.node()?;
            }
            ImageName::Servers => {
                self.debian()?;
                self.servers()?;
            }
        }
        self.copy(atk, "usr/bin/atk")?;
        if !self.root.join("usr/bin/nmap").exists() {
            // Only its name and its short life matter.
            self.copy(atk, "usr/bin/nmap")?;
        }
        for probe in PROBES {
            let target = self.root.join("usr/bin").join(probe);
            if !target.exists() && self.root.join("usr/bin/true").exists() {
                fs::copy(self.root.join("usr/bin/true"), target)?;
            }
        }
        Ok(())
    }

    /// One hard link an applet, as in the official image.
    fn busybox_links(&self, busybox: &Path) -> Result<()> {
        let list = Command::new(busybox).arg("--list").output().context("busybox --list")?;
        for applet in String::from_utf8_lossy(&list.stdout).lines() {
            let target = self.root.join("usr/bin").join(applet);
            if !target.exists() {
                fs::hard_link(self.root.join("usr/bin/busybox"), target)?;
            }
        }
        Ok(())
    }

    /// Copies a program to the same place with everything it is linked to.
    fn program(&self, path: &Path) -> Result<()> {
        self.copy(path, path)?;
        self.libraries(path)
    }

    fn libraries(&self, path: &Path) -> Result<()> {
        // Scripts and static programs make ldd fail; they need nothing.
        let output = Command::new("ldd").arg(path).output().context("ldd")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let libraries: BTreeSet<&str> =
            text.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':')).collect();
        for library in libraries {
            let source = Path::new(library);
            if source.is_file() {
                self.copy(source, source)?;
            }
        }
        Ok(())
    }

    /// Copies one file with its mode; the folders in the image are those of a merged `/usr`.
    fn copy(&self, source: &Path, target: impl AsRef<Path>) -> Result<()> {
        let target = target.as_ref();
        let target = self.root.join(target.strip_prefix("/").unwrap_or(target));
        if target.exists() {
            return Ok(());
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(source, &target).with_context(|| format!("{} to {}", source.display(), target.display()))?;
        // Copying loses the setuid bit.
        let mode = fs::metadata(source)?.permissions().mode();
        fs::set_permissions(&target, fs::Permissions::from_mode(mode & 0o7777))?;
        Ok(())
    }

    /// Copies a folder with its symbolic links to the same place, without the entries named in `without`.
    fn tree(&self, source: &Path, without: &[&str]) -> Result<()> {
        let target = self.root.join(source.strip_prefix("/").unwrap_or(source));
        fs::create_dir_all(&target)?;
        for entry in fs::read_dir(source).with_context(|| source.display().to_string())? {
            let entry = entry?;
            if without.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                self.tree(&path, without)?;
            } else if kind.is_symlink() {
                let link = target.join(entry.file_name());
                if fs::symlink_metadata(&link).is_err() {
                    symlink(fs::read_link(&path)?, link)?;
                }
            } else if kind.is_file() {
                self.copy(&path, &path)?;
            }
        }
        Ok(())
    }
}

/// The distribution's own program, not one that a version manager put first in PATH.
fn find_system_program(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/usr/sbin"].iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// Whether a program is in an image; follows absolute symbolic links within the image.
pub fn has_program(root: &Path, name: &str) -> bool {
    ["usr/bin", "usr/sbin", "usr/local/bin"]
        .iter()
        .any(|folder| fs::symlink_metadata(root.join(folder).join(name)).is_ok())
}

/// Fails unless overlayfs can use this folder for its upper layers.
pub fn check_work_folder(work: &Path) -> Result<()> {
    let test = work.join("overlay-test");
    let [lower, upper, internal, merged] = ["lower", "upper", "work", "merged"].map(|name| test.join(name));
    for folder in [&lower, &upper, &internal, &merged] {
        fs::create_dir_all(folder)?;
    }
    let data =
        format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), internal.display());
    let mounted = crate::host::mount("overlay", &merged, "overlay", &data);
    crate::host::unmount(&merged);
    fs::remove_dir_all(&test)?;
    match mounted {
        Ok(()) => Ok(()),
        Err(error) => bail!(
            "overlayfs below {} is refused: {error} (is it root, and not overlayfs itself?)",
            work.display()
        ),
    }
}
