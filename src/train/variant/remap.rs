//! The remap (arXiv 2306.11251, alternatives to sharing): the condition is a smooth function of t that starts flat; see
//! [`crate::timestep_map::Remap`].

use super::{Recipe, Variant};

pub(super) const VARIANT: Variant = Variant {
    name: "remap",
    takes: &[],
    recipe: |setting| {
        Ok(Recipe { share: Some(format!("remap-until={}", setting.until)), ..Recipe::plain(&setting.schedule) })
    },
};
