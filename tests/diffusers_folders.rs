//! Folders of diffusers' models: every class that is loaded natively, in one file or spread over several.

use lipscope::checkpoint::{self, Overridden, Request};
use lipscope::network::Network;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tch::{Device, Tensor};

const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";
const INDEX: &str = "diffusion_pytorch_model.safetensors.index.json";

fn fixture(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks").join(case)
}

/// `part` of a new folder, with the configuration of `case`.
fn with_config(case: &str, part: &str) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(part);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(fixture(case).join("config.json"), folder.join("config.json")).unwrap();
    (root, folder)
}

fn tensors(case: &str) -> BTreeMap<String, Tensor> {
    Tensor::read_safetensors(fixture(case).join("weights.safetensors")).unwrap().into_iter().collect()
}

/// Writes the weights of `case` as two shards, a first and a last half, and returns their index.
fn shard(case: &str, folder: &Path) -> Value {
    let tensors: Vec<(String, Tensor)> = tensors(case).into_iter().collect();
    let mut map = BTreeMap::new();
    for (i, part) in tensors.chunks(tensors.len().div_ceil(2)).enumerate() {
        let name = format!("diffusion_pytorch_model-{:05}-of-00002.safetensors", i + 1);
        let named: Vec<(&str, &Tensor)> = part.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        Tensor::write_safetensors(&named, folder.join(&name)).unwrap();
        map.extend(part.iter().map(|(parameter, _)| (parameter.clone(), name.clone())));
    }
    json!({"metadata": {"total_size": 1}, "weight_map": map})
}

fn open(path: &Path) -> Result<checkpoint::Checkpoint, String> {
    checkpoint::open(path, &Request::on(Device::Cpu)).map_err(|error| error.to_string())
}

fn assert_weights(network: &dyn Network, case: &str) {
    let expected = tensors(case);
    let found = network.parameters();
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|(name, tensor)| tensor.equal(&expected[name])));
}

#[test]
fn each_class_opens_from_its_place_in_a_pipeline_and_from_its_own_folder() {
    for (case, part, class, shape) in [
        ("dit/diffusers", "transformer", "DiTTransformer2DModel", [4, 8, 8]),
        ("dit/diffusers_old_class", "transformer", "DiTTransformer2DModel", [4, 8, 8]),
        ("unet2d_condition/stable_diffusion_2", "unet", "UNet2DConditionModel", [4, 8, 8]),
        ("unet2d_condition/uneven_heads", "unet", "UNet2DConditionModel", [3, 4, 6]),
    ] {
        let (root, folder) = with_config(case, part);
        fs::copy(fixture(case).join("weights.safetensors"), folder.join(WEIGHTS)).unwrap();
        for path in [root.path(), &folder] {
            let opened = open(path).unwrap();
            assert_eq!((opened.format.as_str(), opened.network.architecture().as_str()), ("diffusers", class));
            assert_eq!(opened.declared.sample_shape.as_deref(), Some(shape.as_slice()));
            assert_weights(&*opened.network, case);
        }
    }
}

#[test]
fn shards_are_the_whole_and_fingerprinted_together() {
    let case = "unet2d_condition/stable_diffusion_1";
    let (root, folder) = with_config(case, "unet");
    fs::write(folder.join(INDEX), shard(case, &folder).to_string()).unwrap();
    let opened = open(root.path()).unwrap();
    assert_weights(&*opened.network, case);
    // Any shard changes the fingerprint.
    let second = folder.join("diffusion_pytorch_model-00002-of-00002.safetensors");
    let mut last: Vec<(String, Tensor)> = Tensor::read_safetensors(&second).unwrap();
    last[0].1 = &last[0].1 + 1.0;
    let named: Vec<(&str, &Tensor)> = last.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    Tensor::write_safetensors(&named, &second).unwrap();
    let changed = open(root.path()).unwrap();
    let lengths = [&opened, &changed].map(|opened| opened.sha256.as_ref().map(String::len));
    assert!(lengths == [Some(64); 2] && opened.sha256 != changed.sha256);
}

#[test]
fn headers_tell_what_there_is_without_the_numbers() {
    let case = "unet2d_condition/stable_diffusion_xl";
    let (root, folder) = with_config(case, "unet");
    fs::write(folder.join(INDEX), shard(case, &folder).to_string()).unwrap();
    let request = Request { headers_only: true, ..Request::on(Device::Cpu) };
    let described = checkpoint::open(root.path(), &request).unwrap();
    assert_eq!(described.sha256, None);
    let listed = |network: &dyn Network| -> Vec<(String, Vec<i64>, tch::Kind)> {
        network.parameters().into_iter().map(|(name, tensor)| (name, tensor.size(), tensor.kind())).collect()
    };
    assert_eq!(listed(&*described.network), listed(&*open(root.path()).unwrap().network));
    // What does not belong to the configuration is refused all the same.
    let mut config = serde_json::from_str::<Value>(&fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
    config["cross_attention_dim"] = 7.into();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let error = checkpoint::open(root.path(), &request).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("where the configuration says"), "{error}");
}

#[test]
fn shards_that_do_not_fit_their_index_are_refused() {
    let case = "unet2d_condition/class_table";
    let (root, folder) = with_config(case, "unet");
    let whole = shard(case, &folder);
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut index = whole.clone();
        change(&mut index);
        fs::write(folder.join(INDEX), index.to_string()).unwrap();
        open(root.path()).map(|_| ()).unwrap_err()
    };
    // In the first shard, and in the second.
    let (first, last) = ("class_embedding.weight", "up_blocks.0.resnets.1.norm2.weight");
    let file = |parameter: &str| whole["weight_map"][parameter].clone();
    assert_ne!(file(first), file(last));
    let message = refused(&|index| index["weight_map"][first] = file(last));
    assert!(
        message.contains("00001-of") && message.contains(first) && message.contains("does not place here"),
        "{message}"
    );
    let message = refused(&|index| {
        index["weight_map"]["a.parameter"] = file(first);
    });
    assert!(message.contains("`a.parameter` is missing"), "{message}");
    let message = refused(&|index| index["weight_map"][first] = json!("absent.safetensors"));
    assert!(message.contains("`absent.safetensors`, which is not there"), "{message}");
    assert!(refused(&|index| index["weight_map"][first] = json!(7)).contains("is 7, which is no file name"));
    assert!(refused(&|index| index["weight_map"] = json!({})).contains("no weight_map"));
    assert!(refused(&|index| *index = json!([])).contains("no weight_map"));
}

#[test]
fn an_index_names_no_files_outside_its_folder() {
    let case = "unet2d_condition/class_table";
    let (root, folder) = with_config(case, "unet");
    let whole = shard(case, &folder);
    let outside = root.path().join("outside.safetensors");
    fs::copy(fixture(case).join("weights.safetensors"), &outside).unwrap();
    fs::create_dir(folder.join("below")).unwrap();
    fs::copy(&outside, folder.join("below/inside.safetensors")).unwrap();
    let message = |name: &str| {
        let names = whole["weight_map"].as_object().unwrap().keys();
        let map: BTreeMap<&String, &str> = names.map(|parameter| (parameter, name)).collect();
        fs::write(folder.join(INDEX), json!({ "weight_map": map }).to_string()).unwrap();
        open(root.path()).map(|_| ()).unwrap_err()
    };
    let absolute = outside.to_str().unwrap().to_string();
    for name in ["../outside.safetensors", &absolute, "..", ".", "", "below/inside.safetensors", "..\\x", "below/"] {
        let message = message(name);
        assert!(message.contains("is not the plain name of a file"), "{name}: {message}");
    }
    assert!(message("below").contains("is not there"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&outside, folder.join("link.safetensors")).unwrap();
        assert!(message("link.safetensors").contains("is a link out of the folder"));
        std::os::unix::fs::symlink(folder.join("below/inside.safetensors"), folder.join("deeper.safetensors")).unwrap();
        assert!(message("deeper.safetensors").contains("is a link out of the folder"));
    }
}

/// huggingface_hub keeps every file once, in `blobs/`, and links to it from `snapshots/REVISION/`.
#[cfg(unix)]
#[test]
fn the_cache_of_huggingface_hub_is_followed() {
    let case = "unet2d_condition/class_table";
    let (root, folder) = with_config(case, "models--a--b/snapshots/0123/unet");
    let index = shard(case, &folder);
    fs::write(folder.join(INDEX), index.to_string()).unwrap();
    let blobs = root.path().join("models--a--b/blobs");
    fs::create_dir(&blobs).unwrap();
    for i in 1..=2 {
        let name = format!("diffusion_pytorch_model-{i:05}-of-00002.safetensors");
        fs::rename(folder.join(&name), blobs.join(format!("blob{i}"))).unwrap();
        std::os::unix::fs::symlink(format!("../../../blobs/blob{i}"), folder.join(&name)).unwrap();
    }
    let opened = open(&root.path().join("models--a--b/snapshots/0123")).unwrap();
    assert_weights(&*opened.network, case);
}

/// The weights of `case` times `factor`, with `rename` for their names.
fn write(case: &str, path: &Path, factor: f64, rename: &dyn Fn(&str) -> String) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let named: Vec<(String, Tensor)> =
        tensors(case).into_iter().map(|(name, tensor)| (rename(&name), tensor * factor)).collect();
    let named: Vec<(&str, &Tensor)> = named.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    Tensor::write_safetensors(&named, path).unwrap();
}

/// What the weights of `case` were multiplied by.
fn factor(opened: &checkpoint::Checkpoint, case: &str) -> f64 {
    let expected = tensors(case);
    let found = opened.network.parameters();
    assert_eq!(found.len(), expected.len());
    let (name, tensor) = &found[0];
    let factor = tensor.flatten(0, -1).double_value(&[0]) / expected[name].flatten(0, -1).double_value(&[0]);
    assert!(found.iter().all(|(name, tensor)| tensor.equal(&(&expected[name] * factor))), "{factor}");
    factor
}

const CLASS_TABLE: &str = "unet2d_condition/class_table";

#[test]
fn every_writers_names_are_read() {
    let (_root, folder) = with_config(CLASS_TABLE, "unet");
    let compiled = |name: &str| name.replacen("resnets.", "resnets._orig_mod.", 1);
    for (file, rename) in [
        ("model.safetensors", &(|name: &str| name.to_string()) as &dyn Fn(&str) -> String),
        ("diffusion_pytorch_model.bf16.safetensors", &|name| format!("_orig_mod.{name}")),
        ("pytorch_model.bin", &|name| format!("module.{name}")),
        ("anything.safetensors", &|name| format!("state_dict.unet.{name}")),
        (WEIGHTS, &compiled),
    ] {
        let path = folder.join(file);
        write(CLASS_TABLE, &path, 1.0, rename);
        // What lies beside weights is none.
        fs::write(folder.join("optimizer.bin"), "no weights").unwrap();
        for path in [&folder, &path] {
            assert_eq!(factor(&open(path).unwrap(), CLASS_TABLE), 1.0, "{}", path.display());
        }
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn averages_of_trainers_are_preferred_and_said() {
    let (root, folder) = with_config(CLASS_TABLE, "checkpoint-20/unet");
    let checkpoint = folder.parent().unwrap();
    write(CLASS_TABLE, &folder.join(WEIGHTS), 1.0, &str::to_string);
    write(CLASS_TABLE, &checkpoint.join("unet_ema").join(WEIGHTS), 0.5, &str::to_string);
    // As EMAModel writes it.
    let mut config: Value = serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
    let notes = json!({"decay": 0.9999, "inv_gamma": 1.0, "min_decay": 0.0, "optimization_step": 20, "power": 0.667,
                       "update_after_step": 0, "use_ema_warmup": false});
    config.as_object_mut().unwrap().extend(notes.as_object().unwrap().clone());
    fs::write(checkpoint.join("unet_ema/config.json"), config.to_string()).unwrap();
    let with = |path: &Path, weights: Option<&str>| {
        let request = Request { weights, ..Request::on(Device::Cpu) };
        checkpoint::open(path, &request).map_err(|error| error.to_string())
    };
    for (weights, expected) in
        [(None, 0.5), (Some("ema"), 0.5), (Some("unet_ema"), 0.5), (Some("raw"), 1.0), (Some("unet"), 1.0)]
    {
        let opened = with(checkpoint, weights).unwrap();
        assert_eq!(factor(&opened, CLASS_TABLE), expected, "{weights:?}");
        let used = opened.weights.as_ref().unwrap();
        assert_eq!(used.all, ["unet_ema", "unet"]);
        assert_eq!(used.name == "unet_ema", expected == 0.5, "{used:?}");
    }
    assert!(with(checkpoint, Some("swa")).map(|_| ()).is_err());
    let alone = with(&checkpoint.join("unet_ema"), None).unwrap();
    assert_eq!((factor(&alone, CLASS_TABLE), &alone.weights), (0.5, &None));
    assert!(with(&checkpoint.join("unet_ema"), Some("raw")).map(|_| ()).unwrap_err().contains("one set of weights"));
    // The folder of the training has no model of its own: its newest step is named, by its number.
    fs::create_dir(root.path().join("checkpoint-3")).unwrap();
    let message = open(root.path()).map(|_| ()).unwrap_err();
    assert!(message.contains("checkpoint-20") && !message.contains("checkpoint-3."), "{message}");
}

#[test]
fn variants_are_chosen_by_name() {
    let (_root, folder) = with_config(CLASS_TABLE, "unet");
    for (variant, factor) in [("", 1.0), (".fp16", 0.25), (".non_ema", 0.5)] {
        write(
            CLASS_TABLE,
            &folder.join(format!("diffusion_pytorch_model{variant}.safetensors")),
            factor,
            &str::to_string,
        );
    }
    for (weights, expected) in
        [(None, 1.0), (Some("ema"), 1.0), (Some("raw"), 0.5), (Some("non_ema"), 0.5), (Some("fp16"), 0.25)]
    {
        let request = Request { weights, ..Request::on(Device::Cpu) };
        let opened = checkpoint::open(&folder, &request).unwrap();
        assert_eq!(factor(&opened, CLASS_TABLE), expected, "{weights:?}");
    }
}

#[test]
fn a_scheduler_that_cannot_be_read_yields_to_the_command_line() {
    let (root, folder) = with_config(CLASS_TABLE, "unet");
    write(CLASS_TABLE, &folder.join(WEIGHTS), 1.0, &str::to_string);
    fs::create_dir(root.path().join("scheduler")).unwrap();
    let said = Overridden { schedule: true, prediction: true, ..Overridden::default() };
    for config in [r#"{"_class_name": "EDMEulerScheduler"}"#, "no JSON", "[1]"] {
        fs::write(root.path().join("scheduler/scheduler_config.json"), config).unwrap();
        for path in [root.path(), &folder] {
            let message = open(path).map(|_| ()).unwrap_err();
            assert!(message.contains("scheduler_config.json"), "{message}");
            let opened = checkpoint::open(path, &Request { said, ..Request::on(Device::Cpu) }).unwrap();
            assert!(opened.declared.schedule.is_none(), "{config}");
        }
    }
    // As Python's json writes it.
    let config =
        r#"{"_class_name": "DPMSolverMultistepScheduler", "beta_schedule": "linear", "lambda_min_clipped": -Infinity}"#;
    fs::write(root.path().join("scheduler/scheduler_config.json"), config).unwrap();
    let opened = open(root.path()).unwrap();
    assert_eq!(opened.declared.schedule.unwrap().timesteps(), 1000);
    assert_eq!(opened.declared.ignored, ["lambda_min_clipped"]);
}

#[test]
fn a_pointer_of_git_is_said_to_be_one() {
    let (_root, folder) = with_config(CLASS_TABLE, "unet");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    fs::write(folder.join(WEIGHTS), pointer).unwrap();
    for path in [&folder, &folder.join(WEIGHTS)] {
        assert!(open(path).map(|_| ()).unwrap_err().contains("git lfs pull"), "{}", path.display());
    }
}

#[test]
fn a_wrong_configuration_is_said_before_weights_are_looked_for() {
    let case = "unet2d_condition/class_table";
    let (root, folder) = with_config(case, "unet");
    assert!(open(root.path()).map(|_| ()).unwrap_err().contains("there are no weights beside config.json"));
    fs::write(folder.join(WEIGHTS), "no weights").unwrap();
    fs::write(folder.join("config.json"), r#"{"_class_name": "UNet2DConditionModel", "time_cond_proj_dim": 256}"#)
        .unwrap();
    assert!(open(root.path()).map(|_| ()).unwrap_err().contains("`time_cond_proj_dim` = `256`"));
}

/// A transformer of this width in float32, in two shards; how many parameters it has.
fn transformer(folder: &Path, width: i64) -> i64 {
    let config = json!({
        "_class_name": "SD3Transformer2DModel", "sample_size": 4, "patch_size": 2, "in_channels": 4, "out_channels": 4,
        "num_layers": 2, "attention_head_dim": 64, "num_attention_heads": width / 64, "joint_attention_dim": 32,
        "caption_projection_dim": width, "pooled_projection_dim": 16, "pos_embed_max_size": 4
    });
    let weights = lipscope::nn::Weights::fresh(0);
    let network = lipscope::network::build(&config, &weights, folder).unwrap();
    let tensors = network.parameters();
    fs::create_dir_all(folder).unwrap();
    let mut map = BTreeMap::new();
    for (i, part) in tensors.chunks(tensors.len().div_ceil(2)).enumerate() {
        let file = format!("part-{i}.safetensors");
        Tensor::write_safetensors(part, folder.join(&file)).unwrap();
        map.extend(part.iter().map(|(parameter, _)| (parameter.clone(), file.clone())));
    }
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    fs::write(folder.join(INDEX), json!({"weight_map": map}).to_string()).unwrap();
    tensors.iter().map(|(_, tensor)| tensor.numel() as i64).sum()
}

/// The largest resident size of a measurement in bfloat16, in bytes: that of a process of its own.
#[cfg(target_os = "linux")]
fn peak(folder: &Path, model: &str) -> i64 {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lipscope-engine"));
    command.current_dir(folder).args(["measure", model, "--dtype", "bf16", "--data", "x0.safetensors"]);
    command.args(["--context", "text.safetensors", "--pooled", "pooled.safetensors", "--timesteps", "10", "--quiet"]);
    command.args(["--samples", "1", "--batch", "1", "--threads", "1", "--out"]).arg(format!("out-{model}"));
    let mut child = command.spawn().unwrap();
    // Not what wait4 tells: that is the largest of before the program began, too, when it was a copy of this one.
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = lipscope::device::memory::peak(child.id()).map_or(most, |bytes| bytes as i64);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success(), "lipscope measure failed");
    most
}

/// Weights in float32 are in memory once, in bfloat16, and one array besides: not the files, nor a float32 network.
#[cfg(target_os = "linux")]
#[test]
fn large_weights_are_in_memory_once_and_in_the_dtype_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let here = root.path();
    let write = |name: &str, shape: &[i64]| {
        let x = Tensor::ones(shape, (tch::Kind::Float, Device::Cpu)) * 0.5;
        Tensor::write_safetensors(&[("x", x)], here.join(name)).unwrap();
    };
    write("x0.safetensors", &[2, 4, 4, 4]);
    write("text.safetensors", &[3, 32]);
    write("pooled.safetensors", &[16]);
    let small = transformer(&here.join("small"), 64);
    let large = transformer(&here.join("large"), 1280);
    let bytes = 2 * (large - small);
    assert!(bytes > 150 << 20, "{bytes}");
    let grown = peak(here, "large") - peak(here, "small");
    println!("{:.2} of the weights in bfloat16", grown as f64 / bytes as f64);
    assert!(grown < bytes * 13 / 10, "{grown} bytes for weights of {bytes} in bfloat16");
}
