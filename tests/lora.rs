//! Low-rank adaptations: what a network computes with one against PEFT, and what is said and refused on the command line.
//!
//! The fixtures and how they were made: `tests/fixtures/lora/make.py`.

mod common;

use common::closeness::{Tolerance, assert_close, compare};
use common::{clear, fixture, lipscope, refuse, report, succeed};
use lipscope::dual::Dual;
use lipscope::lora::Lora;
use lipscope::network::{self, Condition, Network};
use lipscope::nn::Weights;
use lipscope_core::cli::args::LoraSpec;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// The network that each adaptation was made for.
const CASES: [(&str, &str); 4] = [
    ("peft", "unet2d_condition/stable_diffusion_1"),
    ("kohya", "unet2d_condition/stable_diffusion_1"),
    ("original", "unet2d_condition/stable_diffusion_xl"),
    ("flux", "mmdit/flux_dev"),
];

fn tensors(path: impl AsRef<Path>) -> BTreeMap<String, Tensor> {
    Tensor::read_safetensors(path).unwrap().into_iter().collect()
}

fn network(name: &str, kind: Kind) -> Box<dyn Network> {
    let folder = PathBuf::from(fixture("networks")).join(name);
    let config = serde_json::from_str(&fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
    let weights = Weights::new(tensors(folder.join("weights.safetensors")), &folder);
    let mut network = network::build(&config, &weights, &folder).unwrap();
    network.to(Device::Cpu, kind).unwrap();
    network
}

fn spec(case: &str, scale: f64) -> LoraSpec {
    LoraSpec { path: fixture(&format!("lora/{case}/lora.safetensors")).into(), scale }
}

/// What the network says to the fixture's question.
fn epsilon(network: &dyn Network, expected: &BTreeMap<String, Tensor>, kind: Kind) -> Tensor {
    let constant = |name: &str| Dual::constant(expected[name].to_kind(kind));
    let optional = |name: &str| expected.get(name).map(|tensor| tensor.to_kind(kind));
    let condition = Condition {
        context: optional("context"),
        pooled: optional("pooled"),
        numbers: optional("numbers"),
        ..Condition::default()
    };
    network.forward(&constant("x"), &constant("t"), &condition).unwrap().value
}

#[test]
fn merged_adaptations_compute_what_peft_computes() {
    common::exponentials_of_the_fixtures();
    let _guard = tch::no_grad_guard();
    let single = Tolerance::of_largest(1e-5, "rounding of float32 is 1e-6; ten times that for other processors");
    let double = Tolerance::of_largest(2e-12, "rounding of float64");
    for (case, base) in CASES {
        let expected = tensors(fixture(&format!("lora/{case}/expected.safetensors")));
        for (kind, column, tolerance) in [(Kind::Float, "epsilon", single), (Kind::Double, "epsilon_f64", double)] {
            let network = network(base, kind);
            let plain = epsilon(&*network, &expected, kind);
            let far = compare(&plain, &expected[column], Tolerance::of_largest(0.05, "far from rounding"));
            assert!(far.is_err(), "{case} changes nothing");
            Lora::open(&spec(case, 1.0)).unwrap().merge(&*network).unwrap();
            assert_close(case, &epsilon(&*network, &expected, kind), &expected[column], tolerance);
        }
    }
}

#[test]
fn scales_add_up() {
    common::exponentials_of_the_fixtures();
    let _guard = tch::no_grad_guard();
    let weight = |merges: &[f64]| {
        let network = network("unet2d_condition/stable_diffusion_1", Kind::Double);
        for scale in merges {
            Lora::open(&spec("peft", *scale)).unwrap().merge(&*network).unwrap();
        }
        let parameters: BTreeMap<String, Tensor> = network.parameters().into_iter().collect();
        parameters["down_blocks.0.resnets.0.conv1.weight"].shallow_clone()
    };
    let tolerance = Tolerance::of_largest(1e-14, "rounding of float64");
    assert_close("0.25 and 0.75", &weight(&[0.25, 0.75]), &weight(&[1.0]), tolerance);
    assert_close("there and back", &weight(&[1.0, -1.0]), &weight(&[]), tolerance);
    assert_close("none", &weight(&[0.0]), &weight(&[]), Tolerance::absolute(0.0, "nothing is added"));
}

/// A diffusers folder with the network of the fixtures.
fn model(folder: &Path) -> String {
    let base = PathBuf::from(fixture("networks/unet2d_condition/stable_diffusion_1"));
    fs::create_dir(folder.join("sd")).unwrap();
    fs::copy(base.join("config.json"), folder.join("sd/config.json")).unwrap();
    fs::copy(base.join("weights.safetensors"), folder.join("sd/model.safetensors")).unwrap();
    folder.join("sd").display().to_string()
}

/// Files with arrays, to be measured with.
fn arrays(folder: &Path) {
    let save = |name: &str, tensor: Tensor| Tensor::write_safetensors(&[("x", tensor)], folder.join(name)).unwrap();
    save("prompt.safetensors", Tensor::ones([3, 5], (Kind::Float, Device::Cpu)));
    save("latents.safetensors", Tensor::ones([20, 4, 8, 8], (Kind::Float, Device::Cpu)) * 0.5);
}

const PLAN: [&str; 13] = [
    "--data",
    "latents.safetensors",
    "--scale",
    "none",
    "--context",
    "prompt.safetensors",
    "--timesteps",
    "10,200",
    "--samples",
    "2",
    "--out",
    "out",
    "--quiet",
];

#[test]
fn reports_name_what_was_merged() {
    common::exponentials_of_the_fixtures();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    arrays(here);
    let (model, lora) = (model(here), fixture("lora/kohya/lora.safetensors"));
    let scaled = format!("{lora}:0.5");
    let run = |arguments: &[&str]| {
        clear(here);
        succeed(here, &[arguments, &PLAN].concat());
        report(&here.join("out"))
    };
    let points = |report: &serde_json::Value, model: usize| report["models"][model]["curves"][0]["points"].clone();
    let plain = run(&["measure", &model]);
    assert!(plain["models"][0]["model"]["lora"].is_null());
    let merged = run(&["measure", &model, "--lora", &scaled]);
    let said = &merged["models"][0]["model"]["lora"][0];
    assert_eq!((said["scale"].as_f64(), said["layers"].as_u64()), (Some(0.5), Some(58)));
    assert_eq!(said["sha256"].as_str().unwrap(), lipscope::checkpoint::sha256(Path::new(&lora)).unwrap());
    assert_eq!(merged["provenance"]["plan"]["models"][0]["lora"][0], *said);
    let warnings = merged["warnings"].to_string();
    assert!(warnings.contains("58 layers") && warnings.contains("1 tensors of text encoders"), "{warnings}");
    assert_ne!(points(&plain, 0), points(&merged, 0));
    // Another scale is another plan.
    let output = lipscope(here, &[&["measure", &model, "--lora", &lora], &PLAN[..]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    // A comparison lays it over all models but the baseline.
    let both = run(&["compare", &model, &model, "--lora", &scaled]);
    assert_eq!((points(&both, 0), points(&both, 1)), (points(&plain, 0), points(&merged, 0)));
}

#[test]
fn what_cannot_be_merged_is_named() {
    common::exponentials_of_the_fixtures();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    arrays(here);
    let model = model(here);
    let lora = |case: &str| fixture(&format!("lora/{case}/lora.safetensors"));
    let refuse_lora =
        |lora: &str, says: &[&str]| refuse(here, &[&["measure", &model, "--lora", lora], &PLAN[..]].concat(), says);
    let write = |name: &str, tensors: &[(&str, Tensor)]| {
        Tensor::write_safetensors(tensors, here.join(name)).unwrap();
        name.to_string()
    };
    let ones = |sizes: &[i64]| Tensor::ones(sizes, (Kind::Float, Device::Cpu));
    refuse_lora("nowhere.safetensors", &["nowhere.safetensors"]);
    refuse_lora("x.safetensors:", &["--lora", "a colon between"]);
    refuse_lora(&lora("original"), &["are none of this UNet2DConditionModel", "trained for this network"]);
    refuse_lora("prompt.safetensors", &["`x` is no part of a low-rank adaptation"]);
    let down = ("unet.conv_in.lora_A.weight", ones(&[2, 4, 3, 3]));
    let half = write("half.safetensors", &[(down.0, down.1.shallow_clone())]);
    refuse_lora(&half, &["`conv_in` has no factor `up`"]);
    let wrong = write("wrong.safetensors", &[(down.0, down.1), ("unet.conv_in.lora_B.weight", ones(&[7, 2, 1, 1]))]);
    refuse_lora(&wrong, &["`conv_in` has factors [7, 2, 1, 1] and [2, 4, 3, 3]", "[6, 4, 3, 3]"]);
    let text = write("text.safetensors", &[("lora_te_x.lora_down.weight", ones(&[2, 2]))]);
    refuse_lora(&text, &["no low-rank adaptation of a denoising network"]);
    let hada = write("hada.safetensors", &[("lora_unet_conv_in.hada_w1_a", ones(&[2, 2]))]);
    refuse_lora(&hada, &["`lora_unet_conv_in.hada_w1_a` is no part"]);
    let module = fixture("torchscript/plain.pt");
    refuse(here, &["measure", &module, "--data", "digits", "--lora", &lora("peft")], &["--lora", "loads natively"]);
}
