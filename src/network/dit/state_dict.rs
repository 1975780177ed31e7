//! From the names and shapes of a state dict of the paper's release to its configuration.

use crate::error::{Error, Result};
use crate::network::recognise::{Shapes, StateDict, Told};
use serde_json::{Value, json};

pub(super) const STATE_DICT: StateDict = StateDict {
    known_as: "DiT",
    anchors: &[
        "x_embedder.proj.weight",
        "pos_embed",
        "t_embedder.mlp.0.weight",
        "y_embedder.embedding_table.weight",
        "blocks.0.attn.qkv.weight",
        "blocks.0.mlp.fc1.weight",
        "blocks.0.adaLN_modulation.1.weight",
        "final_layer.adaLN_modulation.1.weight",
    ],
    config,
    note,
    usage: None,
};

/// What DiT was taken for: nothing in a file tells it from SiT.
fn note(told: &Told) -> Option<String> {
    told.get("sit").is_none().then(|| {
        "parameters of DiT and of SiT have the same names, and it is taken for DiT, which gets the step and predicts ε; pass \
         --config sit=true for SiT, which gets 1 − u and predicts the velocity x₀ − ε, or sit=false to confirm."
            .into()
    })
}

/// The published sizes S, B, L and XL: hidden size, depth, heads.
const PUBLISHED: [[i64; 3]; 4] = [[384, 12, 6], [768, 12, 12], [1024, 24, 16], [1152, 28, 16]];

/// Rows of the table of classes of a network trained on ImageNet: 1000 classes and none.
const IMAGENET_ROWS: i64 = 1001;

fn config(shapes: &Shapes, told: &Told) -> Result<Value> {
    let patches = "x_embedder.proj.weight";
    let (hidden, in_channels, patch) = (shapes.size(patches, 0)?, shapes.size(patches, 1)?, shapes.size(patches, 2)?);
    let depth = shapes.count("blocks.") as i64;
    let (classes, null_class) = classes(shapes, told)?;
    Ok(json!({
        "_class_name": if told.flag("sit")?.unwrap_or(false) { "SiT" } else { "DiT" },
        "input_size": grid(shapes)? * patch,
        "patch_size": patch,
        "in_channels": in_channels,
        "hidden_size": hidden,
        "depth": depth,
        "num_heads": heads(hidden, depth, told)?,
        "mlp_ratio": shapes.size("blocks.0.mlp.fc1.weight", 0)? as f64 / hidden.max(1) as f64,
        "class_dropout_prob": if null_class { 0.1 } else { 0.0 },
        "num_classes": classes,
        "learn_sigma": learns_sigma(shapes, in_channels, patch)?,
    }))
}

/// Patches along a side; all of the release's networks are square.
fn grid(shapes: &Shapes) -> Result<i64> {
    let tokens = shapes.size("pos_embed", 1)?;
    let side = (tokens.max(0) as f64).sqrt().round() as i64;
    if side > 0 && side * side == tokens {
        return Ok(side);
    }
    let next = "Export a network for other shapes to TorchScript.";
    Err(Error::mismatch(format!("`pos_embed` has {tokens} places, which make no square image"), next))
}

/// Heads leave no trace in any shape.
fn heads(hidden: i64, depth: i64, told: &Told) -> Result<i64> {
    let published = PUBLISHED.iter().find(|size| size[..2] == [hidden, depth]).map(|size| size[2]);
    if let (None, Some(heads)) = (told.integer("num_heads")?, published) {
        return Ok(heads);
    }
    let head_dims = [64, 72, 96, 32, 16, 8, 4].into_iter();
    let likely: Vec<i64> = head_dims.filter(|dim| hidden % dim == 0).map(|dim| hidden / dim).collect();
    told.required("num_heads", "the number of attention heads of this DiT", &likely)
}

/// Classes, and whether the table has a row for none behind them.
fn classes(shapes: &Shapes, told: &Told) -> Result<(i64, bool)> {
    let rows = shapes.size("y_embedder.embedding_table.weight", 0)?;
    if rows == 1 || rows == IMAGENET_ROWS && told.get("num_classes").is_none() {
        return Ok((rows.max(2) - 1, rows > 1));
    }
    let what = format!("whether the last of {rows} rows in the table of classes stands for no class");
    let classes = told.required("num_classes", &what, &[rows - 1, rows])?;
    if classes == rows || classes == rows - 1 {
        return Ok((classes, classes < rows));
    }
    let allowed = format!("the table has {rows} rows: {} classes and a row for none, or {rows} classes", rows - 1);
    Err(Error::argument("--config", format!("num_classes={classes}"), allowed, "Correct it."))
}

fn learns_sigma(shapes: &Shapes, in_channels: i64, patch: i64) -> Result<bool> {
    let outputs = shapes.size("final_layer.linear.weight", 0)?;
    let per_channel = patch * patch * in_channels;
    if outputs == per_channel || outputs == 2 * per_channel {
        return Ok(outputs > per_channel);
    }
    Err(Error::mismatch(
        format!("the last layer has {outputs} outputs, where patches of {in_channels} channels have {per_channel}"),
        "It is that number, or twice that with a learned variance; export other networks to TorchScript.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(hidden: i64, depth: i64, rows: i64) -> Shapes {
        let mut all = vec![
            ("x_embedder.proj.weight".to_string(), vec![hidden, 4, 2, 2]),
            ("pos_embed".into(), vec![1, 256, hidden]),
            ("y_embedder.embedding_table.weight".into(), vec![rows, hidden]),
            ("final_layer.linear.weight".into(), vec![32, hidden]),
        ];
        all.extend((0..depth).map(|i| (format!("blocks.{i}.mlp.fc1.weight"), vec![4 * hidden, hidden])));
        all.into_iter().collect()
    }

    #[test]
    fn published_sizes_need_no_words() {
        let config = config(&shapes(1152, 28, 1001), &Told::default()).unwrap();
        let expected = json!({
            "_class_name": "DiT", "input_size": 32, "patch_size": 2, "in_channels": 4, "hidden_size": 1152, "depth": 28,
            "num_heads": 16, "mlp_ratio": 4.0, "class_dropout_prob": 0.1, "num_classes": 1000, "learn_sigma": true,
        });
        assert_eq!(config, expected);
    }

    #[test]
    fn sit_is_dit_unless_somebody_says_so() {
        let class = |said| config(&shapes(1152, 28, 1001), &Told::of(said)).map(|config| config["_class_name"].clone());
        assert_eq!(class(json!({})).unwrap(), "DiT");
        assert_eq!(class(json!({"sit": true})).unwrap(), "SiT");
        assert!(class(json!({"sit": "yes"})).is_err());
        assert!(note(&Told::default()).unwrap().contains("--config sit=true"));
        assert_eq!(note(&Told::of(json!({"sit": false}))), None);
    }

    #[test]
    fn what_was_said_wins_over_published_sizes() {
        let said = Told::of(json!({"num_heads": 18, "num_classes": 1001}));
        let config = config(&shapes(1152, 28, 1001), &said).unwrap();
        assert_eq!((config["num_heads"].as_i64(), config["num_classes"].as_i64()), (Some(18), Some(1001)));
        assert_eq!(config["class_dropout_prob"], 0.0);
    }

    #[test]
    fn heads_of_other_sizes_are_asked_for() {
        let error = config(&shapes(1152, 12, 1001), &Told::default()).unwrap_err().to_string();
        assert!(error.contains("--config num_heads=18 (likely: 18, 16, 12"), "{error}");
    }

    #[test]
    fn classes_are_asked_for_but_of_imagenet() {
        let ask = |rows, said| config(&shapes(384, 12, rows), &Told::of(said)).map_err(|e| e.to_string());
        assert!(ask(11, json!({})).unwrap_err().contains("--config num_classes=10 (likely: 10, 11)"));
        assert!(ask(11, json!({"num_classes": 9})).unwrap_err().contains("num_classes=9"));
        let with_null = ask(11, json!({"num_classes": 10})).unwrap();
        assert_eq!(
            (with_null["num_classes"].as_i64(), with_null["class_dropout_prob"].as_f64()),
            (Some(10), Some(0.1))
        );
        let without = ask(11, json!({"num_classes": 11})).unwrap();
        assert_eq!((without["num_classes"].as_i64(), without["class_dropout_prob"].as_f64()), (Some(11), Some(0.0)));
        let single = ask(1, json!({})).unwrap();
        assert_eq!((single["num_classes"].as_i64(), single["class_dropout_prob"].as_f64()), (Some(1), Some(0.0)));
    }

    #[test]
    fn images_must_be_square_and_outputs_whole() {
        let mut odd: Vec<(String, Vec<i64>)> = vec![("pos_embed".into(), vec![1, 200, 8])];
        assert!(grid(&odd.clone().into_iter().collect()).unwrap_err().to_string().contains("200 places"));
        odd.push(("final_layer.linear.weight".into(), vec![48, 8]));
        assert!(learns_sigma(&odd.into_iter().collect(), 4, 2).unwrap_err().to_string().contains("48 outputs"));
    }
}
