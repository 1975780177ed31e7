//! From a distribution to its closed form, by its forward process.

use super::Model;
use super::resolve::{DEFAULT_SCHEDULE, Derivatives, Setting, describe, map};
use crate::clean_data::Ideal;
use crate::device::dtype_name;
use crate::error::{Error, Result};
use crate::ideal::{IdealDenoiser, IdealJumps, IdealNoise};
use crate::jumps::Output;
use crate::of::Of;
use crate::prediction::Prediction;
use crate::process::{self, ProcessSpec};
use crate::report::ModelDescription;
use crate::response::Response;
use lipscope_core::cli::args::Share;
use std::sync::Arc;
use tch::Kind;

/// Completes a closed form; `share` is laid over it.
///
/// # Errors
/// There is none under its process.
pub(super) fn resolve_ideal(
    ideal: Ideal,
    argument: &str,
    label: String,
    setting: &Setting,
    share: Option<&Share>,
) -> Result<Model> {
    let Setting { shape, overrides, device, derivatives: Derivatives { in_time, in_x }, .. } = *setting;
    let spec = match (&overrides.schedule, &setting.ideal_process) {
        (Some(spec), _) | (None, Some(spec)) => spec.clone(),
        (None, None) => DEFAULT_SCHEDULE.parse()?,
    };
    let map = map(share, spec.timesteps())?;
    let jumps = matches!(spec, ProcessSpec::Jump(_));
    let description = ModelDescription {
        source: argument.to_string(),
        sha256: ideal.data.description.get("sha256").and_then(|v| v.as_str()).map(str::to_string),
        format: "closed-form".into(),
        architecture: if jumps { "exact law of the data" } else { "ideal denoiser" }.into(),
        parameters: 0,
        prediction: if jumps { Output::LogRatio.name() } else { Prediction::Epsilon.name() }.into(),
        conditioning: process::of_spec(&spec).conditioning().to_string(),
        dtype: dtype_name(Kind::Double).into(),
        derivative: (in_time && !in_x).then(|| "closed form".into()),
        ..describe(&spec, &*map, shape)
    };
    let response: Box<dyn Response> = match &spec {
        ProcessSpec::Gaussian(named) => Box::new(IdealDenoiser {
            distribution: ideal.distribution,
            process: Arc::clone(&named.schedule).into(),
            map,
            sample_shape: shape.to_vec(),
            device,
        }),
        ProcessSpec::Jump(jump) => {
            let law = crate::jumps::law(&ideal.data, jump)?;
            let (process, sample_shape) = (Arc::clone(jump), shape.to_vec());
            Box::new(IdealJumps { law, process, map, sample_shape, device, of: Of::Rate })
        }
        ProcessSpec::LinearGaussian(process) => Box::new(IdealNoise {
            distribution: ideal.distribution,
            process: Arc::clone(process),
            map,
            sample_shape: shape.to_vec(),
            device,
        }),
        ProcessSpec::Unnoised(_) => {
            let what = format!("a closed form without noise ({spec})");
            return Err(Error::unsupported(
                what,
                "there is no denoiser where nothing is noised",
                "Measure a checkpoint.",
            ));
        }
    };
    Ok(Model { label, description, response, clip: None, thresholds: false, warnings: Vec::new() })
}
