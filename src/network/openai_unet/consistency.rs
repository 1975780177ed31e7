//! OpenAI's consistency models (Song et al., 2023, arXiv 2303.01469; openai/consistency_models), and the EDMs that they are
//! distilled from: guided-diffusion's network, whose attention has 2-D convolutions and q of all heads first. It gets
//! 250 ln σ, a thousand times EDM's c_noise. No shape tells the two apart.

use crate::error::{Error, Result};
use crate::network::recognise::{Evidence, Shapes, Told, Usage, Use};
use crate::preconditioning::{Consistency, Edm};
use crate::prediction::Prediction;

/// How they are used.
pub(super) const USAGE: Usage = Usage {
    buffers: &[],
    read: |evidence| if is_consistency_model(evidence.shapes) { read(evidence).map(Some) } else { Ok(None) },
};

/// Whether the kernels of the attention have two axes; guided-diffusion's have one.
pub(super) fn is_consistency_model(shapes: &Shapes) -> bool {
    let mut kernels = shapes.names().filter(|name| name.ends_with(".qkv.weight"));
    kernels.any(|name| shapes.get(name).is_ok_and(|shape| shape.len() == 4))
}

fn read(evidence: &Evidence) -> Result<Use> {
    let prediction = match (model(evidence.told)?, evidence.prediction_said) {
        (None, true) => None,
        (None, false) => return Err(unsaid()),
        (found, _) => found,
    };
    Ok(Use { schedule: "edm".parse()?, prediction, conditioning: "c-noise*1000".parse()? })
}

fn model(told: &Told) -> Result<Option<Prediction>> {
    let Some(value) = told.get("model") else { return Ok(None) };
    match value.as_str() {
        Some("consistency") => Ok(Some(Prediction::Consistency(Consistency::PUBLISHED))),
        Some("edm") => Ok(Some(Prediction::Edm(Edm::default()))),
        _ => Err(Error::argument("--config", format!("model={value}"), "it is consistency or edm", "Correct it.")),
    }
}

fn unsaid() -> Error {
    Error::mismatch(
        "whether it is a consistency model or an EDM cannot be inferred from the weight shapes",
        "Say it with --config model=consistency (likely: consistency for cd_*.pt and ct_*.pt, edm for edm_*.pt).",
    )
}
