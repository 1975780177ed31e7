//! E-TSDM (arXiv 2306.11251, section 4): timestep conditions are shared within n sub-intervals of [0, t̃). Only the
//! condition is shared; x_t keeps the noise of the true t. `e-tsdm-noised`, which the paper's reviewers asked for, also
//! noises at f(t), so that the network never sees the other noise levels.

use super::{BOUNDARIES, INTERVALS, Recipe, Setting, Variant};
use crate::error::Result;

pub(super) const VARIANT: Variant =
    Variant { name: "e-tsdm", takes: &[INTERVALS, BOUNDARIES], recipe: |setting| shared(setting, false) };

pub(super) const NOISED: Variant =
    Variant { name: "e-tsdm-noised", takes: &[INTERVALS, BOUNDARIES], recipe: |setting| shared(setting, true) };

fn shared(setting: &Setting, noised_at_condition: bool) -> Result<Recipe> {
    Ok(Recipe { share: Some(setting.sharing()?), noised_at_condition, ..Recipe::plain(&setting.schedule) })
}
