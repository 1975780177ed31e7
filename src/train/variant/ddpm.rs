//! The plain model (Ho et al., arXiv 2006.11239): noised at t, asked about t.

use super::{Recipe, Variant};

pub(super) const VARIANT: Variant =
    Variant { name: "ddpm", takes: &[], recipe: |setting| Ok(Recipe::plain(&setting.schedule)) };
