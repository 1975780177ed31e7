//! What UNet2DModel configurations are refused, and in which words.

use lipscope::dual::Dual;
use lipscope::error::Error;
use lipscope::network::unet2d::{UNet2d, UNet2dConfig};
use lipscope::network::{Condition, Network};
use lipscope::nn::Weights;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/unet2d").join(name)
}

fn config(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder(name).join("config.json")).unwrap()).unwrap()
}

fn tensors(name: &str) -> BTreeMap<String, Tensor> {
    Tensor::read_safetensors(folder(name).join("diffusion_pytorch_model.safetensors")).unwrap().into_iter().collect()
}

fn build(config: &Value, tensors: BTreeMap<String, Tensor>) -> lipscope::error::Result<UNet2d> {
    let config = UNet2dConfig::from_json(config, Path::new("config.json"))?;
    UNet2d::new(&config, &Weights::new(tensors, Path::new("model.safetensors")))
}

/// The error of a fixture's configuration with one value replaced.
fn error_with(name: &str, key: &str, value: Value) -> Error {
    let mut config = config(name);
    config[key] = value;
    build(&config, tensors(name)).map(|_| ()).expect_err(key)
}

#[test]
fn unsupported_values_are_named_with_their_key() {
    let cases = [
        ("act_fn", json!("tanh")),
        ("down_block_types", json!(["SkipDownBlock2D", "AttnSkipDownBlock2D"])),
        ("up_block_types", json!(["AttnSkipUpBlock2D", "SkipUpBlock2D"])),
        ("down_block_types", json!(["UpBlock2D", "DownBlock2D"])),
        ("mid_block_type", json!("UNetMidBlock2DCrossAttn")),
        ("resnet_time_scale_shift", json!("spatial")),
        ("time_embedding_type", json!("rotary")),
        ("downsample_padding", json!(2)),
        ("downsample_type", json!("fir")),
        ("upsample_type", json!("fir")),
        ("class_embed_type", json!("projection")),
        ("norm_num_groups", json!(null)),
    ];
    for (key, value) in cases {
        let first = if value.is_array() { value[0].clone() } else { value.clone() };
        let seen = first.as_str().map_or(first.to_string(), str::to_string);
        let error = error_with("scale_shift", key, value);
        assert!(matches!(error, Error::Unsupported { .. }), "{key}: {error}");
        let message = error.to_string();
        assert!(message.contains(key) && message.contains(&seen), "{message}");
    }
}

#[test]
fn unknown_keys_are_named_unless_they_are_notes() {
    let error = error_with("scale_shift", "use_flux_capacitor", json!(true)).to_string();
    assert!(error.contains("`use_flux_capacitor` = true"), "{error}");
    let mut noted = config("scale_shift");
    noted["_diffusers_version"] = json!("0.0.4");
    noted["_anything"] = json!({});
    build(&noted, tensors("scale_shift")).unwrap();
}

#[test]
fn absent_keys_have_the_defaults_of_diffusers() {
    // make.py gave these four and left the rest to diffusers.
    let full = config("defaults");
    let given = ["block_out_channels", "norm_num_groups", "layers_per_block", "sample_size"];
    let short: Value =
        given.iter().map(|key| (key.to_string(), full[key].clone())).collect::<serde_json::Map<_, _>>().into();
    let path = Path::new("config.json");
    // All that was read, apart from the text it was read from.
    let read = |json| {
        let mut config = UNet2dConfig::from_json(json, path).unwrap();
        config.json = Value::Null;
        config
    };
    let (full, short) = (read(&full), read(&short));
    assert_eq!(format!("{full:?}"), format!("{short:?}"));
    let empty = UNet2dConfig::from_json(&json!({}), path).unwrap();
    assert_eq!(empty.body.channels, [224, 448, 672, 896]);
    let (groups, layers) = (empty.body.resnet.norm_groups, empty.body.down[0].layers);
    assert_eq!((groups, layers, empty.sample_size), (32, 2, None));
}

#[test]
fn hostile_configurations_are_errors_that_name_the_key() {
    let cases = [
        ("block_out_channels", json!([])),
        ("block_out_channels", json!([4])),
        ("block_out_channels", json!([4, 0])),
        ("block_out_channels", json!([4, -8])),
        ("block_out_channels", json!([4, i64::MAX])),
        ("block_out_channels", json!([4, 1e300])),
        ("block_out_channels", json!(vec![4; 100_000])),
        ("block_out_channels", json!("4, 8")),
        ("down_block_types", json!(["DownBlock2D"])),
        ("up_block_types", json!(7)),
        ("layers_per_block", json!(0)),
        ("layers_per_block", json!(i64::MAX)),
        ("layers_per_block", json!(1.5)),
        ("norm_num_groups", json!(0)),
        ("norm_num_groups", json!(-2)),
        ("norm_eps", json!(-1e-5)),
        ("norm_eps", json!("small")),
        ("norm_eps", json!(1e300)),
        ("mid_block_scale_factor", json!(0)),
        ("freq_shift", json!(2)),
        ("freq_shift", json!(null)),
        ("attention_head_dim", json!(0)),
        ("attention_head_dim", json!(9)),
        ("attention_head_dim", json!([8, 8])),
        ("in_channels", json!(0)),
        ("out_channels", json!(true)),
        ("sample_size", json!([8, 8, 8])),
        ("sample_size", json!(-8)),
        ("sample_size", json!(u64::MAX)),
        ("sample_size", json!({"height": 8})),
        ("time_embedding_dim", json!(i64::MIN)),
        ("num_class_embeds", json!(1u64 << 40)),
        ("flip_sin_to_cos", json!("no")),
        ("dropout", json!([])),
        ("dropout", json!("0".repeat(1_000_000))),
        ("act_fn", json!("silu".repeat(1_000_000))),
    ];
    for (key, value) in cases {
        let message = error_with("scale_shift", key, value.clone()).to_string();
        assert!(message.contains(key), "{key} = {value}: {message}");
        assert!(message.len() < 400, "{message}");
    }
    for config in [json!(null), json!([]), json!("UNet2DModel"), json!(3)] {
        assert!(matches!(build(&config, tensors("scale_shift")), Err(Error::File { .. })));
    }
}

#[test]
fn groups_must_divide_channels() {
    let message = error_with("scale_shift", "norm_num_groups", json!(3)).to_string();
    assert!(message.contains("3 groups do not divide the 4 channels"), "{message}");
    assert!(message.contains("down_blocks.0.resnets.0.norm1"), "{message}");
}

#[test]
fn weights_of_another_network_are_errors() {
    let message = error_with("scale_shift", "layers_per_block", json!(2)).to_string();
    assert!(message.contains("resnets.1."), "{message}");
    let message = error_with("class_labels", "num_class_embeds", json!(null)).to_string();
    assert!(message.contains("class_embedding.weight"), "{message}");
    let message = error_with("learned_time", "num_train_timesteps", json!(null)).to_string();
    assert!(message.contains("num_train_timesteps"), "{message}");
    let mut without = tensors("scale_shift");
    without.remove("conv_out.bias");
    let message = build(&config("scale_shift"), without).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("conv_out.bias"), "{message}");
}

/// The error of a forward pass of a fixture.
fn forward_error(name: &str, x: &[i64], t: Dual, labels: Option<Tensor>) -> String {
    let network = build(&config(name), tensors(name)).unwrap();
    let x = Dual::constant(Tensor::zeros(x, (Kind::Float, tch::Device::Cpu)));
    network.forward(&x, &t, &Condition { labels, ..Condition::default() }).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn inputs_that_do_not_fit_are_errors() {
    let t = |t: &[f32]| Dual::constant(Tensor::from_slice(t));
    let error = |x: &[i64]| forward_error("ddpm_cifar10", x, t(&[1.0]), None);
    assert!(error(&[1, 3, 12, 8]).contains("multiples of 8"));
    assert!(error(&[1, 3, 0, 8]).contains("multiples of 8"));
    assert!(error(&[1, 1, 8, 8]).contains("takes 3"));
    assert!(error(&[3, 8, 8]).contains("[batch, 3, height, width]"));
    assert!(error(&[2, 3, 8, 8]).contains("2 samples"));

    let labels = |labels: &[i64]| Some(Tensor::from_slice(labels));
    let small = [1, 2, 8, 8];
    assert!(forward_error("scale_shift", &small, t(&[1.0]), labels(&[1])).contains("no classes"));
    assert!(forward_error("class_labels", &small, t(&[1.0]), None).contains("Give a label"));
    assert!(forward_error("class_labels", &small, t(&[1.0]), labels(&[10])).contains("0 to 9"));
    assert!(forward_error("class_labels", &small, t(&[1.0]), labels(&[-1])).contains("0 to 9"));
    assert!(forward_error("class_labels", &small, t(&[1.0]), labels(&[1, 2])).contains("[1]"));
    assert!(forward_error("class_identity", &small, t(&[1.0]), labels(&[1])).contains("[1, 12]"));
}

#[test]
fn a_learned_time_embedding_has_integer_timesteps_and_no_time_derivative() {
    let error = |t: Dual| forward_error("learned_time", &[1, 2, 8, 8], t, None);
    let t = |t: f32| Tensor::from_slice(&[t]);
    for beyond in [-1.0, 20.0, 0.5, f32::NAN, f32::INFINITY] {
        assert!(error(Dual::constant(t(beyond))).contains("integer timesteps 0 to 19"), "{beyond}");
    }
    assert!(error(Dual::new(t(1.0), t(1.0))).contains("does not exist"));
}

#[test]
fn the_input_shape_is_that_of_the_configuration() {
    let shape = |name: &str| build(&config(name), tensors(name)).unwrap().input_shape();
    assert_eq!(shape("centered_gelu").sample, Some(vec![3, 4, 6]));
    assert_eq!(shape("ddpm_cifar10").sample, Some(vec![3, 8, 8]));
    let unknown = shape("defaults");
    assert_eq!((unknown.sample, unknown.channels, unknown.resizable), (None, Some(3), true));
}
