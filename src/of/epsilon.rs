//! ε itself, where it is asked for under several guidance scales at once.

use super::Member;
use crate::error::Result;
use crate::prediction::{Affine, Prediction};
use crate::schedule::Level;

pub(super) struct Epsilon;

impl Member for Epsilon {
    fn factors(&self, prediction: Prediction, level: &Level) -> Result<Affine> {
        prediction.epsilon(level)
    }

    fn rates(&self, prediction: Prediction, level: &Level) -> Result<Affine> {
        prediction.epsilon_rate(level)
    }
}
