//! Text-to-image pipelines: pooled embeddings, sizes and guidance scales that are a part of what a network is asked.

mod common;

use common::{clear, embeddings, fixture, lipscope, refuse, report};
use std::fs;
use std::path::Path;

/// A pipeline's folder with the network and the scheduler of Stable Diffusion XL, small.
fn stable_diffusion_xl(folder: &Path) -> String {
    let (unet, scheduler) = (folder.join("xl/unet"), folder.join("xl/scheduler"));
    fs::create_dir_all(&unet).unwrap();
    fs::create_dir_all(&scheduler).unwrap();
    let case = fixture("networks/unet2d_condition/stable_diffusion_xl");
    fs::copy(Path::new(&case).join("config.json"), unet.join("config.json")).unwrap();
    let weights = unet.join("diffusion_pytorch_model.safetensors");
    fs::copy(Path::new(&case).join("weights.safetensors"), weights).unwrap();
    let config = r#"{"_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "prediction_type": "epsilon", "timestep_spacing": "leading"}"#;
    fs::write(scheduler.join("scheduler_config.json"), config).unwrap();
    folder.join("xl").display().to_string()
}

#[test]
fn pooled_embeddings_and_sizes_are_part_of_what_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let model = stable_diffusion_xl(here);
    embeddings(&here.join("prompt.npy"), 1.0, "(3, 5)", 15);
    embeddings(&here.join("pooled.npy"), 0.5, "(7,)", 7);
    embeddings(&here.join("zeros.npy"), 0.0, "(7,)", 7);
    embeddings(&here.join("latents.npy"), 0.5, "(20, 4, 8, 8)", 20 * 256);
    let plan = ["--data", "latents.npy", "--scale", "none", "--timesteps", "10,200", "--samples", "2", "--out", "out"];
    let with = |more: &[&'static str]| [&["measure", model.as_str()], &plan[..], more].concat();
    let run = |more: &[&'static str]| {
        clear(here);
        let output = lipscope(here, &with(more));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = report(&here.join("out"));
        let points = report["models"][0]["curves"][0]["points"].clone();
        (points, report["models"][0]["model"]["asked"].to_string(), report["warnings"].to_string())
    };
    let asked = ["--context", "prompt.npy", "--pooled", "pooled.npy"];
    let (points, words, warnings) = run(&asked);
    assert!(
        words.contains("pooled embeddings [7] with SHA-256") && words.contains("time ids 64,64,0,0,64,64"),
        "{words}"
    );
    assert!(warnings.contains("time ids 64,64,0,0,64,64") && warnings.contains("--time-ids"), "{warnings}");
    let (same, _, warnings) = run(&[&asked[..], &["--time-ids", "64,64,0,0,64,64"]].concat());
    assert!(same == points && !warnings.contains("--time-ids"), "{warnings}");
    assert_ne!(run(&[&asked[..], &["--time-ids", "64,64,32,0,64,64"]].concat()).0, points);
    assert_ne!(run(&["--context", "prompt.npy", "--pooled", "zeros.npy"]).0, points);
    // (1 + w) ε − w ε = ε where the condition is the same.
    let guidance = ["--guidance", "2", "--null-context", "prompt.npy", "--null-pooled", "pooled.npy"];
    let (guided, words, _) = run(&[&asked[..], &guidance].concat());
    assert!(words.contains("guidance 2 over embeddings"), "{words}");
    for i in 0..2 {
        let ratio = guided[i]["mean"].as_f64().unwrap() / points[i]["mean"].as_f64().unwrap();
        assert!((ratio - 1.0).abs() < 1e-3, "rounding of float32 differences, five times over: {ratio}");
    }
    refuse(here, &with(&asked[..2]), &["pooled embeddings", "--pooled FILE", "[7]"]);
    refuse(here, &with(&[&asked[..], &guidance[..4]].concat()), &["--null-pooled FILE"]);
    refuse(here, &with(&[&asked[..2], &["--pooled", "prompt.npy"]].concat()), &["[3, 5]", "five"]);
    refuse(here, &with(&[&asked[..], &["--time-ids", "1,2,3,4,5,6,7,8"]].concat()), &["1,2,3,4,5,6,7,8", "1024"]);
    let pipeline = fixture("torchscript/pipeline");
    for flag in [["--pooled", "pooled.npy"], ["--time-ids", "1,2"]] {
        refuse(
            here,
            &[&["measure", pipeline.as_str(), "--data", "digits"], &flag[..]].concat(),
            &["takes no", flag[0]],
        );
    }
}

/// FLUX.1-dev, small: a pipeline's `transformer/`, its weights over two files, and a scheduler whose shift depends on the image.
fn flux(folder: &Path) -> String {
    let (transformer, scheduler) = (folder.join("flux/transformer"), folder.join("flux/scheduler"));
    fs::create_dir_all(&transformer).unwrap();
    fs::create_dir_all(&scheduler).unwrap();
    let case = fixture("networks/mmdit/flux_dev");
    fs::copy(Path::new(&case).join("config.json"), transformer.join("config.json")).unwrap();
    let tensors = tch::Tensor::read_safetensors(Path::new(&case).join("weights.safetensors")).unwrap();
    let (first, second) = tensors.split_at(tensors.len() / 2);
    let mut map = serde_json::Map::new();
    for (part, tensors) in [("1", first), ("2", second)] {
        let name = format!("diffusion_pytorch_model-0000{part}-of-00002.safetensors");
        tch::Tensor::write_safetensors(tensors, transformer.join(&name)).unwrap();
        map.extend(tensors.iter().map(|(parameter, _)| (parameter.clone(), name.clone().into())));
    }
    let index = serde_json::json!({ "metadata": { "total_size": 0 }, "weight_map": map });
    fs::write(transformer.join("diffusion_pytorch_model.safetensors.index.json"), index.to_string()).unwrap();
    let config = r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0,
        "use_dynamic_shifting": true, "base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 256,
        "max_image_seq_len": 4096}"#;
    fs::write(scheduler.join("scheduler_config.json"), config).unwrap();
    folder.join("flux").display().to_string()
}

#[test]
fn distilled_networks_are_told_a_guidance_scale() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let model = flux(here);
    embeddings(&here.join("prompt.npy"), 1.0, "(3, 5)", 15);
    embeddings(&here.join("pooled.npy"), 0.5, "(7,)", 7);
    embeddings(&here.join("latents.npy"), 0.5, "(20, 4, 4, 8)", 20 * 128);
    let plan = ["--data", "latents.npy", "--scale", "none", "--timesteps", "10,200", "--samples", "2", "--out", "out"];
    let asked = ["--context", "prompt.npy", "--pooled", "pooled.npy", "--quantity", "both"];
    let with = |more: &[&'static str]| [&["measure", model.as_str()], &plan[..], &asked, more].concat();
    let run = |more: &[&'static str]| {
        clear(here);
        let output = lipscope(here, &with(more));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = report(&here.join("out"));
        let model = report["models"][0].clone();
        (model["curves"][0]["points"].clone(), model["model"].clone(), report["warnings"].to_string())
    };
    let (points, model, warnings) = run(&[]);
    let words = ["schedule", "prediction", "conditioning", "architecture"].map(|key| model[key].as_str().unwrap());
    assert_eq!(words, ["flow:timesteps=1000", "flow", "sigma*1000", "FluxTransformer2DModel"]);
    assert!(model["asked"].as_str().unwrap().contains("embedded guidance 3.5"), "{model}");
    assert!(warnings.contains("embedded guidance 3.5") && warnings.contains("--embedded-guidance"), "{warnings}");
    let (same, _, warnings) = run(&["--embedded-guidance", "3.5"]);
    assert!(same == points && !warnings.contains("--embedded-guidance"), "{warnings}");
    assert_ne!(run(&["--embedded-guidance", "1"]).0, points);
    refuse(here, &with(&["--time-ids", "1,2,3,4,5,6"]), &["takes no time ids", "Leave out --time-ids"]);
    refuse(here, &with(&["--embedded-guidance", "nan"]), &["--embedded-guidance", "finite"]);
    // Without a scheduler it is what all of its kind are.
    let bare = here.join("flux/transformer").display().to_string();
    fs::remove_dir_all(here.join("flux/scheduler")).unwrap();
    let arguments = [&["measure", bare.as_str()], &plan[..], &asked].concat();
    clear(here);
    assert!(lipscope(here, &arguments).status.success());
    let bare = report(&here.join("out"))["models"][0].clone();
    assert_eq!(bare["curves"][0]["points"], points);
}
