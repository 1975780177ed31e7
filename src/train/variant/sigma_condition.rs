//! σ_t as the network's condition instead of t, which the paper's reviewers asked for: the network is told the noise
//! level itself, scaled to the range of t so that the time embedding resolves it.

use super::{Recipe, Variant};

pub(super) const VARIANT: Variant = Variant {
    name: "sigma-condition",
    takes: &[],
    recipe: |setting| {
        let condition = format!("sigma*{}", setting.timesteps);
        Ok(Recipe { condition: Some(condition), ..Recipe::plain(&setting.schedule) })
    },
};
