//! The sensor as a library, so that tests and benchmarks reach every stage.
//!
//! The modules stand in the order of the data's way.

pub mod probe;

pub mod decode;
pub mod event;

pub mod attribute;

pub mod capability;
pub mod clock;
pub mod text;
