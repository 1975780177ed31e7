//! ∂ε/∂t of the whole model (network, condition, timestep map, prediction type, schedule) against differences of the same
//! model in float64. Networks alone are differentiated in `network_parity.rs`, and here those of diffusers' UNet2DModel
//! and the residual perceptron with every prediction type.

mod common;

use common::closeness::{Numbers, largest};
use lipscope::denoiser::{AskedNetwork, NetworkDenoiser, RateParts};
use lipscope::guidance::{Asked, Given, Source};
use lipscope::input::Input;
use lipscope::network::mlp::{MlpConfig, ResidualMlp};
use lipscope::network::recognise::Told;
use lipscope::network::unet2d::{UNet2d, UNet2dConfig};
use lipscope::network::{self, Network};
use lipscope::nn::Weights;
use lipscope::prediction::Prediction;
use lipscope::response::Response;
use lipscope::schedule;
use lipscope::state::Columns;
use lipscope::state::State;
use lipscope::time::Conditioning;
use lipscope::timestep_map::{Identity, Remap, TimestepMap};
use lipscope_core::attribution::PartKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// One timestep for each of two samples.
const TIMES: [f64; 2] = [3.3, 640.7];

/// Everything but the architecture.
struct Setting {
    prediction: Prediction,
    condition: &'static str,
    schedule: &'static str,
    map: Arc<dyn TimestepMap>,
}

fn settings() -> Vec<Setting> {
    let identity = || Arc::new(Identity) as Arc<dyn TimestepMap>;
    let of = |prediction, condition, schedule, map| Setting { prediction, condition, schedule, map };
    let mut all: Vec<Setting> =
        Prediction::ALL.into_iter().map(|(prediction, _)| of(prediction, "step", "linear", identity())).collect();
    all.push(of(Prediction::Epsilon, "sigma*1000", "cosine", identity()));
    // c_noise = ln(σ/α)/4 of EDM is −λ/8.
    all.push(of(Prediction::V, "log-snr*-0.125", "linear", identity()));
    all.push(of(Prediction::Flow, "unit*1000", "flow", identity()));
    all.push(of(Prediction::ReversedFlow, "1-unit", "flow:shift=3", identity()));
    all.push(of(Prediction::Epsilon, "step", "linear", Arc::new(Remap::new(800.0).unwrap())));
    all
}

fn denoiser(network: Box<dyn Network>, asked: Asked, shape: &[i64], kind: Kind, s: &Setting) -> NetworkDenoiser {
    NetworkDenoiser {
        asked: AskedNetwork {
            network,
            map: Arc::clone(&s.map),
            conditioning: s.condition.parse::<Conditioning>().unwrap(),
            given: asked,
            sample_shape: shape.to_vec(),
            device: Device::Cpu,
            kind,
        },
        process: schedule::parse(s.schedule).unwrap().into(),
        prediction: s.prediction,
        guidance: None,
    }
}

/// x under what the model is asked for.
fn state(denoiser: &NetworkDenoiser, x: &Tensor) -> State {
    let condition = denoiser.condition(TIMES.len() as i64, &Columns::default()).unwrap();
    State { x: x.shallow_clone(), condition }
}

/// d/dh of ε(x, t + h) at 0 from central differences of steps h, 2h, 4h extrapolated twice: error O(h⁶).
fn differences(denoiser: &NetworkDenoiser, x: &Tensor, h: f64) -> Tensor {
    let state = state(denoiser, x);
    let at = |h: f64| denoiser.value(&state, &TIMES.map(|t| t + h)).unwrap();
    let central = |h: f64| (at(h) - at(-h)) / (2.0 * h);
    let (wide, middle, narrow) = (central(4.0 * h), central(2.0 * h), central(h));
    let (coarse, fine): (Tensor, Tensor) = ((4.0 * &middle - wide) / 3.0, (4.0 * narrow - &middle) / 3.0);
    (16.0 * fine - coarse) / 15.0
}

/// The largest relative difference of a sample, each against its own scale.
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    let rows = (0..a.size()[0]).map(|row| {
        let (a, b) = (a.get(row).to_kind(Kind::Double), b.get(row).to_kind(Kind::Double));
        let [difference, scale] = [&a - &b, b].map(|tensor| largest(tensor.abs().numbers()));
        assert!(scale > 0.0, "nothing to be compared with");
        difference / scale
    });
    largest(rows)
}

/// A network in a dtype.
type Build<'a> = &'a dyn Fn(Kind) -> Box<dyn Network>;

/// What a model is asked for, made anew for every model.
type Ask<'a> = &'a dyn Fn() -> Asked;

/// float64 against differences, and float32 against float64, in all settings.
fn check(name: &str, build: Build, label: Option<i64>, x: &Tensor, failures: &mut Vec<String>) {
    failures.extend(wrong_sum(name, build, label, x));
    failures.extend(settings().iter().filter_map(|setting| error(name, build, &|| Asked::class(label), x, setting)));
}

/// What is wrong with the sum of what each site contributes to ∂ε/∂t, in float64.
fn wrong_sum(name: &str, build: Build, label: Option<i64>, x: &Tensor) -> Option<String> {
    let (x, setting) = (x.to_kind(Kind::Double), &settings()[0]);
    let denoiser = denoiser(build(Kind::Double), Asked::class(label), &x.size()[1..], Kind::Double, setting);
    let state = state(&denoiser, &x);
    let parts = denoiser.parts(PartKind::Site, &state, &TIMES).unwrap();
    let sum = parts.iter().fold(x.zeros_like(), |sum, part| sum + denoiser.part(part, &state, &TIMES).unwrap());
    let error = difference(&sum, &denoiser.rate(&state, &TIMES).unwrap());
    (error > 1e-12).then(|| format!("{name}: {} sites add up to ∂ε/∂t with an error of {error:.1e}", parts.len()))
}

/// What is wrong in one setting.
fn error(name: &str, build: Build, ask: Ask, x: &Tensor, setting: &Setting) -> Option<String> {
    let (x, shape) = (x.to_kind(Kind::Double), &x.size()[1..]);
    let exact = denoiser(build(Kind::Double), ask(), shape, Kind::Double, setting);
    let rate = exact.rate(&state(&exact, &x), &TIMES).unwrap();
    // The step that suits: GroupNorm over a few numbers that nearly agree may turn within 0.01 of t, where a smaller
    // step loses digits to rounding elsewhere. A wrong tangent is far off at every step.
    let error = |h: f64| difference(&rate, &differences(&exact, &x, h));
    let double = [4e-3, 1e-3, 1e-4].map(error).into_iter().fold(f64::INFINITY, f64::min);
    let single = denoiser(build(Kind::Float), ask(), shape, Kind::Float, setting);
    let state = state(&single, &x.to_kind(Kind::Float));
    let single = difference(&single.rate(&state, &TIMES).unwrap(), &rate);
    // float64: O(h⁶) and rounding over h. float32: 1e-7 over the layers, and phases to 4e-5 at 640 rad, to 6e-5 where
    // the condition goes up to 1000.
    let allowed = if setting.condition == "step" { 1e-4 } else { 3e-4 };
    let (prediction, condition) = (setting.prediction.name(), setting.condition);
    (double > 1e-6 || single > allowed)
        .then(|| format!("{name}, {prediction}, {condition}: float64 {double:.1e}, float32 {single:.1e}"))
}

#[test]
fn every_unet2d_and_prediction_type_is_differentiated_exactly() {
    let _no_grad = tch::no_grad_guard();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/unet2d");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("config.json").exists());
    folders.sort();
    let (mut failures, mut checked) = (Vec::new(), 0);
    for folder in folders {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        // Learned embeddings exist on the grid only, Fourier features of ln t turn too fast for these steps (they have a
        // test of their own), and classes given by embeddings are no labels.
        if ["learned_time", "fourier", "class_identity"].contains(&&*name) {
            continue;
        }
        let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let config = UNet2dConfig::from_json(&json, &folder).unwrap();
        // Of another number of channels than x, an output is no noise.
        let channels = |key: &str| json[key].as_i64().unwrap_or(3);
        if ![1, 2].map(|n| n * channels("in_channels")).contains(&channels("out_channels")) {
            continue;
        }
        let build = |kind: Kind| {
            let path = folder.join("diffusion_pytorch_model.safetensors");
            let weights = Weights::new(Tensor::read_safetensors(&path).unwrap().into_iter().collect(), &path);
            let mut network = UNet2d::new(&config, &weights).unwrap();
            network.to(Device::Cpu, kind).unwrap();
            Box::new(network) as Box<dyn Network>
        };
        let expected = Tensor::read_safetensors(folder.join("expected.safetensors")).unwrap();
        let (_, x) = expected.iter().find(|(name, _)| name == "x").unwrap();
        let label = name.starts_with("class_").then_some(1);
        check(&name, &build, label, x, &mut failures);
        checked += 1;
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(checked, 15, "fixtures that were checked");
}

#[test]
fn the_residual_mlp_is_differentiated_exactly() {
    let _no_grad = tch::no_grad_guard();
    let config = MlpConfig::new(vec![2], 32, 2, Path::new("test")).unwrap();
    let build = |kind: Kind| {
        let mut network = ResidualMlp::new(&config, &Weights::fresh(3)).unwrap();
        network.to(Device::Cpu, kind).unwrap();
        Box::new(network) as Box<dyn Network>
    };
    let mut failures = Vec::new();
    let x = Tensor::from_slice(&[0.3f64, -0.8, 1.2, 0.1]).view([2, 2]);
    check("mlp", &build, None, &x, &mut failures);
    assert!(failures.is_empty(), "{failures:#?}");
}

/// With everything that is asked of them: labels, contexts, pooled embeddings, sizes and a guidance scale.
#[test]
fn text_to_image_models_and_sit_are_differentiated_exactly() {
    let _no_grad = tch::no_grad_guard();
    let mut failures = Vec::new();
    for (case, prediction, condition, schedule) in [
        ("unet2d_condition/stable_diffusion_xl", Prediction::Epsilon, "step", "scaled-linear"),
        ("sit/learned_variance", Prediction::ReversedFlow, "1-unit", "flow"),
        ("mmdit/sd3_5", Prediction::Flow, "sigma*1000", "flow:shift=3"),
        ("mmdit/flux_dev", Prediction::Flow, "sigma*1000", "flow"),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks").join(case);
        let read = |name: &str| {
            let tensors = Tensor::read_safetensors(folder.join(name)).unwrap();
            tensors.into_iter().collect::<std::collections::BTreeMap<String, Tensor>>()
        };
        let config = match std::fs::read_to_string(folder.join("config.json")) {
            Ok(text) => serde_json::from_str(&text).unwrap(),
            Err(_) => {
                let text = std::fs::read_to_string(folder.join("told.json")).unwrap();
                let told: serde_json::Value = serde_json::from_str(&text).unwrap();
                let shapes =
                    read("weights.safetensors").iter().map(|(name, tensor)| (name.clone(), tensor.size())).collect();
                let (_, state_dict) = network::recognise(&shapes).unwrap();
                (state_dict.config)(&shapes, &Told::new(told.as_object().unwrap().clone())).unwrap()
            }
        };
        let build = |kind: Kind| {
            let weights = Weights::new(read("weights.safetensors"), &folder);
            let mut network = network::build(&config, &weights, &folder).unwrap();
            network.to(Device::Cpu, kind).unwrap();
            network
        };
        let expected = read("expected.safetensors");
        let first = |name: &str| expected.get(name).map(|tensor| tensor.narrow(0, 0, 1));
        let what = build(Kind::Float).additions().numbers;
        let ask = || Asked {
            label: first("labels").map(|label| Source::Same(label.int64_value(&[0]))),
            context: first("context").map(|values| Input::same("embeddings", values)),
            pooled: first("pooled").map(|values| Input::same("pooled embeddings", values)),
            numbers: first("numbers").zip(what).map(|(numbers, what)| Given {
                what,
                values: Vec::try_from(numbers.to_kind(Kind::Double).flatten(0, -1)).unwrap(),
            }),
            ..Asked::default()
        };
        let setting = Setting { prediction, condition, schedule, map: Arc::new(Identity) };
        failures.extend(error(case, &build, &ask, &expected["x"], &setting));
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
