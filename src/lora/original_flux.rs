//! The original names (black-forest-labs/flux) of the layers of FLUX, where q, k and v are the outputs of one layer, in
//! single-stream blocks together with those of the dense layer beside attention.

/// The original name of a layer, and its place among those that share it; `None` where it has none. That of the last
/// modulation, whose outputs come in another order, is left out.
pub(super) fn name(layer: &str) -> Option<(String, usize)> {
    if let Some((index, inner)) = block(layer, "transformer_blocks.") {
        let (name, place) = double(inner)?;
        return Some((format!("double_blocks.{index}.{name}"), place));
    }
    if let Some((index, inner)) = block(layer, "single_transformer_blocks.") {
        let (name, place) = single(inner)?;
        return Some((format!("single_blocks.{index}.{name}"), place));
    }
    outer(layer).map(|name| (name.into(), 0))
}

/// The index of a block, and the layer within.
fn block<'a>(layer: &'a str, prefix: &str) -> Option<(usize, &'a str)> {
    let (index, inner) = layer.strip_prefix(prefix)?.split_once('.')?;
    Some((index.parse().ok()?, inner))
}

fn double(inner: &str) -> Option<(&'static str, usize)> {
    Some(match inner {
        "attn.to_q" => ("img_attn.qkv", 0),
        "attn.to_k" => ("img_attn.qkv", 1),
        "attn.to_v" => ("img_attn.qkv", 2),
        "attn.to_out.0" => ("img_attn.proj", 0),
        "attn.add_q_proj" => ("txt_attn.qkv", 0),
        "attn.add_k_proj" => ("txt_attn.qkv", 1),
        "attn.add_v_proj" => ("txt_attn.qkv", 2),
        "attn.to_add_out" => ("txt_attn.proj", 0),
        "ff.net.0.proj" => ("img_mlp.0", 0),
        "ff.net.2" => ("img_mlp.2", 0),
        "ff_context.net.0.proj" => ("txt_mlp.0", 0),
        "ff_context.net.2" => ("txt_mlp.2", 0),
        "norm1.linear" => ("img_mod.lin", 0),
        "norm1_context.linear" => ("txt_mod.lin", 0),
        _ => return None,
    })
}

fn single(inner: &str) -> Option<(&'static str, usize)> {
    Some(match inner {
        "attn.to_q" => ("linear1", 0),
        "attn.to_k" => ("linear1", 1),
        "attn.to_v" => ("linear1", 2),
        "proj_mlp" => ("linear1", 3),
        "proj_out" => ("linear2", 0),
        "norm.linear" => ("modulation.lin", 0),
        _ => return None,
    })
}

fn outer(layer: &str) -> Option<&'static str> {
    Some(match layer {
        "x_embedder" => "img_in",
        "context_embedder" => "txt_in",
        "time_text_embed.timestep_embedder.linear_1" => "time_in.in_layer",
        "time_text_embed.timestep_embedder.linear_2" => "time_in.out_layer",
        "time_text_embed.text_embedder.linear_1" => "vector_in.in_layer",
        "time_text_embed.text_embedder.linear_2" => "vector_in.out_layer",
        "time_text_embed.guidance_embedder.linear_1" => "guidance_in.in_layer",
        "time_text_embed.guidance_embedder.linear_2" => "guidance_in.out_layer",
        "proj_out" => "final_layer.linear",
        _ => return None,
    })
}
