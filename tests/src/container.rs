//! One container: overlay root, OCI bundle, runtime, and the removal of all of it.

use crate::host;
use crate::scenario::{ContainerRequest, Flavour, Medium, Scenario};
use crate::spec::{Identity, oci_spec};
use anyhow::{Context as _, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A container that is ready to start. Dropping it removes the container, its mounts and its cgroups.
pub struct Container {
    /// Who it is.
    pub identity: Identity,
    /// The folder of its OCI spec.
    pub bundle: PathBuf,
    /// Its mounted root.
    pub root: PathBuf,
    work: PathBuf,
    pod_cgroup: String,
}

impl Container {
    /// Mounts the root and writes the bundle; nothing runs yet.
    pub fn prepare(
        scenario: &Scenario,
        request: &ContainerRequest,
        image: &Path,
        work: &Path,
        network: Option<&Path>,
    ) -> Result<Self> {
        let identity = Identity::new(&scenario.id, request.image)?;
        let container = Self {
            bundle: identity.bundle(request.bundle, work),
            root: work.join("root"),
            work: work.to_path_buf(),
            pod_cgroup: identity.pod_cgroup(request.cgroup),
            identity,
        };
        let [lower, upper, internal] = ["lower", "upper", "work"].map(|name| work.join(name));
        for folder in [&lower, &upper, &internal, &container.root, &container.bundle] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        write_scenario_layer(scenario, request, &lower)?;
        let data = format!(
            "lowerdir={}:{},upperdir={},workdir={}",
            lower.display(),
            image.display(),
            upper.display(),
            internal.display()
        );
        host::mount("overlay", &container.root, "overlay", &data)
            .with_context(|| format!("overlayfs at {} ({data})", container.root.display()))?;

        let mut volumes = Vec::new();
        for (index, _) in
            request.volumes.iter().enumerate().filter(|(_, volume)| volume.medium == Medium::Disk)
        {
            let folder = work.join(format!("volume-{index}"));
            fs::create_dir_all(&folder)?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777))?;
            volumes.push(folder);
        }
        let spec = oci_spec(request, &container.identity, &container.root, &volumes, network);
        fs::write(container.bundle.join("config.json"), serde_json::to_vec_pretty(&spec)?)?;
        Ok(container)
    }

    /// The variables through which scripts on the host refer to this container.
    pub fn environment(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("CONTAINER", PathBuf::from(&self.identity.container_id)),
            ("BUNDLE", self.bundle.clone()),
            ("ROOT", self.root.clone()),
            ("POD_UID", PathBuf::from(&self.identity.pod_uid)),
        ]
    }

    /// Kills what runs in it and lets the runtime forget it.
    pub fn remove(&self) {
        // One that ended has no state any more, and starting the runtime takes its time on an emulated processor.
        if Path::new("/run/runc").join(&self.identity.container_id).exists() {
            let _ = Command::new("runc").args(["delete", "--force", &self.identity.container_id]).output();
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.remove();
        host::unmount(&self.root);
        let plain = self.bundle.starts_with(&self.work);
        for folder in ["upper", "work", "lower", "root"] {
            let _ = fs::remove_dir_all(self.work.join(folder));
        }
        if !plain {
            let _ = fs::remove_dir_all(&self.bundle);
        }
        for (mount, _) in host::cgroup_mounts() {
            let pod = mount.join(self.pod_cgroup.trim_start_matches('/'));
            let _ = fs::remove_dir(pod.join(&self.identity.container_id));
            let _ = fs::remove_dir(&pod);
        }
    }
}

/// The topmost lower layer: the entrypoint and the mount points, which belong to the image.
fn write_scenario_layer(scenario: &Scenario, request: &ContainerRequest, lower: &Path) -> Result<()> {
    let script = scenario.script.as_deref().unwrap_or("exec sleep 600\n");
    let text = if script.starts_with("#!") { script.to_owned() } else { format!("#!/bin/sh\n{script}") };
    let entrypoint = lower.join("entrypoint.sh");
    fs::write(&entrypoint, text)?;
    fs::set_permissions(&entrypoint, fs::Permissions::from_mode(0o755))?;
    for volume in &request.volumes {
        let inside = volume.path.strip_prefix("/").unwrap_or(&volume.path);
        if !inside.starts_with("dev") {
            fs::create_dir_all(lower.join(inside))?;
        }
    }
    if request.flavour == Flavour::HostRoot {
        fs::create_dir_all(lower.join("host"))?;
    }
    Ok(())
}
