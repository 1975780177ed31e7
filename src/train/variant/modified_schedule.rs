//! The modified schedule (arXiv 2306.11251, alternatives to sharing): α is changed below t̃ so that dα/dt|₀ = 0, which
//! shifts the SNR there; see [`crate::schedule::FlatStart`].

use super::{Recipe, Variant};

pub(super) const VARIANT: Variant = Variant {
    name: "modified-schedule",
    takes: &[],
    recipe: |setting| {
        let separator = if setting.schedule.contains(':') { ',' } else { ':' };
        Ok(Recipe::plain(&format!("{}{separator}flat-until={}", setting.schedule, setting.until)))
    },
};
