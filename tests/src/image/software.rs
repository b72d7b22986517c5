//! Software that an image takes over as a whole: tools, languages and servers, where this host's packages put them.

use super::contents::TOOLS;
use super::{Builder, find_system_program};
use anyhow::Result;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

impl Builder<'_> {
    pub fn debian(&self) -> Result<()> {
        for tool in TOOLS {
            if let Some(path) = find_system_program(tool) {
                self.program(&path)?;
            }
        }
        for (link, target) in [("usr/bin/sh", "dash"), ("usr/bin/[", "test")] {
            if !self.root.join(link).exists() {
                symlink(target, self.root.join(link))?;
            }
        }
        // Where the host lacks these, a copy of busybox does the same under the same name.
        for tool in ["wget", "nc", "httpd", "ip", "ps", "hostname"] {
            let target = self.root.join("usr/bin").join(tool);
            if !target.exists() && !self.root.join("usr/sbin").join(tool).exists() {
                fs::copy(self.root.join("usr/bin/busybox"), target)?;
            }
        }
        self.packet_filters()?;
        self.python()
    }

    /// What iptables loads by name for each match and target.
    fn packet_filters(&self) -> Result<()> {
        for entry in fs::read_dir("/usr/lib")?.flatten() {
            let extensions = entry.path().join("xtables");
            if extensions.is_dir() {
                self.tree(&extensions, &[])?;
            }
        }
        Ok(())
    }

    fn python(&self) -> Result<()> {
        let Ok(binary) = fs::canonicalize("/usr/bin/python3") else { return Ok(()) };
        let Some(version) = binary.file_name() else { return Ok(()) };
        self.program(&binary)?;
        if version != OsStr::new("python3") {
            let link = self.root.join("usr/bin/python3");
            if !link.exists() {
                symlink(version, link)?;
            }
        }
        let library = Path::new("/usr/lib").join(version);
        self.tree(
            &library,
            &["test", "idlelib", "lib2to3", "tkinter", "ensurepip", "pydoc_data", "dist-packages"],
        )?;
        Ok(())
    }

    pub fn java(&self) -> Result<()> {
        let Some(java) = find_system_program("java").and_then(|path| fs::canonicalize(path).ok()) else {
            return Ok(());
        };
        let Some(home) = java.parent().and_then(Path::parent) else { return Ok(()) };
        self.tree(home, &["jmods", "man", "docs", "src.zip", "demo"])?;
        // Its settings are symbolic links into /etc.
        for entry in fs::read_dir("/etc")?.flatten() {
            if entry.file_name().to_string_lossy().starts_with("java-") {
                self.tree(&entry.path(), &[])?;
            }
        }
        self.libraries(&java)?;
        for library in fs::read_dir(home.join("lib"))?.flatten() {
            if library.path().extension() == Some(OsStr::new("so")) {
                self.libraries(&library.path())?;
            }
        }
        symlink(&java, self.root.join("usr/bin/java"))?;
        Ok(())
    }

    /// Web servers and databases, as far as they are there.
    pub fn servers(&self) -> Result<()> {
        for program in ["nginx", "redis-server", "redis-cli"] {
            if let Some(path) = find_system_program(program) {
                self.linked_program(&path)?;
            }
        }
        self.php()?;
        self.postgres()
    }

    /// redis-server and redis-cli, as others, may be one program under several names.
    fn linked_program(&self, path: &Path) -> Result<()> {
        let binary = fs::canonicalize(path)?;
        self.program(&binary)?;
        if binary != path {
            let link = self.root.join(path.strip_prefix("/").unwrap_or(path));
            if let Some(folder) = link.parent() {
                fs::create_dir_all(folder)?;
            }
            symlink(&binary, link)?;
        }
        Ok(())
    }

    /// PHP for web servers, under the name `php-fpm` too, and what its mails are handed to.
    fn php(&self) -> Result<()> {
        for entry in fs::read_dir("/usr/sbin")?.flatten() {
            let name = entry.file_name();
            if !name.to_string_lossy().starts_with("php-fpm") {
                continue;
            }
            self.program(&entry.path())?;
            symlink(&name, self.root.join("usr/sbin/php-fpm"))?;
            self.tree(Path::new("/etc/php"), &[])?;
            self.tree(Path::new("/usr/lib/php"), &[])?;
            let sendmail = self.root.join("usr/sbin/sendmail");
            fs::write(&sendmail, "#!/bin/sh\ncat >>/tmp/mails\n")?;
            return Ok(fs::set_permissions(sendmail, fs::Permissions::from_mode(0o755))?);
        }
        Ok(())
    }

    /// PostgreSQL, with its own programs in the path, which look for what they need beside themselves.
    fn postgres(&self) -> Result<()> {
        let (library, share) = (Path::new("/usr/lib/postgresql"), Path::new("/usr/share/postgresql"));
        let Some(version) = fs::read_dir(library).ok().and_then(|mut entries| entries.next()?.ok()) else {
            return Ok(());
        };
        // Compiling queries needs LLVM, which is larger than all the rest.
        self.tree(&version.path(), &["bitcode", "llvmjit.so"])?;
        self.tree(&share.join(version.file_name()), &["man"])?;
        for name in ["initdb", "postgres", "psql"] {
            let program = version.path().join("bin").join(name);
            self.libraries(&program)?;
            symlink(&program, self.root.join("usr/bin").join(name))?;
        }
        Ok(())
    }

    pub fn node(&self) -> Result<()> {
        let (Some(node), Some(npm)) = (find_system_program("node"), find_system_program("npm")) else {
            return Ok(());
        };
        let binary = fs::canonicalize(&node)?;
        self.program(&binary)?;
        if binary != node {
            symlink(&binary, self.root.join("usr/bin/node"))?;
        }
        let npm = fs::canonicalize(npm)?;
        let Some(package) = npm.parent().and_then(Path::parent) else { return Ok(()) };
        self.tree(package, &["docs", "man"])?;
        symlink(&npm, self.root.join("usr/bin/npm"))?;
        Ok(())
    }
}
