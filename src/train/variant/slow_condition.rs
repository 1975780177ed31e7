//! t/8 as the network's condition instead of t: every sinusoid of its time embedding turns an eighth as fast, so that those
//! which turn fastest, ω > 1/8 per step, are missing from the first step of training on.

use super::{Recipe, Variant};

/// What t is multiplied by.
const FACTOR: f64 = 0.125;

pub(super) const VARIANT: Variant = Variant {
    name: "slow-condition",
    takes: &[],
    recipe: |setting| {
        let condition = format!("step*{FACTOR}");
        Ok(Recipe { condition: Some(condition), ..Recipe::plain(&setting.schedule) })
    },
};
