//! The network under the names of its releases: x [B, L] and σ `[B]` → [B, L, V].

use super::config::{Output, SeddConfig};
use super::output::{log_ratios, log_x0, scaled_by_sigma};
use super::rotary::{Rotary, Turns};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::network::native::{Facts, Inputs, Layers};
use crate::network::{Additions, InputShape, STANDS_STILL};
use crate::nn::{
    Activation, FeedForward, Init, LayerNorm, Linear, Nonlinearity, TimeProjection, TimeSignal, TimestepEmbedding,
    Weights, attend, chunks, modulate,
};
use serde_json::Value;
use std::path::Path;
use tch::{Kind, TchError, Tensor};

/// Sinusoids of σ, cosines first.
const TIME_FEATURES: i64 = 256;
/// Hidden channels of the dense layers of a block for each of a token's.
const MLP_RATIO: i64 = 4;
/// ε of the normalisations, PyTorch's default.
const EPSILON: f64 = 1e-5;
/// Where σ enters the output past its features.
const SCALE: &str = "scale_by_sigma";

/// The layers in the order of the forward pass.
#[derive(Debug)]
pub(super) struct SeddLayers {
    /// A row of it for each symbol, [V, C].
    symbols: Tensor,
    sigma: TimestepEmbedding,
    /// Whether the network is told σ.
    time_conditioning: bool,
    rotary: Rotary,
    blocks: Vec<Block>,
    last: Last,
    output: Output,
    states: i64,
}

impl Layers for SeddLayers {
    type Config = SeddConfig;

    fn read(json: &Value, path: &Path) -> Result<SeddConfig> {
        SeddConfig::from_json(json, path)
    }

    fn facts(config: &SeddConfig) -> Facts {
        Facts {
            architecture: config.class_name,
            config: config.json.clone(),
            // Positions are rotations, of which there are as many as are wanted.
            input: InputShape {
                sample: config.length.map(|length| vec![length]),
                resizable: true,
                ..InputShape::default()
            },
            size_factor: 1,
            classes: None,
            null_label: None,
            context_width: None,
            additions: Additions::default(),
            first_weight: "vocab_embed.embedding",
            // Not of σ but of positions, with which it is the same.
            frequencies: Some("rotary_emb.inv_freq"),
        }
    }

    fn symbols(config: &SeddConfig) -> Option<i64> {
        Some(config.states)
    }

    fn notes(config: &SeddConfig) -> Vec<String> {
        let still = (!config.time_conditioning).then(|| STANDS_STILL.to_string());
        still.into_iter().collect()
    }

    fn time_projection(_config: &SeddConfig, weights: &Weights) -> Result<TimeProjection> {
        TimeProjection::sinusoid(TIME_FEATURES, true, 0.0, weights.device())
    }

    fn new(config: &SeddConfig, weights: &Weights) -> Result<Self> {
        let (states, hidden, blocks) = (config.states, config.hidden_size, weights.at("blocks"));
        Ok(SeddLayers {
            symbols: weights.at("vocab_embed").tensor("embedding", &[states, hidden], Init::FanIn(hidden))?,
            sigma: TimestepEmbedding::named(&weights.at("sigma_map.mlp"), ["0", "2"], TIME_FEATURES, config.cond_dim)?,
            time_conditioning: config.time_conditioning,
            rotary: Rotary::new(&weights.at("rotary_emb"), config.head_dim())?,
            blocks: (0..config.blocks).map(|i| Block::new(&blocks.at(i), config)).collect::<Result<_>>()?,
            last: Last::new(&weights.at("output_layer"), config)?,
            output: config.output,
            states,
        })
    }

    fn forward(&self, inputs: &Inputs) -> Result<Dual> {
        let x = inputs.x.value.f_to_kind(Kind::Int64).doing("reading symbols")?;
        let condition = match self.time_conditioning {
            true => inputs.signal(self.condition(inputs.features)?),
            false => inputs.signal(self.condition(&at_zero(inputs.features).doing("embedding σ = 0")?)?),
        };
        let mut h = Dual::constant(self.embed(&x).doing("embedding symbols")?);
        let turns = self.rotary.turns(x.size().last().copied().unwrap_or(0), h.value.kind())?;
        for block in &self.blocks {
            h = block.forward(&h, &turns, &condition)?;
        }
        let y = self.last.forward(&h, &condition)?;
        match self.output {
            Output::LogRatio { scale_by_sigma: true } => log_ratios(&scaled_by_sigma(&y, &inputs.time_at(SCALE))?, &x),
            Output::LogRatio { scale_by_sigma: false } => log_ratios(&y, &x),
            Output::LogX0 => log_x0(&y, &x, self.states - 1),
        }
    }

    fn constants(&self) -> Vec<(String, Tensor)> {
        self.rotary.constant().map(|omega| ("rotary_emb.inv_freq".into(), omega)).into_iter().collect()
    }
}

impl SeddLayers {
    /// c = SiLU(MLP(features)), [B, E].
    fn condition(&self, features: &Dual) -> Result<Dual> {
        Activation::Silu.forward(&self.sigma.forward(features)?)
    }

    /// [B, L] → [B, L, C].
    fn embed(&self, x: &Tensor) -> std::result::Result<Tensor, TchError> {
        Tensor::f_embedding(&self.symbols, x, -1, false, false)
    }
}

/// The features [B, F] of σ = 0 in place of those of σ: cosines are 1, and sines 0.
fn at_zero(features: &Dual) -> std::result::Result<Dual, TchError> {
    let half = TIME_FEATURES / 2;
    let cosines = features.value.f_narrow(1, 0, half)?.f_ones_like()?;
    Ok(Dual::constant(Tensor::f_cat(&[&cosines, &cosines.f_zeros_like()?], 1)?))
}

/// Attention and dense layers, each behind a modulated normalisation and with a gate:
/// h ← h + g₁ ∘ attention(norm(h) (1 + s₁) + b₁),  h ← h + g₂ ∘ mlp(norm(h) (1 + s₂) + b₂).
#[derive(Debug)]
struct Block {
    site: String,
    /// To b₁, s₁, g₁, b₂, s₂, g₂.
    modulation: Linear,
    norms: [LayerNorm; 2],
    /// To q, k and v of all heads, one behind the other.
    qkv: Linear,
    out: Linear,
    heads: i64,
    head_dim: i64,
    mlp: FeedForward,
}

impl Block {
    fn new(weights: &Weights, config: &SeddConfig) -> Result<Self> {
        let hidden = config.hidden_size;
        let norm = |name: &str| LayerNorm::scaled(&weights.at(name), hidden, EPSILON);
        let activation = Nonlinearity::Pointwise(Activation::GeluTanh);
        Ok(Block {
            site: weights.name().into(),
            modulation: Linear::new(&weights.at("adaLN_modulation"), config.cond_dim, 6 * hidden)?,
            norms: [norm("norm1")?, norm("norm2")?],
            qkv: Linear::without_bias(&weights.at("attn_qkv"), hidden, 3 * hidden)?,
            out: Linear::without_bias(&weights.at("attn_out"), hidden, hidden)?,
            heads: config.heads,
            head_dim: config.head_dim(),
            mlp: FeedForward::new(&weights.at("mlp"), ["0", "2"], [hidden, MLP_RATIO * hidden], activation)?,
        })
    }

    fn forward(&self, h: &Dual, turns: &Turns, condition: &TimeSignal) -> Result<Dual> {
        let [shift_1, scale_1, gate_1, shift_2, scale_2, gate_2] =
            chunks(&self.modulation.forward(condition.at(&self.site))?)?;
        let normal = modulate(&self.norms[0].forward(h)?, &scale_1, &shift_1)?;
        let h = h.add(&self.attention(&normal, turns)?.mul(&gate_1)?)?;
        let normal = modulate(&self.norms[1].forward(&h)?, &scale_2, &shift_2)?;
        h.add(&self.mlp.forward(&normal)?.mul(&gate_2)?)
    }

    /// [B, L, C] → [B, L, C].
    fn attention(&self, h: &Dual, turns: &Turns) -> Result<Dual> {
        let all = self.qkv.forward(h)?;
        // [B, L, 3·h·d] → [B, h, L, d]
        let part =
            |i| all.linear(|x| x.f_unflatten(2, [3, self.heads, self.head_dim])?.f_select(2, i)?.f_transpose(1, 2));
        let (query, key) = (turns.rotate(&part(0)?)?, turns.rotate(&part(1)?)?);
        let out = attend(&query, &key, &part(2)?).doing("applying attention")?;
        // [B, h, L, d] → [B, L, h·d]
        self.out.forward(&out.linear(|x| x.f_transpose(1, 2)?.f_flatten(2, 3))?)
    }
}

/// From tokens to symbols: linear(norm(h) (1 + s) + b), [B, L, C] → [B, L, V].
#[derive(Debug)]
struct Last {
    site: String,
    /// To b and s.
    modulation: Linear,
    norm: LayerNorm,
    linear: Linear,
}

impl Last {
    fn new(weights: &Weights, config: &SeddConfig) -> Result<Self> {
        let hidden = config.hidden_size;
        Ok(Last {
            site: weights.name().into(),
            modulation: Linear::new(&weights.at("adaLN_modulation"), config.cond_dim, 2 * hidden)?,
            norm: LayerNorm::scaled(&weights.at("norm_final"), hidden, EPSILON)?,
            linear: Linear::new(&weights.at("linear"), hidden, config.states)?,
        })
    }

    fn forward(&self, h: &Dual, condition: &TimeSignal) -> Result<Dual> {
        let [shift, scale] = chunks(&self.modulation.forward(condition.at(&self.site))?)?;
        self.linear.forward(&modulate(&self.norm.forward(h)?, &scale, &shift)?)
    }
}
