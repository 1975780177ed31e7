//! The penalty (arXiv 2306.11251, alternatives to sharing): the squared difference quotient in time near 0 joins the loss.

use super::{PENALTY_WEIGHT, Penalty, Recipe, Variant};
use crate::error::Error;

/// Unless the user says otherwise: near 0 the quotient's square is of the order of the loss itself.
const DEFAULT_WEIGHT: f64 = 1.0;

pub(super) const VARIANT: Variant = Variant {
    name: "penalty",
    takes: &[PENALTY_WEIGHT],
    recipe: |setting| {
        let weight = setting.penalty_weight.unwrap_or(DEFAULT_WEIGHT);
        if !(weight > 0.0 && weight.is_finite()) {
            return Err(Error::argument(PENALTY_WEIGHT, weight, "it lies above 0", "Such as --penalty-weight 1."));
        }
        let penalty = Penalty { weight, until: setting.until };
        Ok(Recipe { penalty: Some(penalty), ..Recipe::plain(&setting.schedule) })
    },
};
