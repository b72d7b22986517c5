//! What Falco has and this sensor has not: fields that no event here fills, with the reason.

/// Arguments of system calls that events here have, by Falco's names.
pub const ARGUMENTS: [&str; 16] = [
    "flags", "request", "domain", "type", "name", "filename", "path", "pathname", "oldpath", "newpath",
    "linkpath", "target", "sig", "res", "dev", "dir",
];

/// Why no event here fills a field that Falco has for system calls (https://falco.org/docs/reference/rules/supported-fields/);
/// `None` if Falco has no such field either.
pub fn unfilled(name: &str) -> Option<&'static str> {
    let of_list = |(reason, names): &(&'static str, &[&str])| {
        let is_it = |known: &&str| match known.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => *known == name,
        };
        names.iter().any(is_it).then_some(*reason)
    };
    UNFILLED.iter().find_map(of_list)
}

/// Names of all fields of Falco that no event here fills; a star stands for any end.
pub fn all_unfilled() -> impl Iterator<Item = (&'static str, &'static str)> {
    UNFILLED.iter().flat_map(|(reason, names)| names.iter().map(|name| (*name, *reason)))
}

const UNFILLED: &[(&str, &[&str])] = &[
    (
        "events are numbered in the log only",
        &[
            "evt.count",
            "evt.count.*",
            "evt.rawarg",
            "evt.rawarg.*",
            "evt.info",
            "evt.wait_latency",
            "evt.deltato",
            "evt.deltato.*",
        ],
    ),
    (
        "the log has the wall clock, `evt.time` counts from the boot",
        &[
            "evt.time.s",
            "evt.time.iso8601",
            "evt.datetime",
            "evt.datetime.*",
            "evt.rawtime",
            "evt.rawtime.*",
            "evt.reltime",
            "evt.reltime.*",
            "evt.latency",
            "evt.latency.*",
            "evt.pluginname",
            "evt.plugininfo",
            "evt.is_async",
            "evt.asynctype",
        ],
    ),
    ("the hooks do not tell the processor", &["evt.cpu", "thread.cpu", "thread.cpu.*"]),
    (
        "reads and writes are not watched",
        &[
            "evt.buffer",
            "evt.buffer.*",
            "evt.buflen",
            "evt.buflen.*",
            "evt.is_io",
            "evt.is_io_read",
            "evt.is_io_write",
            "evt.io_dir",
            "evt.is_wait",
            "evt.is_syslog",
            "evt.abspath",
            "evt.abspath.*",
        ],
    ),
    ("hooks are no system calls", &["syscall.type", "evt.type.is", "evt.type.is.*"]),
    (
        "process groups and sessions are not followed",
        &[
            "proc.pgid",
            "proc.pgid.*",
            "proc.is_pgid_leader",
            "proc.vpgid",
            "proc.vpgid.*",
            "proc.is_vpgid_leader",
            "proc.sname",
            "proc.sid.*",
            "proc.is_sid_leader",
            "proc.loginshellid",
            "proc.ppgid",
            "proc.ppgid.*",
        ],
    ),
    (
        "it is not measured",
        &[
            "proc.cputime*",
            "proc.vmsize",
            "proc.vmrss",
            "proc.vmswap",
            "proc.fdopencount",
            "proc.fdlimit",
            "proc.fdusage",
            "proc.nchilds",
            "proc.nthreads",
            "thread.exectime",
            "thread.totexectime",
            "thread.vmsize",
            "thread.vmsize.*",
            "thread.vmrss",
            "thread.vmrss.*",
            "thread.pfmajor",
            "thread.pfminor",
        ],
    ),
    (
        "it is not kept of ancestors",
        &["proc.acmdline", "proc.pvpid", "proc.ppid.ts", "proc.pid.ts", "proc.apid.ts", "proc.stimestamp"],
    ),
    (
        "the specification does not say it",
        &[
            "proc.is_container_healthcheck",
            "proc.is_container_liveness_probe",
            "proc.is_container_readiness_probe",
            "container.healthcheck",
            "container.liveness_probe",
            "container.readiness_probe",
        ],
    ),
    (
        "it is not kept of the executable",
        &[
            "proc.exe_ino.ctime_duration_proc_start",
            "proc.exe_ino.ctime_duration_pidns_start",
            "proc.is_exe_symlink",
            "proc.pidns_init_start_ts",
        ],
    ),
    (
        "hooks see processes, not threads",
        &["thread.tid", "thread.ismain", "thread.vtid", "thread.nametid", "thread.vnametid"],
    ),
    ("cgroups are told by their path, in the log", &["thread.cgroups", "thread.cgroup", "thread.cgroup.*"]),
    ("names are not asked for", &["fd.ip.name", "fd.lip.name", "fd.rip.name", "fd.cip.name", "fd.sip.name"]),
    (
        "the own end of a connection is not told",
        &[
            "fd.lip",
            "fd.cip",
            "fd.lport",
            "fd.cport",
            "fd.lnet",
            "fd.cnet",
            "fd.lproto",
            "fd.cproto",
            "fd.is_server",
            "fd.is_upstream",
            "fd.containername",
            "fd.containerdirectory",
            "fd.proto",
            "fd.rproto",
            "fd.sproto",
            "fd.sockfamily",
        ],
    ),
    ("the descriptor is not told", &["fd.types", "fd.uid", "fd.dev", "fd.dev.*", "fd.ino.*"]),
    ("the account files are not read", &["user.homedir", "user.shell"]),
    (
        "the path is told as it is after links were followed",
        &["fd.nameraw", "fs.path.nameraw", "fs.path.sourceraw", "fs.path.targetraw"],
    ),
    (
        "the specification on disk does not say it",
        &[
            "container.mount",
            "container.mount.*",
            "container.mounts",
            "container.image.id",
            "container.ip",
            "container.cni.json",
            "container.host_pid",
            "container.host_network",
            "container.host_ipc",
            "container.label",
            "container.label.*",
            "container.labels",
        ],
    ),
    (
        "it is known to the API server only",
        &[
            "k8s.pod.label",
            "k8s.pod.label.*",
            "k8s.pod.labels",
            "k8s.pod.ip",
            "k8s.pod.cni.json",
            "k8s.pod.full_sandbox_id",
            "k8s.pod.sandbox_id",
            "k8s.pod.id",
            "k8s.rc.*",
            "k8s.svc.*",
            "k8s.ns.id",
            "k8s.ns.label",
            "k8s.ns.label.*",
            "k8s.ns.labels",
            "k8s.rs.*",
            "k8s.deployment.*",
        ],
    ),
    ("tracers are gone from Falco", &["span.*", "evtin.*"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::rules::Field;

    #[test]
    fn what_falco_has_is_told_from_what_nobody_has() {
        assert!(unfilled("proc.sname").is_some() && unfilled("k8s.deployment.name").is_some());
        assert!(unfilled("proc.exepat").is_none() && unfilled("").is_none());
    }

    #[test]
    fn no_field_is_filled_and_unfilled() {
        for field in Field::ALL {
            assert_eq!(unfilled(field.name()), None, "{}", field.name());
        }
    }
}
