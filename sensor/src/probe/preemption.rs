//! Whether this kernel takes the processor from a task in the midst of a program.
//!
//! The kernel skips a tracing program that still runs on the same CPU. Where a task can be preempted within one, it hides what
//! others do there until it goes on, and an attacker can see to that: in a guest with 7.2, sixteen processes that made device
//! nodes hid 78 of 100 from a trampoline. Kprobes are never preempted and missed none.

use std::path::Path;

/// What the running kernel says of itself.
#[derive(Debug, Default)]
pub struct Kernel {
    /// `/proc/sys/kernel/version`.
    version: String,
    /// `/proc/sys/kernel/osrelease`.
    release: String,
    /// `/proc/cmdline`.
    command_line: String,
    /// `/sys/kernel/debug/sched/preempt`, with the model in force in parentheses; empty where it cannot be read.
    model: String,
    /// `/boot/config-RELEASE`, empty where it cannot be read.
    build: String,
}

impl Kernel {
    /// The one that runs here.
    pub fn running() -> Self {
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let release = read(Path::new("/proc/sys/kernel/osrelease")).trim().to_owned();
        Self {
            version: read(Path::new("/proc/sys/kernel/version")),
            command_line: read(Path::new("/proc/cmdline")),
            model: read(Path::new("/sys/kernel/debug/sched/preempt")),
            build: read(&Path::new("/boot").join(format!("config-{release}"))),
            release,
        }
    }

    /// Programs of tracepoints are preempted: since 7.0, unless the kernel was built without any preemption.
    pub fn preempts_tracepoints(&self) -> bool {
        self.version.contains("PREEMPT") && self.series() >= (6, 19)
    }

    /// Trampolines are preempted: since 5.12, where tasks are preempted within the kernel at all.
    pub fn preempts_trampolines(&self) -> bool {
        self.series() >= (5, 12) && self.is_preemptible()
    }

    /// Tasks are preempted within the kernel: the models `full` and `lazy` (kernel/Kconfig.preempt).
    fn is_preemptible(&self) -> bool {
        let decides = |model: &str| matches!(model, "full" | "lazy");
        if let Some((_, model)) = self.model.split_once('(') {
            return decides(model.split(')').next().unwrap_or_default());
        }
        if !self.version.contains("PREEMPT_DYNAMIC") {
            return self.version.contains("PREEMPT");
        }
        if let Some(model) =
            self.command_line.split_whitespace().find_map(|word| word.strip_prefix("preempt="))
        {
            return decides(model);
        }
        let built = |option: &str| self.build.lines().any(|line| line == option);
        if built("CONFIG_PREEMPT=y") || built("CONFIG_PREEMPT_LAZY=y") {
            return true;
        }
        // The models `none` and `voluntary` are gone since 7.0 where there is `lazy`.
        self.build.is_empty() && self.series() >= (7, 0)
    }

    /// `(6, 12)` of `6.12.117+deb12-cloud-amd64`.
    fn series(&self) -> (u32, u32) {
        let mut numbers =
            self.release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(release: &str, version: &str) -> Kernel {
        Kernel { release: release.to_owned(), version: version.to_owned(), ..Kernel::default() }
    }

    #[test]
    fn the_model_in_force_decides() {
        let of = |model: &str| Kernel {
            model: model.to_owned(),
            ..kernel("6.12.1", "#1 SMP PREEMPT_DYNAMIC Debian 6.12.1-1")
        };
        assert!(of("none voluntary (full) lazy\n").preempts_trampolines());
        assert!(of("full (lazy)\n").preempts_trampolines());
        assert!(!of("none (voluntary) full\n").preempts_trampolines());
    }

    #[test]
    fn without_it_the_command_line_then_the_build_then_the_series_decide() {
        let dynamic = "#1 SMP PREEMPT_DYNAMIC Debian";
        assert!(!kernel("6.1.0-49-cloud-amd64", dynamic).preempts_trampolines());
        assert!(kernel("7.2.13+deb14-cloud-amd64", dynamic).preempts_trampolines());
        let asked = Kernel { command_line: "quiet preempt=full".to_owned(), ..kernel("6.8.0", dynamic) };
        assert!(asked.preempts_trampolines());
        let voluntary = Kernel { command_line: "preempt=voluntary".to_owned(), ..kernel("6.8.0", dynamic) };
        assert!(!voluntary.preempts_trampolines());
        let built = |option: &str| Kernel { build: format!("#\n{option}\n"), ..kernel("6.8.0", dynamic) };
        assert!(built("CONFIG_PREEMPT=y").preempts_trampolines());
        assert!(!built("CONFIG_PREEMPT_VOLUNTARY=y").preempts_trampolines());
    }

    #[test]
    fn the_series_of_a_release() {
        assert_eq!(kernel("6.12.117+deb12-cloud-amd64", "").series(), (6, 12));
        assert_eq!(kernel("7.2.13+deb14-cloud-amd64", "").series(), (7, 2));
        assert_eq!(kernel("nonsense", "").series(), (0, 0));
    }

    #[test]
    fn kernels_built_for_one_model_say_so() {
        assert!(kernel("6.6.1", "#1 SMP PREEMPT Thu").preempts_trampolines());
        assert!(kernel("6.6.1", "#1 SMP PREEMPT_RT Thu").preempts_trampolines());
        assert!(!kernel("6.6.1", "#1 SMP Thu").preempts_trampolines());
        assert!(
            !kernel("5.10.0", "#1 SMP PREEMPT Thu").preempts_trampolines(),
            "migration was disabled by preemption"
        );
        assert!(!kernel("6.12.1", "#1 SMP PREEMPT_DYNAMIC").preempts_tracepoints());
        assert!(kernel("7.2.13", "#1 SMP PREEMPT_DYNAMIC").preempts_tracepoints());
    }
}
