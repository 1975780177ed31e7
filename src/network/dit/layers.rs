//! The network under the names of either release: x [B, in, H, W], t [B] and labels [B] → [B, out, H, W].

use super::config::{DitConfig, Release};
use super::positions::positions;
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::network::condition::{Embedder, Labels};
use crate::network::native::{Facts, Inputs, Layers};
use crate::network::{Additions, InputShape};
use crate::nn::{
    Activation, Conv2d, FeedForward, Init, LayerNorm, Linear, TimeProjection, TimeSignal, TimestepEmbedding,
    TokenAttention, TokenAttentionConfig, Weights, chunks, modulate, to_tokens,
};
use serde_json::Value;
use std::path::Path;
use tch::Tensor;

/// Sinusoids of t, cosines first.
const TIME_FEATURES: i64 = 256;

/// The layers in the order of the forward pass.
#[derive(Debug)]
pub(super) struct DitLayers {
    /// One for all blocks, or one for each.
    embedders: Vec<Embedder>,
    patches: Conv2d,
    positions: Positions,
    blocks: Vec<Block>,
    last: Last,
}

/// The embedding of the places of the patches [1, N, C].
#[derive(Debug)]
enum Positions {
    /// A parameter.
    Stored(Tensor),
    Computed(Tensor),
}

impl Layers for DitLayers {
    type Config = DitConfig;

    fn read(json: &Value, path: &Path) -> Result<DitConfig> {
        DitConfig::from_json(json, path)
    }

    fn facts(config: &DitConfig) -> Facts {
        let (channels, size) = (config.in_channels, [config.input_size; 2]);
        let first_weight = match config.release {
            Release::Paper => "x_embedder.proj.weight",
            Release::Diffusers => "pos_embed.proj.weight",
        };
        Facts {
            architecture: config.class_name,
            config: config.json.clone(),
            // The places of patches are learned or computed for one size.
            input: InputShape { resizable: false, ..InputShape::images(channels, Some(size)) },
            size_factor: config.patch_size,
            classes: Some(config.classes),
            null_label: config.null_class.then_some(config.classes),
            context_width: None,
            additions: Additions::default(),
            first_weight,
            frequencies: None,
        }
    }

    fn time_projection(config: &DitConfig, weights: &Weights) -> Result<TimeProjection> {
        TimeProjection::sinusoid(TIME_FEATURES, true, config.freq_shift, weights.device())
    }

    fn new(config: &DitConfig, weights: &Weights) -> Result<Self> {
        let (hidden, patch) = (config.hidden_size, config.patch_size);
        let (patches, blocks) = match config.release {
            Release::Paper => ("x_embedder.proj", weights.at("blocks")),
            Release::Diffusers => ("pos_embed.proj", weights.at("transformer_blocks")),
        };
        let patches = Conv2d::new(&weights.at(patches), config.in_channels, hidden, patch)?.strided(patch, 0);
        let in_blocks = |i| embedder(&blocks.at(i).at("norm1.emb"), config);
        let embedders = match config.release {
            Release::Paper => vec![embedder(weights, config)?],
            Release::Diffusers => (0..config.depth).map(in_blocks).collect::<Result<_>>()?,
        };
        Ok(DitLayers {
            embedders,
            patches,
            positions: Positions::new(config, weights)?,
            blocks: (0..config.depth).map(|i| Block::new(&blocks.at(i), config)).collect::<Result<_>>()?,
            last: Last::new(weights, config)?,
        })
    }

    fn forward(&self, inputs: &Inputs) -> Result<Dual> {
        let embed = |embedder: &Embedder| -> Result<TimeSignal> {
            let embedding = embedder.forward(inputs.features, inputs.labels)?;
            Ok(inputs.signal(Activation::Silu.forward(&embedding)?))
        };
        let conditions = self.embedders.iter().map(embed).collect::<Result<Vec<_>>>()?;
        let tokens = to_tokens(&self.patches.forward(inputs.x)?)?;
        let (Positions::Stored(positions) | Positions::Computed(positions)) = &self.positions;
        let positions = positions.f_to_kind(tokens.value.kind()).doing("embedding the places of the patches")?;
        let mut h = tokens.add(&Dual::constant(positions))?;
        // With a single condition, it is that of every block.
        for (block, condition) in self.blocks.iter().zip(conditions.iter().cycle()) {
            h = block.forward(&h, condition)?;
        }
        match conditions.first() {
            Some(condition) => self.last.forward(&h, condition),
            None => Ok(h),
        }
    }

    fn constants(&self) -> Vec<(String, Tensor)> {
        match &self.positions {
            Positions::Stored(_) => Vec::new(),
            Positions::Computed(positions) => vec![("positions".into(), positions.shallow_clone())],
        }
    }
}

impl Positions {
    /// The parameter `pos_embed`, or diffusers' computed embedding, which it stores in no file of today.
    fn new(config: &DitConfig, weights: &Weights) -> Result<Self> {
        let shape = [1, config.grid() * config.grid(), config.hidden_size];
        if config.release == Release::Paper {
            return Ok(Positions::Stored(weights.tensor("pos_embed", &shape, Init::Normal(0.02))?));
        }
        if let Some(stored) = weights.optional("pos_embed.pos_embed", &shape)? {
            return Ok(Positions::Stored(stored));
        }
        let computed = positions(config.grid(), config.hidden_size, weights.device());
        Ok(Positions::Computed(computed.doing("computing places of patches")?))
    }
}

/// From t and the class to the condition of the blocks, before its activation. Takes `t_embedder` and `y_embedder`, or
/// diffusers' `timestep_embedder` and `class_embedder`.
fn embedder(weights: &Weights, config: &DitConfig) -> Result<Embedder> {
    let (time, dense, labels) = match config.release {
        Release::Paper => ("t_embedder", ["mlp.0", "mlp.2"], "y_embedder"),
        Release::Diffusers => ("timestep_embedder", ["linear_1", "linear_2"], "class_embedder"),
    };
    let (table, hidden) = (weights.at(labels).at("embedding_table"), config.hidden_size);
    Ok(Embedder {
        time: TimestepEmbedding::named(&weights.at(time), dense, TIME_FEATURES, hidden)?,
        labels: Labels::table(&table, config.class_rows(), hidden, Init::Normal(0.02))?,
    })
}

/// Attention and dense layers, each behind a modulated normalisation and with a gate:
/// x ← x + g₁ ∘ attention(norm(x) (1 + s₁) + b₁),  x ← x + g₂ ∘ mlp(norm(x) (1 + s₂) + b₂).
#[derive(Debug)]
struct Block {
    site: String,
    /// To b₁, s₁, g₁, b₂, s₂, g₂.
    modulation: Linear,
    norms: [LayerNorm; 2],
    attention: TokenAttention,
    mlp: FeedForward,
}

impl Block {
    fn new(weights: &Weights, config: &DitConfig) -> Result<Self> {
        let hidden = config.hidden_size;
        let (modulation, mlp) = match config.release {
            Release::Paper => ("adaLN_modulation.1", ["mlp.fc1", "mlp.fc2"]),
            Release::Diffusers => ("norm1.linear", ["ff.net.0.proj", "ff.net.2"]),
        };
        let attention = match config.release {
            Release::Paper => TokenAttention::fused(&weights.at("attn"), hidden, config.heads)?,
            Release::Diffusers => {
                let (heads, head_dim) = (config.heads, hidden / config.heads);
                let bias = config.attention_bias;
                let layer = TokenAttentionConfig { width: hidden, context_width: hidden, heads, head_dim, bias };
                TokenAttention::new(&weights.at("attn1"), ["to_q", "to_k", "to_v", "to_out.0"], &layer)?
            }
        };
        Ok(Block {
            site: weights.name().into(),
            modulation: Linear::new(&weights.at(modulation), hidden, 6 * hidden)?,
            norms: config.norm_eps.map(|epsilon| LayerNorm::plain(hidden, epsilon)),
            attention,
            mlp: FeedForward::new(weights, mlp, [hidden, config.mlp_hidden], config.nonlinearity)?,
        })
    }

    fn forward(&self, x: &Dual, condition: &TimeSignal) -> Result<Dual> {
        let [shift_1, scale_1, gate_1, shift_2, scale_2, gate_2] =
            chunks(&self.modulation.forward(condition.at(&self.site))?)?;
        let h = modulate(&self.norms[0].forward(x)?, &scale_1, &shift_1)?;
        let x = x.add(&self.attention.forward(&h, None)?.mul(&gate_1)?)?;
        let h = modulate(&self.norms[1].forward(&x)?, &scale_2, &shift_2)?;
        x.add(&self.mlp.forward(&h)?.mul(&gate_2)?)
    }
}

/// From tokens to the image: linear(norm(x) (1 + s) + b), [B, N, C] → [B, out, H, W].
#[derive(Debug)]
struct Last {
    site: &'static str,
    /// To b and s.
    modulation: Linear,
    norm: LayerNorm,
    linear: Linear,
    grid: i64,
    patch: i64,
}

impl Last {
    fn new(weights: &Weights, config: &DitConfig) -> Result<Self> {
        let (hidden, patch) = (config.hidden_size, config.patch_size);
        let [site, modulation, linear] = match config.release {
            Release::Paper => ["final_layer", "final_layer.adaLN_modulation.1", "final_layer.linear"],
            Release::Diffusers => ["proj_out_1", "proj_out_1", "proj_out_2"],
        };
        Ok(Last {
            site,
            modulation: Linear::new(&weights.at(modulation), hidden, 2 * hidden)?,
            norm: LayerNorm::plain(hidden, 1e-6),
            linear: Linear::new(&weights.at(linear), hidden, patch * patch * config.out_channels)?,
            grid: config.grid(),
            patch,
        })
    }

    fn forward(&self, x: &Dual, condition: &TimeSignal) -> Result<Dual> {
        let [shift, scale] = chunks(&self.modulation.forward(condition.at(self.site))?)?;
        let patches = self.linear.forward(&modulate(&self.norm.forward(x)?, &scale, &shift)?)?;
        let (grid, patch) = (self.grid, self.patch);
        // [B, G·G, p·p·out] → [B, G, G, p, p, out] → [B, out, G, p, G, p] → [B, out, H, W]
        patches.linear(|x| {
            let split = x.f_reshape([-1, grid, grid, patch, patch, x.size3()?.2 / (patch * patch)])?;
            split.f_permute([0, 5, 1, 3, 2, 4])?.f_flatten(4, 5)?.f_flatten(2, 3)
        })
    }
}
