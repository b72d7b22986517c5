//! The ABI between the BPF object and the sensor: what crosses from the kernel to user space, and back at load.
//!
//! Every type here is `repr(C)`, has no padding that carries data, and has its size asserted. User space parses the
//! bytes field by field; nothing is transmuted.
#![no_std]

pub mod abi;
