//! What the return of system calls shows, by the same bodies as the better ways in where these only need an object of the
//! kernel.
//!
//! Not there, because the kernel keeps nothing that tells of them once the call has returned: files by their path whose
//! mode, owner, attributes or name is changed; opens that were refused; reboots.

mod file;
mod isolation;
mod mount;
mod surface;
