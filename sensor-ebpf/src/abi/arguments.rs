//! Where the arguments of kernel functions stand, resolved from the running kernel's BTF when loading.
//!
//! Kernel functions gain and lose parameters between versions, but keep their names. One line here names a function
//! (`|` separates the names it had, newest first) and the parameters wanted of it, each with the structure that it
//! points to (`""` for a number). A hook whose function has no such parameter is not attached.

use super::MISSING;

/// Where the sensor finds one position of [`Arguments`].
#[derive(Clone, Copy, Debug)]
pub struct ArgumentSource {
    /// The function, alternatives separated by `|`.
    pub function: &'static str,
    /// The parameter, alternatives separated by `|`.
    pub parameter: &'static str,
    /// Name of the structure it points to; empty for a number or a pointer to anything.
    pub pointee: &'static str,
}

macro_rules! arguments {
    ($( $(#[$doc:meta])* $group:ident: $name:ident = $function:literal { $( $field:ident: $parameter:literal $pointee:literal, )* } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            #[repr(C)]
            #[allow(missing_docs, reason = "each field is named after the kernel parameter it locates")]
            pub struct $name { $( pub $field: u32, )* }
        )*

        /// All positions (`ARGUMENTS` in the object's `.rodata`), u32 after u32 in the order of [`ARGUMENT_SOURCES`].
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[allow(missing_docs, reason = "each group is documented at its type")]
        pub struct Arguments { $( pub $group: $name, )* }

        impl Arguments {
            /// Every position poisoned with [`MISSING`].
            pub const POISONED: Self = Self { $( $group: $name { $( $field: MISSING, )* }, )* };
        }

        /// One entry for each u32 of [`Arguments`], in its order.
        pub const ARGUMENT_SOURCES: &[ArgumentSource] = &[
            $( $( ArgumentSource { function: $function, parameter: $parameter, pointee: $pointee }, )* )*
        ];
    };
}

arguments! {
    /// `int security_file_open(struct file *file)`
    file_open: FileOpenArguments = "security_file_open" { file: "file" "file", }
    /// `void switch_task_namespaces(struct task_struct *p, struct nsproxy *new)`
    switch_task_namespaces: SwitchTaskNamespacesArguments = "switch_task_namespaces" {
        task: "p|tsk" "task_struct",
        new: "new" "nsproxy",
    }
    /// `int commit_creds(struct cred *new)`
    commit_creds: CommitCredsArguments = "commit_creds" { new: "new" "cred", }
    /// `int security_ptrace_access_check(struct task_struct *child, unsigned int mode)`
    ptrace_access_check: PtraceAccessCheckArguments = "security_ptrace_access_check" {
        child: "child" "task_struct",
        mode: "mode" "",
    }
}

const _: () = assert!(size_of::<Arguments>() == ARGUMENT_SOURCES.len() * size_of::<u32>());
