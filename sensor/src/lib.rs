//! The sensor as a library, so that tests and benchmarks reach every stage.
//!
//! The modules stand in the order of the data's way, and after them what all of them use.

pub mod probe;

pub mod action;
pub mod action_words;
pub mod decode;
pub mod event;

pub mod attribute;

pub mod judge;
pub mod threat;

pub mod sink;

pub mod pipeline;
pub mod self_watch;

pub mod capability;
pub mod cli;
pub mod clock;
pub mod config;
pub mod coverage;
pub mod doctor;
pub mod namespace;
pub mod privileges;
pub mod replay;
pub mod rule_files;
pub mod rules_command;
pub mod run;
pub mod telemetry;
pub mod text;
