//! What an exec changes in the tables, and what is concluded of it.

use super::*;

impl Attributor {
    pub(super) fn exec(&mut self, exec: &Exec, time: u64) -> ExecFacts {
        let mut process = match self.processes.take(exec.key()) {
            Some(process) => process,
            None => {
                let mut process = self.processes.discover(exec);
                (process.origin, process.role) = self.unseen(exec.cgroup_id, exec.parent_key());
                process
            }
        };
        let previous = Arc::clone(&process.image);
        let server = process.server;
        let exceeded = process.known.filter(|known| known.is_exceeded_by_exec(exec));
        process.known = Some(KnownCredentials::of_exec(exec));
        process.cgroup_id = exec.cgroup_id;
        process.namespaces = exec.namespaces;
        process.namespace_pid = exec.namespace_pid;
        process.parent = exec.parent_key();
        let entry = self.change_role(&mut process, exec, time);
        let container = process.origin.container().cloned();
        let drift = self.drift(exec, container.as_ref());
        let image = Arc::new(Image { drift, ..Image::of(exec, time, entry) });
        process.image = Arc::clone(&image);

        let mut session_repeats = 0;
        if entry == Entry::ExecSession {
            process.session = Some(Arc::clone(&image));
            if let Some(handle) = container.as_ref().filter(|_| exec.terminal == 0) {
                session_repeats = handle.count_session(&exec.args);
            }
        }
        let script = exec.is_script().then_some(exec.filename.as_slice());
        let session = (container.as_ref().map_or(0, |handle| handle.number()), exec.session_id);
        let burst = self.bursts.exec(session, names(&exec.command, &exec.exe, &exec.args, script), time);
        let pipes = if process.role == RuntimeRole::None {
            self.pipes.exec(&image, &exec.stdio, time)
        } else {
            PipeLinks::default()
        };
        let habit_age = match (&container, server) {
            (Some(handle), Some(_)) => {
                let habit = crate::attribute::handle::habit(&previous.exe, &exec.exe, &exec.args);
                Some(handle.habits.first(habit, time.saturating_sub(handle.created)))
            }
            _ => None,
        };
        let same_as = container.as_ref().filter(|_| drift.is_drift()).and_then(|handle| {
            let root = HostRoot(self.options.host_root.clone()).path(handle.container()?.root());
            self.likenesses.tool(&HostRoot(root), exec)
        });
        if self.options.accounts {
            self.read_accounts(exec.pid, container.as_ref(), time);
        }
        let facts = ExecFacts {
            entry,
            server,
            script_changed: server
                .and(container.as_ref())
                .and_then(|handle| self.script_changed(exec, handle)),
            habit_age,
            runtime_setup: process.role != RuntimeRole::None,
            drift,
            same_as,
            pipes,
            session_repeats,
            discovery_burst: burst,
            container_age: container.map(|handle| time.saturating_sub(handle.created)),
            previous,
            exceeded,
        };
        self.processes.insert(process);
        facts
    }

    /// Reads the names of users: of a container once, when the first of its programs runs; of the node anew now and then.
    fn read_accounts(&mut self, pid: u32, container: Option<&Arc<ContainerHandle>>, time: u64) {
        /// Nanoseconds for which the node's names are taken as they were read.
        const FRESH: u64 = 60_000_000_000;
        if self.host_accounts.as_ref().is_none_or(|(_, read)| time.saturating_sub(*read) > FRESH) {
            let accounts = Accounts::read(&HostRoot(self.options.host_root.clone())).unwrap_or_default();
            self.host_accounts = Some((accounts, time));
        }
        if let Some(handle) = container.filter(|handle| handle.accounts.get().is_none()) {
            let own = HostRoot(self.options.proc.join(pid.to_string()).join("root"));
            // A program may be gone by now; the container's root folder on the node is there for longer.
            let of_container = || {
                let root = HostRoot(self.options.host_root.clone()).path(handle.container()?.root());
                Accounts::read(&HostRoot(root))
            };
            if let Some(accounts) = Accounts::read(&own).or_else(of_container) {
                let _ = handle.accounts.set(accounts);
            }
        }
    }

    /// Whether a script was changed since its container's start, by its change time and as the process sees it now.
    fn script_changed(&self, exec: &Exec, handle: &ContainerHandle) -> Option<bool> {
        if !exec.is_script() {
            return None;
        }
        let root = HostRoot(self.options.proc.join(exec.pid.to_string()).join("root"));
        let metadata = root.look(&exec.script_path()).ok()?;
        Some(metadata.ctime() >= self.clock.epoch_seconds(handle.created))
    }

    /// Decides by creator and inode, never by name, whether the runtime is at work, and lets a process into its
    /// container when the runtime's init hands over to a program of it.
    fn change_role(&mut self, process: &mut Process, exec: &Exec, time: u64) -> Entry {
        if !matches!(process.origin, Origin::Host) {
            process.role = RuntimeRole::None;
            return Entry::Inside;
        }
        let was_runtime = process.role != RuntimeRole::None;
        let on_host = exec.namespaces.mount == self.host.mount;
        if on_host {
            self.runtime.learn(&exec.exe, &exec.file);
        }
        let file = &exec.file;
        process.role = if on_host && self.runtime.contains(file) {
            RuntimeRole::Runtime
        } else if on_host && was_runtime && (file.has_no_parent() || file.on_foreign_mount()) {
            RuntimeRole::Setup
        } else {
            RuntimeRole::None
        };
        if process.role != RuntimeRole::None || !was_runtime {
            return Entry::Inside;
        }
        let order = self.order(process);
        let entered = self.containers.entered(exec.cgroup_id, exec.pid, time);
        // Hooks of the runtime run on the host and enter no container.
        let named = || {
            let (order, _) = order.as_ref().filter(|_| !on_host)?;
            Some(self.containers.ordered(&order.id, exec.cgroup_id, time))
        };
        let Some(handle) = entered.or_else(named) else { return Entry::Inside };
        if let Some((_, bundle)) = order.filter(|(order, _)| *order.id == *handle.id) {
            self.containers.note_bundle(&handle, bundle);
        }
        let baseline = Baseline {
            namespaces: exec.namespaces,
            user_namespace_level: exec.user_namespace_level,
            seccomp_mode: exec.seccomp_mode,
            no_new_privileges: exec.no_new_privileges,
            root: (exec.root_inode, exec.root_device),
        };
        self.containers.set_baseline(&handle, baseline, &self.host);
        let entry = if handle.start() { Entry::Entrypoint } else { Entry::ExecSession };
        process.origin = Origin::Container(handle);
        process.origin_seen = true;
        entry
    }

    /// What the runtime that a process descends from was told, and the absolute path of the bundle.
    fn order(&self, process: &Process) -> Option<(Order, PathBuf)> {
        let own = process.image.key.is_some().then_some((process.key, &process.image));
        let ancestors = process.ancestors.iter().map(|ancestor| (ancestor.key, &ancestor.image));
        own.into_iter().chain(ancestors).find_map(|(key, image)| {
            if !self.runtime.contains(&image.file) {
                return None;
            }
            let order = Order::of(&image.args)?;
            let given = order.bundle.clone().unwrap_or_default();
            let bundle =
                if given.is_absolute() { given } else { self.working_folder(key, image)?.join(given) };
            Some((order, bundle))
        })
    }

    /// Where a program was started. The process may be gone by now: only of those that were there before the sensor /proc
    /// must tell.
    fn working_folder(&self, key: ProcessKey, image: &Image) -> Option<PathBuf> {
        use std::os::unix::ffi::OsStrExt;
        if image.cwd.is_empty() {
            return std::fs::read_link(self.options.proc.join(key.pid.to_string()).join("cwd")).ok();
        }
        Some(PathBuf::from(std::ffi::OsStr::from_bytes(&image.cwd)))
    }

    fn drift(&mut self, exec: &Exec, container: Option<&Arc<ContainerHandle>>) -> Drift {
        let Some(handle) = container else { return Drift::NotApplicable };
        let file = &exec.file;
        if file.is_memfd() {
            return Drift::Memory;
        }
        if file.is_lower() {
            return Drift::Image;
        }
        if file.is_upper() {
            let same = handle
                .container()
                .is_some_and(|container| self.containers.is_copied_up(container, file, &exec.exe));
            return if same { Drift::CopiedUp } else { Drift::Upper };
        }
        // Change times have whole seconds here: a file changed in the second of creation counts as changed.
        if file.change_time >= self.clock.epoch_seconds(handle.created) {
            Drift::VolumeChanged
        } else {
            Drift::Volume
        }
    }
}
