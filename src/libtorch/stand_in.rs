//! A device for tests on machines without a GPU, behind [`Device::Mps`]: its numbers lie in main memory, and the kernels of
//! the CPU compute. What a GPU refuses is refused, an operation on tensors of two devices; and what a GPU's host waits for
//! is counted. `stand_in.cpp` is its other side.

use super::{Message, check};
use crate::error::{Error, Result};
use tch::Device;

mod ffi {
    use super::Message;

    unsafe extern "C" {
        pub fn lipscope_stand_in() -> Message;
        pub fn lipscope_stand_in_waits(reads: *mut i64, uploads: *mut i64);
    }
}

/// What the host has waited for, over all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waits {
    /// Numbers read from the device.
    pub reads: i64,
    /// Copies to the device.
    pub uploads: i64,
}

/// The device; from the first call on this process has it.
///
/// # Errors
/// On macOS, where [`Device::Mps`] is a real one.
pub fn device() -> Result<Device> {
    if cfg!(target_os = "macos") {
        let allowed = "it takes the place of MPS, which macOS has";
        return Err(Error::unsupported("a device for tests", allowed, "Run this test on Linux."));
    }
    // SAFETY: the call takes nothing, and registers kernels once.
    check(unsafe { ffi::lipscope_stand_in() }, "registering a device for tests").map(|()| Device::Mps)
}

/// What the host has waited for since the last call.
pub fn waits() -> Waits {
    let mut waits = Waits::default();
    // SAFETY: both pointers are to live numbers.
    unsafe { ffi::lipscope_stand_in_waits(&raw mut waits.reads, &raw mut waits.uploads) };
    waits
}
