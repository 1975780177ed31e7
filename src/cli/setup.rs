//! The global arguments that a run needs.

use crate::run::Setup;
use lipscope_core::cli::args::Global;

/// Where a command computes, and its seed.
pub(super) fn setup(global: &Global) -> Setup {
    Setup { device: global.device.first(), threads: global.threads, seed: global.seed, cut_for: global.cut_for }
}
