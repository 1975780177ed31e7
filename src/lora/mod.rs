//! Low-rank adaptations (LoRA; Hu et al., 2021, arXiv 2106.09685), merged into the weights of a network:
//!
//! W ← W + s (α/r) B A,  with A [r, in, …] (`down`), B [out, r] (`up`), the rank r, α from the file or r, and s from the
//! command line.
//!
//! Convolutions are included: B A then is over flattened kernels. Names are those of diffusers and PEFT, and those of
//! kohya-ss/sd-scripts ([`names`]). Merged is in the dtype that the network computes in.

mod aliases;
mod file;
mod names;

use crate::error::{Doing, Error, Result};
use crate::network::Network;
use crate::report::LoraDescription;
use aliases::Aliases;
use file::Adapter;
use lipscope_core::cli::args::LoraSpec;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tch::{Kind, Tensor};

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
        let found: Vec<Option<&str>> =
            self.adapters.iter().map(|adapter| aliases.layer(&adapter.layer, adapter.flat)).collect();
        let lost: Vec<&Adapter> =
            self.adapters.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(a, _)| a).collect();
        if let Some(first) = lost.first() {
            let problem = format!(
                "{} of its {} layers are none of this {}, the first is `{}`",
                lost.len(),
                self.adapters.len(),
                network.architecture(),
                first.layer
            );
            return Err(Error::file(&self.path, problem, "Give an adaptation that was trained for this network."));
        }
        let _no_grad = tch::no_grad_guard();
        for (adapter, layer) in self.adapters.iter().zip(found.into_iter().flatten()) {
            let Some(weight) = parameters.get(&format!("{layer}.weight")) else { continue };
            self.add(adapter, weight)?;
        }
        Ok(())
    }

    /// W ← W + s (α/r) B A, computed in float32 at least.
    fn add(&self, adapter: &Adapter, weight: &Tensor) -> Result<()> {
        let doing = "merging a low-rank adaptation";
        let (size, wanted) = (weight.size(), weight.numel());
        let (down, up) = (adapter.down.size(), adapter.up.size());
        let rank = down[0];
        let outputs = size.first().copied().unwrap_or(0);
        let fits = up.first() == Some(&outputs)
            && adapter.up.numel() as i64 == outputs * rank
            && adapter.down.numel() * outputs as usize == wanted * rank as usize;
        if !fits {
            let problem = format!(
                "its layer `{}` has factors {up:?} and {down:?}, which do not make the weight {size:?}",
                adapter.layer
            );
            return Err(Error::file(&self.path, problem, "Give an adaptation that was trained for this network."));
        }
        let kind = if weight.kind() == Kind::Double { Kind::Double } else { Kind::Float };
        let matrix = |x: &Tensor, sizes: [i64; 2]| x.f_to_device(weight.device())?.f_to_kind(kind)?.f_reshape(sizes);
        let factor = self.scale * adapter.alpha.map_or(1.0, |alpha| alpha / rank as f64);
        let product =
            matrix(&adapter.up, [outputs, rank]).and_then(|up| up.f_matmul(&matrix(&adapter.down, [rank, -1])?));
        let merged = product.and_then(|product| {
            let change = product.f_mul_scalar(factor)?.f_reshape(&size)?;
            weight.f_to_kind(kind)?.f_add(&change)?.f_to_kind(weight.kind())
        });
        weight.shallow_clone().f_copy_(&merged.doing(doing)?).doing(doing)?;
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
