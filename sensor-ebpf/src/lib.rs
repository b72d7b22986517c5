//! The ABI between the BPF object and the sensor.
#![no_std]
