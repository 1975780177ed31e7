//! Where the layers stand in a file: EDM names them by their place (`enc.16x16_block0.conv0`), score_sde counts them in the
//! order of the forward pass (`all_modules.7.Conv_0`), attention by itself.

use super::config::{EdmUNetConfig, Naming};
use crate::error::Result;
use crate::nn::{Fir, Weights};
use std::cell::Cell;
use tch::Tensor;

/// The layers that were not taken yet.
pub(super) struct Names<'a> {
    weights: &'a Weights,
    config: &'a EdmUNetConfig,
    /// The next one of `all_modules`.
    next: Cell<usize>,
    /// The filter of all layers where they have none of their own.
    filter: Option<Fir>,
}

/// What the parts of a block are called: norm0, conv0, affine, norm1, conv1, skip.
pub(super) type Parts = [&'static str; 6];

const EDM: Parts = ["norm0", "conv0", "affine", "norm1", "conv1", "skip"];
const SCORE_SDE: Parts = ["GroupNorm_0", "Conv_0", "Dense_0", "GroupNorm_1", "Conv_1", "Conv_2"];

impl<'a> Names<'a> {
    /// Of all layers behind those of the noise level.
    pub fn new(weights: &'a Weights, config: &'a EdmUNetConfig) -> Result<Self> {
        let filter = match config.naming {
            Naming::Placed => None,
            Naming::Listed => Some(Fir::of_taps(config.filter(), weights.device())?),
        };
        Ok(Names { weights, config, next: Cell::new(config.dense_layer() + 2), filter })
    }

    /// The tensor that is in no file.
    pub fn constant(&self) -> Option<Tensor> {
        self.filter.as_ref().map(Fir::filter)
    }

    fn is_listed(&self) -> bool {
        self.config.naming == Naming::Listed
    }

    /// The next layer; `name` and the `half` that it belongs to are EDM's.
    pub fn layer(&self, half: &str, level: usize, name: &str) -> Weights {
        if !self.is_listed() {
            return self.weights.at(half).at(format!("{0}x{0}_{name}", self.config.resolution(level)));
        }
        self.next_listed()
    }

    /// A layer that has a filter and nothing else: score_sde does not count it.
    pub fn unlisted(&self, half: &str, level: usize, name: &str) -> Weights {
        if self.is_listed() { self.weights.clone() } else { self.layer(half, level, name) }
    }

    /// The next layer, which in EDM's files stands outside encoder and decoder.
    pub fn outer(&self, name: &str) -> Weights {
        if self.is_listed() { self.next_listed() } else { self.weights.at(name) }
    }

    fn next_listed(&self) -> Weights {
        let place = self.next.replace(self.next.get() + 1);
        self.weights.at("all_modules").at(place)
    }

    /// The convolution of a layer that combines two paths.
    pub fn within(&self, layer: Weights, listed: &str) -> Weights {
        if self.is_listed() { layer.at(listed) } else { layer }
    }

    /// The attention behind a block: the block itself in EDM's files, the next layer in score_sde's.
    pub fn attention(&self, block: &Weights) -> Weights {
        if self.is_listed() { self.next_listed() } else { block.clone() }
    }

    pub fn parts(&self) -> Parts {
        if self.is_listed() { SCORE_SDE } else { EDM }
    }

    /// The resampling filter of a layer: a buffer of it, or made of its taps.
    pub fn filter(&self, layer: &Weights) -> Result<Fir> {
        match &self.filter {
            Some(filter) => Ok(filter.shallow_clone()),
            None => Fir::new(layer, self.config.filter()),
        }
    }
}
