//! A completed checkpoint as a model: its network as a response under its forward process.

use super::Model;
use super::predicted::Predicted;
use crate::denoiser::{AskedNetwork, AuxiliaryNetwork, NetworkDenoiser, PlainNetwork};
use crate::error::{Error, Result};
use crate::guidance::Guidance;
use crate::jumps::NetworkJumps;
use crate::of::Of;
use crate::process::{self, ProcessSpec};
use crate::report::Warning;
use crate::response::Response;
use lipscope_core::cli::args::ModuleOutput;
use lipscope_core::process::not_gaussian;
use std::sync::Arc;

/// A checkpoint that is completed: a model whose network has not yet become a response.
pub(super) struct Resolved {
    pub model: Model<AskedNetwork>,
    pub spec: ProcessSpec,
    pub predicted: Predicted,
    pub guidance: Option<Guidance>,
    pub output: Option<ModuleOutput>,
}

impl Resolved {
    /// The model.
    ///
    /// # Errors
    /// Guidance under a process that has none.
    pub fn into_model(self) -> Result<Model> {
        let Resolved { model, spec, predicted, guidance, output } = self;
        let Model { label, description, response: asked, clip, thresholds, mut warnings } = model;
        let response: Box<dyn Response> = match (&spec, predicted) {
            (ProcessSpec::Gaussian(named), Predicted::Noise(prediction)) => {
                let process = Arc::clone(&named.schedule).into();
                Box::new(NetworkDenoiser { asked, process, prediction, guidance })
            }
            (other, _) if guidance.is_some() => {
                let allowed = "it combines predictions of Gaussian noise, x_t = α x₀ + σ ε";
                let next = "Leave out --guidance, or export a module that guides itself.";
                return Err(Error::unsupported(format!("--guidance under the process {other}"), allowed, next));
            }
            (ProcessSpec::Jump(jump), Predicted::Jumps(output)) => {
                Box::new(NetworkJumps { asked, process: Arc::clone(jump), output, of: Of::Rate }.checked()?)
            }
            (ProcessSpec::LinearGaussian(process), Predicted::Noise(prediction)) => {
                // Of an architecture that lipscope knows, so is what it predicts.
                let known = asked.network.config().is_some();
                let network = AuxiliaryNetwork::new(asked, Arc::clone(process), prediction, output.as_ref())?;
                let named = output.is_some_and(|output| !output.variables.is_empty());
                if let ([one], false) = (&network.names()[..], named || known) {
                    let (what, flag) =
                        (format!("that its output is the noise of {one} alone"), format!("--output {one}=0"));
                    warnings.push(Warning::Assumed { model: label.clone(), what, flag });
                }
                Box::new(network)
            }
            _ => Box::new(PlainNetwork { asked, process: process::of_spec(&spec) }),
        };
        Ok(Model { label, description, response, clip, thresholds, warnings })
    }

    /// Its network as a denoiser.
    ///
    /// # Errors
    /// The process is not Gaussian.
    pub fn into_denoiser(self) -> Result<NetworkDenoiser> {
        let Resolved { model, spec, predicted, guidance, .. } = self;
        let process = Arc::clone(&spec.gaussian("ε(x, t)")?.schedule).into();
        let Predicted::Noise(prediction) = predicted else { return Err(not_gaussian("ε(x, t)", spec.name())) };
        Ok(NetworkDenoiser { asked: model.response, process, prediction, guidance })
    }
}
