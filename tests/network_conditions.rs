//! Labels and contexts that do not fit, sizes that do not, and configurations that are not covered: DiT and
//! UNet2DConditionModel.

use lipscope::dual::Dual;
use lipscope::network::{self, Condition, Network};
use lipscope::nn::Weights;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

fn fixture(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks").join(case)
}

fn config(case: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture(case).join("config.json")).unwrap()).unwrap()
}

fn open(case: &str) -> Box<dyn Network> {
    let path = fixture(case).join("weights.safetensors");
    let weights = Weights::new(Tensor::read_safetensors(&path).unwrap().into_iter().collect(), &path);
    network::build(&config(case), &weights, &path).unwrap()
}

fn forward(network: &dyn Network, size: &[i64], condition: &Condition) -> Result<Tensor, String> {
    let x = Dual::constant(Tensor::ones(size, (Kind::Float, Device::Cpu)));
    let t = Dual::constant(Tensor::zeros([size[0]], (Kind::Float, Device::Cpu)));
    network.forward(&x, &t, condition).map(|y| y.value).map_err(|error| error.to_string())
}

fn labels(labels: &[i64]) -> Condition {
    Condition { labels: Some(Tensor::from_slice(labels)), ..Condition::default() }
}

fn context(size: &[i64], kind: Kind) -> Condition {
    Condition { context: Some(Tensor::ones(size, (kind, Device::Cpu))), ..Condition::default() }
}

/// What is wrong with the configuration of `case` after a change, before any weights are asked for.
fn config_error(case: &str, change: Value) -> String {
    let mut config = config(case);
    config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let weights = Weights::new(Default::default(), Path::new("w"));
    let error = network::build(&config, &weights, Path::new("config.json")).map(|_| ()).unwrap_err();
    assert!(weights.first_asked().is_none(), "{change} got as far as the weights: {error}");
    error.to_string()
}

#[test]
fn a_dit_takes_labels_of_its_classes_and_of_none() {
    let dit = open("dit/diffusers");
    assert_eq!((dit.classes(), dit.null_label(), dit.context_width()), (Some(5), Some(5), None));
    assert_eq!(dit.input_shape().sample, Some(vec![4, 8, 8]));
    assert!(!dit.input_shape().resizable);
    let size = [2, 4, 8, 8];
    // A learned variance doubles the channels.
    assert_eq!(forward(&*dit, &size, &labels(&[4, 5])).unwrap().size(), [2, 8, 8, 8]);
    for (condition, says) in [
        (Condition::default(), "Give a label"),
        (labels(&[0, 6]), "0 to 5"),
        (labels(&[-1, 0]), "0 to 5"),
        (labels(&[0]), "[1], where the network takes [2]"),
        (Condition { labels: labels(&[0, 1]).labels, ..context(&[2, 3, 5], Kind::Float) }, "attends to none"),
    ] {
        let error = forward(&*dit, &size, &condition).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
    let error = forward(&*dit, &[2, 4, 12, 12], &labels(&[0, 1])).unwrap_err();
    assert!(error.contains("takes 8×8 pixels"), "{error}");
}

#[test]
fn a_network_that_attends_says_what_it_attends_to() {
    let unet = open("unet2d_condition/stable_diffusion_1");
    assert_eq!((unet.classes(), unet.null_label(), unet.context_width()), (None, None, Some(5)));
    assert!(unet.input_shape().resizable);
    let size = [2, 4, 8, 8];
    // Any number of tokens, and other sizes of images.
    assert_eq!(forward(&*unet, &size, &context(&[2, 1, 5], Kind::Float)).unwrap().size(), size);
    assert_eq!(forward(&*unet, &[2, 4, 4, 12], &context(&[2, 77, 5], Kind::Float)).unwrap().size(), [2, 4, 4, 12]);
    for (condition, says) in [
        (Condition::default(), "attends to embeddings [batch, tokens, 5], and none were given"),
        (context(&[2, 3, 4], Kind::Float), "[2, 3, 4], where the network takes [2, tokens, 5]"),
        (context(&[1, 3, 5], Kind::Float), "[1, 3, 5], where the network takes [2, tokens, 5]"),
        (context(&[2, 0, 5], Kind::Float), "[2, 0, 5]"),
        (context(&[3, 5], Kind::Float), "[3, 5]"),
        (context(&[2, 3, 5], Kind::Double), "Double, where the network computes in Float"),
        (Condition { labels: labels(&[0, 1]).labels, ..context(&[2, 3, 5], Kind::Float) }, "no classes"),
    ] {
        let error = forward(&*unet, &size, &condition).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
    let error = forward(&*unet, &[2, 4, 7, 8], &context(&[2, 3, 5], Kind::Float)).unwrap_err();
    assert!(error.contains("multiples of 2"), "{error}");
}

#[test]
fn a_constant_context_has_no_tangent_where_nothing_else_has() {
    let unet = open("unet2d_condition/stable_diffusion_1");
    let x = Dual::constant(Tensor::ones([2, 4, 8, 8], (Kind::Float, Device::Cpu)));
    let t = Dual::constant(Tensor::zeros([2], (Kind::Float, Device::Cpu)));
    let condition = context(&[2, 3, 5], Kind::Float);
    assert!(unet.forward(&x, &t, &condition).unwrap().tangent.is_none());
}

#[test]
fn pooled_embeddings_and_numbers_must_fit() {
    let unet = open("unet2d_condition/stable_diffusion_xl");
    assert_eq!((unet.context_width(), unet.additions().pooled_width(6)), (Some(5), Some(7)));
    let ones = |size: &[i64], kind| Some(Tensor::ones(size, (kind, Device::Cpu)));
    let float = Kind::Float;
    let with = |pooled, numbers| Condition { pooled, numbers, ..context(&[2, 3, 5], float) };
    let size = [2, 4, 8, 8];
    assert_eq!(forward(&*unet, &size, &with(ones(&[2, 7], float), ones(&[2, 6], float))).unwrap().size(), size);
    // A number less leaves its four features to the pooled embeddings.
    assert_eq!(forward(&*unet, &size, &with(ones(&[2, 11], float), ones(&[2, 5], float))).unwrap().size(), size);
    for (condition, says) in [
        (with(None, ones(&[2, 6], float)), "pooled embeddings [batch, 7], and none were given"),
        (with(ones(&[2, 7], float), None), "takes time ids, and none were given"),
        (with(ones(&[2, 7], float), ones(&[2, 5], float)), "[2, 7], where the network takes [2, 11]"),
        (with(ones(&[1, 7], float), ones(&[2, 6], float)), "[1, 7], where the network takes [2, 7]"),
        (with(ones(&[2, 7], Kind::Double), ones(&[2, 6], float)), "Double, where the network computes in Float"),
        (with(ones(&[2, 7], float), ones(&[6], float)), "[6], where the network takes [2, N]"),
    ] {
        let error = forward(&*unet, &size, &condition).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
    let plain = open("unet2d_condition/stable_diffusion_1");
    let error = forward(&*plain, &size, &with(ones(&[2, 7], float), None)).unwrap_err();
    assert!(error.contains("pooled embeddings were given to a network that takes none"), "{error}");
    let error = forward(&*plain, &size, &with(None, ones(&[2, 6], float))).unwrap_err();
    assert!(error.contains("takes none besides t"), "{error}");
}

#[test]
fn mmdits_take_what_they_were_trained_with() {
    let ones = |size: &[i64]| Some(Tensor::ones(size, (Kind::Float, Device::Cpu)));
    let with = |numbers| Condition { pooled: ones(&[2, 7]), numbers, ..context(&[2, 3, 5], Kind::Float) };
    let sd3 = open("mmdit/sd3");
    assert_eq!(
        (sd3.context_width(), sd3.additions().pooled_width(0), sd3.additions().numbers),
        (Some(5), Some(7), None)
    );
    assert_eq!(sd3.input_shape().sample, Some(vec![4, 8, 8]));
    // Any size up to that of the grid of places.
    assert_eq!(forward(&*sd3, &[2, 4, 12, 2], &with(None)).unwrap().size(), [2, 4, 12, 2]);
    let error = forward(&*sd3, &[2, 4, 14, 8], &with(None)).unwrap_err();
    assert!(error.contains("7×4 patches") && error.contains("places for 6×6"), "{error}");
    let error = forward(&*sd3, &[2, 4, 8, 8], &with(ones(&[2, 1]))).unwrap_err();
    assert!(error.contains("takes none besides t"), "{error}");
    let flux = open("mmdit/flux_dev");
    assert_eq!((flux.input_shape().channels, flux.additions().pooled_width(1)), (Some(4), Some(7)));
    assert_eq!(forward(&*flux, &[2, 4, 6, 10], &with(ones(&[2, 1]))).unwrap().size(), [2, 4, 6, 10]);
    for (size, condition, says) in [
        ([2, 4, 6, 10], with(None), "takes embedded guidance, and none were given"),
        ([2, 4, 6, 10], with(ones(&[2, 6])), "[2, 6], where the network takes [2, 1]"),
        ([2, 4, 6, 9], with(ones(&[2, 1])), "multiples of 2"),
        ([2, 16, 6, 10], with(ones(&[2, 1])), "x has 16 channels, where the network takes 4"),
    ] {
        let error = forward(&*flux, &size, &condition).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn configurations_of_mmdits_that_are_not_covered_are_refused_by_name() {
    for (change, says) in [
        (json!({"qk_norm": "layer_norm"}), "`layer_norm`"),
        (json!({"caption_projection_dim": 13}), "meet in 12 channels"),
        (json!({"sample_size": 9}), "multiple of patch_size = 2"),
        (json!({"dual_attention_layers": [0, 2]}), "from 0 to 1"),
        (json!({"pos_embed_max_size": null}), "pos_embed_max_size"),
        (json!({"num_attention_heads": 0}), "num_attention_heads"),
        (json!({"force_zeros_for_pooled_projection": true}), "force_zeros_for_pooled_projection"),
    ] {
        let error = config_error("mmdit/sd3", change);
        assert!(error.contains(says), "{error}");
    }
    for (change, says) in [
        (json!({"axes_dims_rope": [2, 2, 2]}), "make up attention_head_dim = 8"),
        (json!({"axes_dims_rope": [3, 3, 2]}), "three even numbers"),
        (json!({"axes_dims_rope": [2, 2]}), "axes_dims_rope"),
        (json!({"axes_dims_rope": [i64::MAX, i64::MAX, 2]}), "three even numbers"),
        (json!({"patch_size": 2}), "`patch_size` is 2"),
        (json!({"in_channels": 18}), "4 must divide it"),
        (json!({"pooled_projection_dim": -1}), "pooled_projection_dim"),
        (json!({"image_proj": 1}), "`image_proj`"),
    ] {
        let error = config_error("mmdit/flux_dev", change);
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn configurations_of_dit_that_are_not_covered_are_refused_by_name() {
    for (change, says) in [
        (json!({"norm_type": "ada_norm_single"}), "`ada_norm_single`"),
        (json!({"cross_attention_dim": 768}), "`cross_attention_dim` = `768`"),
        (json!({"norm_elementwise_affine": true}), "norm_elementwise_affine"),
        (json!({"attention_type": "gated"}), "attention_type"),
        (json!({"activation_fn": "swiglu"}), "`swiglu`"),
        (json!({"sample_size": 9}), "multiple of patch_size = 2"),
        (json!({"sample_size": 1 << 20}), "up to 512 times it"),
        (json!({"attention_head_dim": 1 << 24}), "at most 16777216"),
        (json!({"num_attention_heads": 1, "attention_head_dim": 6}), "4 must divide it"),
        (json!({"rope": true}), "`rope`"),
    ] {
        let error = config_error("dit/diffusers", change);
        assert!(error.contains(says), "{error}");
    }
    let paper = json!({"_class_name": "DiT", "hidden_size": 8, "num_heads": 3});
    let weights = Weights::new(Default::default(), Path::new("w"));
    let error = network::build(&paper, &weights, Path::new("c")).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("the 3 heads must divide it"), "{error}");
}

#[test]
fn configurations_of_conditional_unets_that_are_not_covered_are_refused_by_name() {
    for (change, says) in [
        (json!({"addition_embed_type": "text_time"}), "text_time needs it"),
        (json!({"addition_embed_type": "text_image"}), "`text_image`"),
        (json!({"time_cond_proj_dim": 256}), "LCM"),
        (json!({"encoder_hid_dim": 4096}), "`encoder_hid_dim`"),
        (json!({"dual_cross_attention": true}), "two contexts"),
        (json!({"down_block_types": ["AttnDownBlock2D", "DownBlock2D"]}), "AttnDownBlock2D"),
        (json!({"up_block_types": ["UpBlock2D"]}), "all three must agree"),
        (json!({"mid_block_type": "UNetMidBlock2DSimpleCrossAttn"}), "UNetMidBlock2DSimpleCrossAttn"),
        (json!({"attention_head_dim": [1, 2, 3]}), "a list of 3"),
        (json!({"attention_head_dim": 0}), "`attention_head_dim` is 0"),
        (json!({"attention_head_dim": null}), "`attention_head_dim` is null"),
        (json!({"transformer_layers_per_block": [[1, 1], 1]}), "transformer_layers_per_block"),
        (json!({"cross_attention_dim": [5, 6]}), "one width"),
        (json!({"class_embed_type": "projection"}), "projection_class_embeddings_input_dim"),
        (json!({"class_embed_type": "simple_projection"}), "simple_projection"),
        (json!({"time_embedding_type": "fourier"}), "it is positional"),
        (json!({"conv_in_kernel": 1}), "`conv_in_kernel` = `1`"),
        (json!({"freq_shift": 3}), "freq_shift"),
        (json!({"new_key": 1}), "not a key of UNet2DConditionModel"),
    ] {
        let error = config_error("unet2d_condition/stable_diffusion_1", change);
        assert!(error.contains(says), "{error}");
    }
}
