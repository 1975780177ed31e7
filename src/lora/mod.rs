//! Low-rank adaptations (LoRA; Hu et al., 2021, arXiv 2106.09685), merged into the weights of a network:
//!
//! W ← W + s (α/r) B A,  with A [r, in, …] (`down`), B [out, r] (`up`), the rank r, α from the file or r, and s from the
//! command line.
//!
//! Convolutions are included: B A then is over flattened kernels. Names are those of diffusers and PEFT, and those of
//! kohya-ss/sd-scripts (`names`). Merged is in the dtype that the network computes in.

mod aliases;
mod file;
mod names;
mod original_flux;
mod original_unet;

use crate::error::{Doing, Error, Result};
use crate::network::Network;
use crate::report::LoraDescription;
use aliases::Aliases;
use file::Adapter;
use lipscope_core::cli::args::LoraSpec;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tch::{Kind, TchError, Tensor};

/// An adaptation, read and not yet merged.
pub struct Lora {
    path: PathBuf,
    scale: f64,
    sha256: String,
    adapters: Vec<Adapter>,
    /// Keys of text encoders.
    ignored: usize,
}

impl Lora {
    /// Merges it into a network, in place.
    ///
    /// # Errors
    /// A layer of the adaptation that the network does not have, or that has another shape.
    pub fn merge(&self, network: &dyn Network) -> Result<()> {
        if network.config().is_none() {
            let what = format!("--lora with a {}", network.architecture());
            let allowed = "it is merged into the weights of networks that lipscope loads natively";
            return Err(Error::unsupported(
                what,
                allowed,
                "Merge it before the export, or give the model's own folder.",
            ));
        }
        let parameters: BTreeMap<String, Tensor> = network.parameters().into_iter().collect();
        let aliases = Aliases::of(parameters.keys().map(String::as_str));
        let found: Vec<Vec<&str>> =
            self.adapters.iter().map(|adapter| aliases.layers(&adapter.layer, adapter.flat)).collect();
        self.refuse_lost(&found, network)?;
        let _no_grad = tch::no_grad_guard();
        for (adapter, layers) in self.adapters.iter().zip(found) {
            let weights = layers.iter().filter_map(|layer| parameters.get(&format!("{layer}.weight")));
            self.add(adapter, &weights.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    fn refuse_lost(&self, found: &[Vec<&str>], network: &dyn Network) -> Result<()> {
        let all = self.adapters.iter().zip(found);
        let lost: Vec<&Adapter> = all.filter(|(_, layers)| layers.is_empty()).map(|(adapter, _)| adapter).collect();
        let Some(first) = lost.first() else { return Ok(()) };
        let problem = format!(
            "{} of its {} layers are none of this {}, the first is `{}`",
            lost.len(),
            self.adapters.len(),
            network.architecture(),
            first.layer
        );
        Err(Error::file(&self.path, problem, "Give an adaptation that was trained for this network."))
    }

    /// W ← W + s (α/r) B A, computed in float32 at least. Of several weights each has so many rows of B.
    fn add(&self, adapter: &Adapter, weights: &[&Tensor]) -> Result<()> {
        let doing = "merging a low-rank adaptation";
        let rank = adapter.down.size()[0];
        let outputs = |weight: &Tensor| weight.size().first().copied().unwrap_or(0);
        let fits = |weight: &&Tensor| adapter.down.numel() as i64 * outputs(weight) == weight.numel() as i64 * rank;
        let rows: i64 = weights.iter().map(|weight| outputs(weight)).sum();
        if adapter.up.size()[0] != rows || adapter.up.numel() as i64 != rows * rank || !weights.iter().all(fits) {
            let sizes: Vec<Vec<i64>> = weights.iter().map(|weight| weight.size()).collect();
            let sizes: Vec<String> = sizes.iter().map(|size| format!("{size:?}")).collect();
            let (up, down) = (adapter.up.size(), adapter.down.size());
            let problem = format!(
                "its layer `{}` has factors {up:?} and {down:?}, which do not make the weight {}",
                adapter.layer,
                sizes.join(" over ")
            );
            return Err(Error::file(&self.path, problem, "Give an adaptation that was trained for this network."));
        }
        let factor = self.scale * adapter.alpha.map_or(1.0, |alpha| alpha / rank as f64);
        let mut first = 0;
        for weight in weights {
            let up = adapter.up.f_narrow(0, first, outputs(weight)).doing(doing)?;
            first += outputs(weight);
            let merged = added(weight, &up, &adapter.down, factor).doing(doing)?;
            weight.shallow_clone().f_copy_(&merged).doing(doing)?;
        }
        Ok(())
    }

    /// What a report says about it.
    pub fn description(&self) -> LoraDescription {
        LoraDescription {
            source: self.path.display().to_string(),
            sha256: self.sha256.clone(),
            scale: self.scale,
            layers: self.adapters.len(),
        }
    }

    /// What a reader must know: what was merged, and what of the file was not.
    pub fn note(&self) -> String {
        let merged =
            format!("{} layers of {} were merged with scale {}", self.adapters.len(), self.path.display(), self.scale);
        match self.ignored {
            0 => format!("{merged}."),
            ignored => format!("{merged}; {ignored} tensors of text encoders in it are ignored: the context is given."),
        }
    }

    /// Reads the files.
    pub fn open_all(specs: &[LoraSpec]) -> Result<Vec<Lora>> {
        specs.iter().map(Lora::open).collect()
    }
}

/// W + factor · B A in the dtype of W.
fn added(weight: &Tensor, up: &Tensor, down: &Tensor, factor: f64) -> std::result::Result<Tensor, TchError> {
    let kind = if weight.kind() == Kind::Double { Kind::Double } else { Kind::Float };
    let rank = down.size()[0];
    let matrix = |x: &Tensor, sizes: [i64; 2]| x.f_to_device(weight.device())?.f_to_kind(kind)?.f_reshape(sizes);
    let product = matrix(up, [-1, rank])?.f_matmul(&matrix(down, [rank, -1])?)?;
    let change = product.f_mul_scalar(factor)?.f_reshape(weight.size())?;
    weight.f_to_kind(kind)?.f_add(&change)?.f_to_kind(weight.kind())
}
