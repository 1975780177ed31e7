//! The layers of a diffusion transformer, under the names of either release.

use super::config::{DitConfig, Release};
use super::positions::positions;
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::network::labels::Labels;
use crate::nn::{
    Activation, Conv2d, FeedForward, Init, LayerNorm, Linear, TimeProjection, TimestepEmbedding, TokenAttention,
    TokenAttentionConfig, Weights, modulate,
};
use tch::{Kind, Tensor};

/// Sinusoids of t, cosines first.
const TIME_FEATURES: i64 = 256;

/// The layers in the order of the forward pass.
#[derive(Debug)]
pub(super) struct Layers {
    pub time_proj: TimeProjection,
    /// One for all blocks, or one for each.
    embedders: Vec<Embedder>,
    patches: Conv2d,
    /// [1, N, C]
    pub positions: Tensor,
    blocks: Vec<Block>,
    last: Last,
}

impl Layers {
    pub fn new(config: &DitConfig, weights: &Weights) -> Result<Self> {
        let time_proj = TimeProjection::sinusoid(TIME_FEATURES, true, config.freq_shift, weights.device())?;
        let (hidden, patch) = (config.hidden_size, config.patch_size);
        let (patches, blocks) = match config.release {
            Release::Paper => ("x_embedder.proj", weights.at("blocks")),
            Release::Diffusers => ("pos_embed.proj", weights.at("transformer_blocks")),
        };
        let patches = Conv2d::new(&weights.at(patches), config.in_channels, hidden, patch)?.strided(patch, 0);
        let embedders = match config.release {
            Release::Paper => vec![Embedder::paper(weights, config)?],
            Release::Diffusers => (0..config.depth)
                .map(|i| Embedder::diffusers(&blocks.at(i).at("norm1.emb"), config))
                .collect::<Result<_>>()?,
        };
        Ok(Layers {
            time_proj,
            embedders,
            patches,
            positions: stored_positions(config, weights)?,
            blocks: (0..config.depth).map(|i| Block::new(&blocks.at(i), config)).collect::<Result<_>>()?,
            last: Last::new(weights, config)?,
        })
    }

    /// x [B, in, H, W], the features of t [B, 256] and the labels `[B]` → [B, out, H, W].
    pub fn forward(&self, x: &Dual, features: &Dual, labels: Option<&Tensor>, kind: Kind) -> Result<Dual> {
        let embed = |embedder: &Embedder| {
            let emb = embedder.time.forward(features)?;
            Activation::Silu.forward(&embedder.labels.add_to(emb, labels, &self.time_proj, kind)?)
        };
        let conditions = self.embedders.iter().map(embed).collect::<Result<Vec<_>>>()?;
        // [B, C, G, G] → [B, N, C]
        let tokens = self.patches.forward(x)?.linear(|x| x.f_flatten(2, 3)?.f_transpose(1, 2))?;
        let positions = self.positions.f_to_kind(kind).doing("embedding the places of the patches")?;
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
}

/// The parameter `pos_embed`, or diffusers' computed embedding, which it stores in no file of today.
fn stored_positions(config: &DitConfig, weights: &Weights) -> Result<Tensor> {
    let shape = [1, config.grid() * config.grid(), config.hidden_size];
    if config.release == Release::Paper {
        return weights.tensor("pos_embed", &shape, Init::Normal(0.02));
    }
    match weights.optional("pos_embed.pos_embed", &shape)? {
        Some(stored) => Ok(stored),
        None => positions(config.grid(), config.hidden_size, weights.device()).doing("computing places of patches"),
    }
}

/// From t and the class to the condition of the blocks, before its activation.
#[derive(Debug)]
struct Embedder {
    time: TimestepEmbedding,
    labels: Labels,
}

impl Embedder {
    /// Takes `t_embedder` and `y_embedder`.
    fn paper(weights: &Weights, config: &DitConfig) -> Result<Self> {
        let (time, names) = (weights.at("t_embedder"), ["mlp.0", "mlp.2"]);
        Ok(Embedder {
            time: TimestepEmbedding::named(&time, names, TIME_FEATURES, config.hidden_size)?,
            labels: labels(&weights.at("y_embedder"), config)?,
        })
    }

    /// Takes `timestep_embedder` and `class_embedder`.
    fn diffusers(weights: &Weights, config: &DitConfig) -> Result<Self> {
        let time = weights.at("timestep_embedder");
        Ok(Embedder {
            time: TimestepEmbedding::new(&time, TIME_FEATURES, config.hidden_size)?,
            labels: labels(&weights.at("class_embedder"), config)?,
        })
    }
}

fn labels(weights: &Weights, config: &DitConfig) -> Result<Labels> {
    let shape = [config.class_rows(), config.hidden_size];
    Ok(Labels::Table(weights.at("embedding_table").tensor("weight", &shape, Init::Normal(0.02))?))
}

/// Attention and dense layers, each behind a modulated normalisation and with a gate:
/// x ← x + g₁ ∘ attention(norm(x) (1 + s₁) + b₁),  x ← x + g₂ ∘ mlp(norm(x) (1 + s₂) + b₂).
#[derive(Debug)]
struct Block {
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
            modulation: Linear::new(&weights.at(modulation), hidden, 6 * hidden)?,
            norms: config.norm_eps.map(|epsilon| LayerNorm::plain(hidden, epsilon)),
            attention,
            mlp: FeedForward::new(weights, mlp, [hidden, config.mlp_hidden], config.nonlinearity)?,
        })
    }

    fn forward(&self, x: &Dual, condition: &Dual) -> Result<Dual> {
        let [shift_1, scale_1, gate_1, shift_2, scale_2, gate_2] = chunks(&self.modulation.forward(condition)?)?;
        let h = modulate(&self.norms[0].forward(x)?, &scale_1, &shift_1)?;
        let x = x.add(&self.attention.forward(&h, None)?.mul(&gate_1)?)?;
        let h = modulate(&self.norms[1].forward(&x)?, &scale_2, &shift_2)?;
        x.add(&self.mlp.forward(&h)?.mul(&gate_2)?)
    }
}

/// x [B, N·C] as N parts [B, 1, C], to be broadcast over tokens.
fn chunks<const N: usize>(x: &Dual) -> Result<[Dual; N]> {
    let width = x.value.size().last().copied().unwrap_or(0) / N as i64;
    let mut parts = Vec::with_capacity(N);
    for i in 0..N as i64 {
        parts.push(x.linear(|x| x.f_narrow(1, i * width, width)?.f_unsqueeze(1))?);
    }
    parts.try_into().map_err(|_| crate::error::Error::mismatch("a modulation has lost parts", "Report this."))
}

/// From tokens to the image: linear(norm(x) (1 + s) + b), [B, N, C] → [B, out, H, W].
#[derive(Debug)]
struct Last {
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
        let [modulation, linear] = match config.release {
            Release::Paper => ["final_layer.adaLN_modulation.1", "final_layer.linear"],
            Release::Diffusers => ["proj_out_1", "proj_out_2"],
        };
        Ok(Last {
            modulation: Linear::new(&weights.at(modulation), hidden, 2 * hidden)?,
            norm: LayerNorm::plain(hidden, 1e-6),
            linear: Linear::new(&weights.at(linear), hidden, patch * patch * config.out_channels)?,
            grid: config.grid(),
            patch,
        })
    }

    fn forward(&self, x: &Dual, condition: &Dual) -> Result<Dual> {
        let [shift, scale] = chunks(&self.modulation.forward(condition)?)?;
        let patches = self.linear.forward(&modulate(&self.norm.forward(x)?, &scale, &shift)?)?;
        let (grid, patch) = (self.grid, self.patch);
        // [B, G·G, p·p·out] → [B, G, G, p, p, out] → [B, out, G, p, G, p] → [B, out, H, W]
        patches.linear(|x| {
            let split = x.f_reshape([-1, grid, grid, patch, patch, x.size3()?.2 / (patch * patch)])?;
            split.f_permute([0, 5, 1, 3, 2, 4])?.f_flatten(4, 5)?.f_flatten(2, 3)
        })
    }
}
