//! A device whose memory runs out.

use crate::dual::Dual;
use crate::error::{Error, Result};
use crate::ideal::{Distribution, Gaussian};
use crate::schedule::Level;
use tch::Tensor;

/// A Gaussian behind a device that has memory for so many rows.
pub struct SmallDevice {
    pub gaussian: Gaussian,
    pub rows: i64,
}

impl Distribution for SmallDevice {
    fn dim(&self) -> i64 {
        self.gaussian.dim()
    }

    fn epsilon(&self, x: &Tensor, levels: &[Level], with_rate: bool) -> Result<Dual> {
        if x.size()[0] > self.rows {
            return Err(Error::torch("computing", "CUDA out of memory. Tried to allocate 1.00 GiB"));
        }
        self.gaussian.epsilon(x, levels, with_rate)
    }
}
