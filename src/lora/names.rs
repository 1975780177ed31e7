//! Keys of LoRA files: which layer, and which part of its adaptation.
//!
//! | written by | key |
//! |---|---|
//! | PEFT | `base_model.model.LAYER.lora_A.weight`, `.lora_B.weight` |
//! | diffusers | `unet.LAYER.lora_A.weight`, `transformer.…`, also `.lora.down.weight`, `.lora_linear_layer.up.weight` |
//! | diffusers before 0.21 | `unet.….attn1.processor.to_q_lora.down.weight` |
//! | kohya-ss/sd-scripts | `lora_unet_LAYER.lora_down.weight`, `.lora_up.weight`, `.alpha`, with `_` for every dot of LAYER |

/// A part of one layer's adaptation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A.
    Down,
    /// B.
    Up,
    /// α.
    Alpha,
}

/// What a key names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// A part of a layer of the network; `flat` where the layer's dots are underscores.
    Layer { layer: String, flat: bool, part: Part },
    /// Something of a text encoder.
    TextEncoder,
}

/// Endings of keys, the longest first where one ends another.
const ENDINGS: [(&str, Part); 10] = [
    (".lora_A.weight", Part::Down),
    (".lora_B.weight", Part::Up),
    (".lora.down.weight", Part::Down),
    (".lora.up.weight", Part::Up),
    (".lora_linear_layer.down.weight", Part::Down),
    (".lora_linear_layer.up.weight", Part::Up),
    (".lora_down.weight", Part::Down),
    (".lora_up.weight", Part::Up),
    (".lora_A.default.weight", Part::Down),
    (".lora_B.default.weight", Part::Up),
];

/// Endings of attention processors, behind `processor.to_q`.
const PROCESSOR_ENDINGS: [(&str, Part); 2] = [("_lora.down.weight", Part::Down), ("_lora.up.weight", Part::Up)];

/// What stands before the layers of the network.
const PREFIXES: [&str; 5] =
    ["base_model.model.", "unet.", "transformer.", "model.diffusion_model.", "diffusion_model."];
/// The same where dots are underscores.
const FLAT_PREFIXES: [&str; 2] = ["lora_unet_", "lora_transformer_"];
/// What stands before the layers of text encoders.
const TEXT_ENCODERS: [&str; 7] =
    ["text_encoder.", "text_encoder_2.", "text_encoder_3.", "lora_te_", "lora_te1_", "lora_te2_", "lora_te3_"];

/// What `key` names; `None` where it is no key of a low-rank adaptation.
pub(super) fn parse(key: &str) -> Option<Key> {
    if TEXT_ENCODERS.iter().any(|prefix| key.starts_with(prefix)) {
        return Some(Key::TextEncoder);
    }
    let (layer, part) = split(key)?;
    if let Some(flat) = FLAT_PREFIXES.iter().find_map(|prefix| layer.strip_prefix(prefix)) {
        return Some(Key::Layer { layer: flat.into(), flat: true, part });
    }
    let mut layer = layer.as_str();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| layer.strip_prefix(prefix)) {
        layer = rest;
    }
    Some(Key::Layer { layer: layer.into(), flat: false, part })
}

/// The layer with its prefix, and the part.
fn split(key: &str) -> Option<(String, Part)> {
    let ending = |endings: &[(&'static str, Part)]| {
        endings.iter().find_map(|(ending, part)| Some((key.strip_suffix(ending)?.to_string(), *part)))
    };
    if let Some(found) = ending(&ENDINGS) {
        return Some(found);
    }
    if let Some((processor, part)) = ending(&PROCESSOR_ENDINGS) {
        let (attention, projection) = processor.rsplit_once(".processor.")?;
        // The layer from the heads is the first of two, the other being dropout.
        let projection = if projection == "to_out" { "to_out.0" } else { projection };
        return Some((format!("{attention}.{projection}"), part));
    }
    Some((key.strip_suffix(".alpha")?.to_string(), Part::Alpha))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_writers_keys_are_known() {
        let of = |layer: &str, flat, part| Some(Key::Layer { layer: layer.into(), flat, part });
        let layer = "down_blocks.0.attn1.to_q";
        for (key, part) in [
            ("unet.down_blocks.0.attn1.to_q.lora_A.weight", Part::Down),
            ("base_model.model.down_blocks.0.attn1.to_q.lora_B.weight", Part::Up),
            ("base_model.model.unet.down_blocks.0.attn1.to_q.lora_B.default.weight", Part::Up),
            ("unet.down_blocks.0.attn1.to_q.lora.down.weight", Part::Down),
            ("down_blocks.0.attn1.to_q.lora_linear_layer.up.weight", Part::Up),
            ("unet.down_blocks.0.attn1.processor.to_q_lora.up.weight", Part::Up),
            ("unet.down_blocks.0.attn1.to_q.alpha", Part::Alpha),
        ] {
            assert_eq!(parse(key), of(layer, false, part), "{key}");
        }
        assert_eq!(
            parse("unet.mid.attn2.processor.to_out_lora.down.weight"),
            of("mid.attn2.to_out.0", false, Part::Down)
        );
        let flat = "lora_unet_down_blocks_0_attn1_to_q";
        assert_eq!(parse(&format!("{flat}.lora_up.weight")), of("down_blocks_0_attn1_to_q", true, Part::Up));
        assert_eq!(parse(&format!("{flat}.alpha")), of("down_blocks_0_attn1_to_q", true, Part::Alpha));
        for key in ["lora_te1_text_model.lora_up.weight", "text_encoder.x.lora_A.weight", "lora_te_x.alpha"] {
            assert_eq!(parse(key), Some(Key::TextEncoder), "{key}");
        }
        // LoHa, LoKr, DoRA and LoCon's third factor are other methods.
        for key in [
            "lora_unet_x.hada_w1_a",
            "lora_unet_x.lokr_w1",
            "unet.x.lora_magnitude_vector",
            "lora_unet_x.lora_mid.weight",
            "x.weight",
        ] {
            assert_eq!(parse(key), None, "{key}");
        }
    }
}
