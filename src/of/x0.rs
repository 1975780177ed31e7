//! x̂₀, the predicted clean sample.

use super::Member;
use crate::error::Result;
use crate::prediction::{Affine, Prediction};
use crate::schedule::Level;

pub(super) struct X0;

impl Member for X0 {
    fn factors(&self, prediction: Prediction, level: &Level) -> Result<Affine> {
        prediction.x0(level)
    }

    fn rates(&self, prediction: Prediction, level: &Level) -> Result<Affine> {
        prediction.x0_rate(level)
    }
}
