//! `lipscope doctor`: what this installation can use.

use crate::device;
use crate::error::Result;
use lipscope_core::cli::args::Global;
use lipscope_core::cli::{Outcome, output};
use std::fmt::Write;
use tch::{Kind, Tensor};

/// Lists devices and tries a small product on each.
pub(super) fn run(global: &Global) -> Result<Option<Outcome>> {
    device::set_threads(global.threads)?;
    let mut text = format!("lipscope {}\n", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(text, "libtorch in {}", device::libtorch_folder().display());
    let _ = writeln!(text, "threads: {}", tch::get_num_threads());
    for found in device::available() {
        let ones = Tensor::f_ones([64, 64], (Kind::Float, found));
        let works = match ones.and_then(|ones| ones.f_matmul(&ones)).and_then(|product| product.f_sum(Kind::Float)) {
            Ok(sum) if sum.double_value(&[]) == 262_144.0 => "works",
            _ => "is there but does not compute",
        };
        let _ = writeln!(text, "{}: {works}", device::name(found));
    }
    if let Some(reason) = device::why_no_cuda() {
        let _ = writeln!(text, "cuda: {reason}");
    }
    output::print(&text)
}
