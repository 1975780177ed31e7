//! The network's own output, whatever it predicts, before it is converted.

use super::Member;
use crate::error::Result;
use crate::prediction::{Affine, Prediction};
use crate::schedule::Level;

pub(super) struct Output;

impl Member for Output {
    fn factors(&self, _prediction: Prediction, _level: &Level) -> Result<Affine> {
        Ok(Affine { output: 1.0, x: 0.0 })
    }

    fn rates(&self, _prediction: Prediction, _level: &Level) -> Result<Affine> {
        Ok(Affine { output: 0.0, x: 0.0 })
    }
}
