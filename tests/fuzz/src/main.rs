//! Fuzzes one target, which the variable `TARGET` names: see `README.md`.
#![cfg_attr(not(test), no_main)]

mod allocations;
#[path = "../../../crates/core/src/error.rs"]
mod error;
mod targets;
#[path = "../../../crates/core/src/tensor_file/mod.rs"]
#[allow(dead_code, unused_imports)]
mod tensor_file;

use libfuzzer_sys::{Corpus, fuzz_target};
use std::sync::OnceLock;
use targets::{TARGETS, Target};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// Bytes that no input may make the readers take, besides 300 times its own size.
const MOST_BYTES: usize = 256 << 20;

static TARGET: OnceLock<&Target> = OnceLock::new();

fn target() -> &'static Target {
    TARGET.get_or_init(|| {
        let wanted = std::env::var("TARGET").unwrap_or_default();
        let names = TARGETS.map(|target| target.name).join(", ");
        TARGETS
            .iter()
            .find(|target| target.name == wanted)
            .unwrap_or_else(|| panic!("set TARGET to one of {names}"))
    })
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let begin = allocations::begin();
    targets::run(target(), input);
    let peak = allocations::peak_since(begin);
    assert!(peak <= MOST_BYTES + 300 * input.len(), "{peak} bytes for an input of {}", input.len());
    Corpus::Keep
});
