//! EDM's pickles against the preconditionings that wrote them, and score_sde's checkpoints against its score functions:
//! `make.py` beside the fixtures says what is in them; and OpenAI's consistency models, whose files do not say what they are.

mod common;

use common::closeness::{Tolerance, assert_close};
use common::{refuse, succeed};
use lipscope::checkpoint::{self, Checkpoint, Request};
use lipscope::denoiser::{AskedNetwork, AuxiliaryNetwork, Denoiser, NetworkDenoiser};
use lipscope::guidance::Asked;
use lipscope::network::Condition;
use lipscope::network::recognise::Told;
use lipscope::process::ProcessSpec;
use lipscope::response::Response;
use lipscope::schedule::{self, NoiseSchedule};
use lipscope::state::State;
use lipscope::timestep_map::Identity;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// File, name of its numbers, and what it says of itself.
const FILES: [(&str, &str, [&str; 3]); 5] = [
    ("edm.pkl", "edm", ["edm:sigma-min=0.002,sigma-max=80", "edm:sigma-data=0.4", "log-snr*-0.125"]),
    ("edm.pt", "edm", ["edm:sigma-min=0.002,sigma-max=80", "edm:sigma-data=0.4", "log-snr*-0.125"]),
    ("vp.pkl", "vp", ["vp:beta-min=0.1,beta-max=20", "vp", "c-noise-vp:beta-min=0.1,beta-max=20,steps=1000"]),
    ("ve.pkl", "ve", ["ve:sigma-min=0.02,sigma-max=100", "ve", "c-noise-ve"]),
    ("iddpm.pkl", "iddpm", ["cosine:s=0.008,max-beta=0.999,timesteps=1000", "vp", "step"]),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/edm_pickles").join(name)
}

fn expected(name: &str, kind: Kind) -> Tensor {
    let all = Tensor::read_safetensors(fixture("expected.safetensors")).unwrap();
    all.into_iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("no {name}")).1.to_kind(kind)
}

fn denoiser(file: &str, schedule: Option<&str>, kind: Kind) -> NetworkDenoiser {
    whole(checkpoint::open(&fixture(file), &Request::on(Device::Cpu)).unwrap(), schedule, kind)
}

fn whole(opened: Checkpoint, schedule: Option<&str>, kind: Kind) -> NetworkDenoiser {
    let (mut network, declared) = (opened.network, opened.declared);
    network.to(Device::Cpu, kind).unwrap();
    let own = || declared.schedule.unwrap().gaussian("a test").unwrap().schedule.clone();
    NetworkDenoiser {
        asked: AskedNetwork {
            network,
            map: Arc::new(Identity),
            conditioning: declared.conditioning.unwrap(),
            given: Asked::default(),
            sample_shape: vec![3, 8, 8],
            device: Device::Cpu,
            kind,
        },
        process: schedule.map_or_else(own, |name| schedule::parse(name).unwrap()).into(),
        prediction: declared.prediction.unwrap(),
        guidance: None,
    }
}

/// The t at which σ/α is so large, by halving.
fn time_of(schedule: &dyn NoiseSchedule, ratio: f64) -> f64 {
    let (mut low, mut high) = (-1.0, (schedule.timesteps() - 1) as f64);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if schedule.log_snr(middle) > -2.0 * ratio.ln() { low = middle } else { high = middle }
    }
    high
}

/// The timesteps of a fixture's two levels, and x_t = α (x₀ + s ε) there.
fn asked(name: &str, denoiser: &NetworkDenoiser) -> ([f64; 2], State) {
    let levels = Vec::<f64>::try_from(expected(&format!("{name}.sigma"), Kind::Double)).unwrap();
    let t = [levels[0], levels[1]].map(|level| time_of(denoiser.schedule(), level));
    let alpha = Tensor::from_slice(&t.map(|t| denoiser.schedule().alpha(t))).reshape([2, 1, 1, 1]);
    let x = (expected(&format!("{name}.x"), Kind::Double) * alpha).to_kind(denoiser.kind());
    let labels = (name == "edm").then(|| expected("edm.labels", Kind::Int64));
    (t, State { x, condition: Condition { labels, ..Condition::default() } })
}

#[test]
fn they_say_of_themselves_how_they_are_used() {
    for (file, _, says) in FILES {
        let opened = checkpoint::open(&fixture(file), &Request::on(Device::Cpu)).unwrap();
        // What it takes is known before its weights are read.
        let takes = checkpoint::declared(&fixture(file), &Request::on(Device::Cpu)).unwrap().takes.unwrap();
        assert_eq!(
            (takes.classes, takes.null_label),
            (opened.network.classes(), opened.network.null_label()),
            "{file}"
        );
        let declared = opened.declared;
        let said = [&declared.said_in.schedule, &declared.said_in.prediction, &declared.said_in.conditioning];
        assert!(said.iter().all(|part| part.as_deref() == Some("its preconditioning")), "{file}: {said:?}");
        let found = (
            declared.schedule.unwrap().name().to_string(),
            declared.prediction.unwrap().to_string(),
            declared.conditioning.unwrap(),
        );
        assert_eq!([found.0.as_str(), &found.1, &found.2.to_string()], says, "{file}");
        assert_eq!(declared.sample_shape, Some(vec![3, 8, 8]), "{file}");
        assert!(opened.left_out.is_empty() && opened.format.starts_with("persistent pickle, "), "{}", opened.format);
    }
}

/// ε = (x − D(x; σ))/σ of the original preconditioning as a whole, under its own schedule and, as a function of σ/α, under
/// another; iDDPM's c_noise is a step of its own schedule.
#[test]
fn values_are_those_of_the_original_preconditionings() {
    let _guard = tch::no_grad_guard();
    for (file, name, _) in FILES {
        for schedule in [None, Some("linear"), Some("edm:timesteps=500")] {
            if schedule.is_some() && name == "iddpm" {
                continue;
            }
            let double = Tolerance::of_largest(1e-11, "t is found to 1e-14, and Fourier features turn by 300 radians");
            let single = Tolerance::of_largest(1e-4, "3e-5 of a phase of 300 radians in float32, and rounding of 1e-6");
            for (kind, tolerance) in [(Kind::Double, double), (Kind::Float, single)] {
                let denoiser = denoiser(file, schedule, kind);
                let (t, state) = asked(name, &denoiser);
                let theirs = expected(&format!("{name}.epsilon"), Kind::Double);
                let ours = denoiser.value(&state, &t).unwrap().to_kind(Kind::Double);
                for row in 0..2 {
                    let what = format!("{file} under {schedule:?} in {kind:?} at t = {}", t[row as usize]);
                    assert_close(what, &ours.get(row), &theirs.get(row), tolerance);
                }
            }
        }
    }
}

#[test]
fn rates_are_differences() {
    let _guard = tch::no_grad_guard();
    for (file, name, _) in FILES {
        let denoiser = denoiser(file, None, Kind::Double);
        let (t, state) = asked(name, &denoiser);
        let at = |h: f64| denoiser.value(&state, &t.map(|t| t + h)).unwrap();
        let central = |h: f64| (at(h) - at(-h)) / (2.0 * h);
        let h = 2e-3;
        let [wide, middle, narrow] = [4.0 * h, 2.0 * h, h].map(central);
        let (coarse, fine): (Tensor, Tensor) = ((4.0 * &middle - wide) / 3.0, (4.0 * narrow - &middle) / 3.0);
        let differences: Tensor = (16.0 * fine - coarse) / 15.0;
        let tolerance = Tolerance::of_largest(1e-7, "of the differences: O(h⁶) and rounding 1e-14/h");
        assert_close(file, &denoiser.rate(&state, &t).unwrap(), &differences, tolerance);
    }
}

#[test]
fn what_a_pickle_would_call_is_not_called() {
    let trace = Path::new("/tmp/called-by-a-pickle");
    assert!(!trace.exists(), "remove {} first", trace.display());
    let opened = checkpoint::open(&fixture("call.pkl"), &Request::on(Device::Cpu)).unwrap();
    assert_eq!(opened.network.architecture(), "SongUNet");
    assert!(!trace.exists());
}

/// Every cut of a pickle is an error, and none takes the process down.
#[test]
fn cut_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pkl");
    let whole = std::fs::read(fixture("edm.pkl")).unwrap();
    for parts in 0..60 {
        std::fs::write(&path, &whole[..whole.len() * parts / 60]).unwrap();
        let refused = checkpoint::open(&path, &Request::on(Device::Cpu)).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("cut.pkl"), "{refused}");
    }
}

#[test]
fn the_command_line_inspects_measures_and_samples_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture("edm.pkl").display().to_string();
    let described = succeed(folder.path(), &["inspect", &path]);
    for says in ["persistent pickle, EDMPrecond", "SongUNet", "edm:sigma-data=0.4", "[3,8,8]", "log-snr*-0.125"] {
        assert!(described.contains(says), "{says} is not in {described}");
    }
    let shared = ["--class", "3", "--seed", "1"];
    let measured = ["measure", &path, "--timesteps", "0,500,900", "--samples", "4", "--quantity", "both", "--out", "m"];
    let reading = succeed(folder.path(), &[&measured[..], &shared[..]].concat());
    assert!(reading.contains("1/log-SNR"), "{reading}");
    let sampled = ["sample", &path, "--samples", "4", "--nfe", "6", "--spacing", "karras", "--out", "s"];
    succeed(folder.path(), &[&sampled[..], &shared[..]].concat());
    refuse(
        folder.path(),
        &["measure", &path, "--class", "3", "--weights", "raw"],
        &["holds one set of weights, `ema`"],
    );
}

/// ε = −σ score of the trainer's score function, whose images lie in [0, 1] and are [−1, 1] here: x and σ are doubled. Averages
/// are the default, though their list has no names.
#[test]
fn score_networks_are_those_of_their_trainer() {
    let _guard = tch::no_grad_guard();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks/score_sde");
    let expected: std::collections::BTreeMap<String, Tensor> =
        Tensor::read_safetensors(folder.join("checkpoint.safetensors")).unwrap().into_iter().collect();
    let sigma = Vec::<f64>::try_from(&expected["sigma"]).unwrap();
    for (weights, column) in [(None, "ema"), (Some("raw"), "raw")] {
        let request = Request { weights, ..Request::on(Device::Cpu) };
        let opened = checkpoint::open(&folder.join("checkpoint.pth"), &request).unwrap();
        assert_eq!(opened.network.architecture(), "NCSNpp");
        assert_eq!(opened.declared.schedule.as_ref().unwrap().name(), "ve:sigma-min=0.02,sigma-max=100");
        let denoiser = whole(opened, None, Kind::Double);
        let x: Tensor = 2.0 * &expected["x"] - 1.0;
        let t = [sigma[0], sigma[1]].map(|sigma| time_of(denoiser.schedule(), 2.0 * sigma));
        let found = denoiser.value(&State::unconditional(x), &t).unwrap();
        let tolerance = Tolerance::of_largest(1e-11, "t is found to 1e-14, and Fourier features turn by 300 radians");
        for row in 0..2 {
            assert_close(column, &found.get(row), &expected[column].get(row), tolerance);
        }
    }
}

/// ε_v = −L_vv score_v of CLD-SGM's score function, with its mixed score and its numerical epsilon: x and v go in, v comes out.
#[test]
fn networks_of_velocities_are_those_of_their_trainer() {
    let _guard = tch::no_grad_guard();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks/score_sde");
    let expected: std::collections::BTreeMap<String, Tensor> =
        Tensor::read_safetensors(folder.join("cld_sgm.safetensors")).unwrap().into_iter().collect();
    let t: Vec<f64> = Vec::<f64>::try_from(&expected["t"]).unwrap().iter().map(|unit| 1000.0 * unit - 1.0).collect();
    for (weights, column) in [(None, "ema"), (Some("raw"), "raw")] {
        let request = Request { weights, ..Request::on(Device::Cpu) };
        let Checkpoint { mut network, declared, .. } = checkpoint::open(&folder.join("cld_sgm.pth"), &request).unwrap();
        network.to(Device::Cpu, Kind::Double).unwrap();
        let (Some(ProcessSpec::LinearGaussian(process)), Some(conditioning)) =
            (declared.schedule, declared.conditioning)
        else {
            panic!("no process");
        };
        assert_eq!((process.name.as_str(), conditioning.to_string().as_str()), ("cld", "ln-unit"));
        let asked = AskedNetwork {
            network,
            map: Arc::new(Identity),
            conditioning,
            given: Asked::default(),
            sample_shape: vec![3, 8, 8],
            device: Device::Cpu,
            kind: Kind::Double,
        };
        let response = AuxiliaryNetwork::new(asked, process, declared.prediction.unwrap(), None).unwrap();
        assert_eq!(response.names(), ["v"]);
        let state = State::unconditional(expected["u"].shallow_clone());
        let tolerance =
            Tolerance::of_largest(1e-11, "rounding of float64, and cancellation in the trainer's variances");
        assert_close(column, &response.value(&state, &t).unwrap(), &expected[column], tolerance);
        // Exact rates against differences, extrapolated to an error of h⁴.
        let at = |by: f64| response.value(&state, &t.iter().map(|t| t + by).collect::<Vec<_>>()).unwrap();
        let central = |h: f64| (at(h) - at(-h)) / (2.0 * h);
        let difference = (central(1e-3) * 4.0 - central(2e-3)) / 3.0;
        let tolerance = Tolerance::of_largest(1e-7, "truncation, and rounding over h");
        assert_close("rate", &response.rate(&state, &t).unwrap(), &difference, tolerance);
    }
    let (folder, path) = (tempfile::tempdir().unwrap(), common::fixture("networks/score_sde/cld_sgm.pth"));
    let measure =
        ["measure", &path, "--data", "gaussian:dim=192", "--shape", "3,8,8", "--timesteps", "9", "--samples", "2"];
    let measured = succeed(folder.path(), &[&measure[..], &["--output", "v=0", "--out", "m"]].concat());
    assert!(measured.contains("of v") && measured.contains("told ln-unit") && measured.contains("predicts mixed"));
    refuse(folder.path(), &[&measure[..], &["--output", "1"]].concat(), &["TorchScript modules"]);
}

#[test]
fn an_sde_that_no_weight_tells_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = common::fixture("networks/score_sde/ddpmpp/weights.safetensors");
    let measure = ["measure", &path, "--shape", "3,8,8", "--samples", "2", "--timesteps", "0,500", "--dt", "1"];
    refuse(folder.path(), &measure, &["NCSNpp of score_sde", "--config sde=vp"]);
    refuse(folder.path(), &[&measure[..], &["--config", "sde=ve"]].concat(), &["sde=ve", "vp or subvp"]);
    let measured = succeed(folder.path(), &[&measure[..], &["--config", "sde=subvp", "--out", "m"]].concat());
    assert!(measured.contains("1/step"), "{measured}");
}

/// The averages are in float16, and normalised weights are float32 all the same.
#[test]
fn snapshots_of_edm2_are_those_of_their_preconditioning() {
    let _guard = tch::no_grad_guard();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks/edm2");
    let expected: std::collections::BTreeMap<String, Tensor> =
        Tensor::read_safetensors(folder.join("snapshot.safetensors")).unwrap().into_iter().collect();
    let opened = checkpoint::open(&folder.join("snapshot.pkl"), &Request::on(Device::Cpu)).unwrap();
    let declared = &opened.declared;
    assert_eq!((opened.format.as_str(), opened.network.classes()), ("persistent pickle, Precond", Some(5)));
    assert_eq!(declared.prediction.unwrap().to_string(), "edm:sigma-data=0.5");
    let denoiser = whole(opened, None, Kind::Double);
    let sigma = Vec::<f64>::try_from(&expected["sigma"]).unwrap();
    let t = [sigma[0], sigma[1]].map(|sigma| time_of(denoiser.schedule(), sigma));
    let labels = Some(expected["labels"].shallow_clone());
    let condition = Condition { labels, ..Condition::default() };
    let found = denoiser.value(&State { x: expected["x"].shallow_clone(), condition }, &t).unwrap();
    let tolerance = Tolerance::of_largest(1e-11, "t is found to 1e-14, and rounding of float64");
    for row in 0..2 {
        assert_close("ε", &found.get(row), &expected["epsilon"].get(row), tolerance);
    }
}

/// x̂₀ of the original, as a consistency model and as the EDM that it was distilled from; at σ_min the first is x itself.
#[test]
fn consistency_models_answer_with_their_boundary() {
    let _guard = tch::no_grad_guard();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks/consistency_models");
    for name in ["imagenet", "lsun"] {
        let folder = folder.join(name);
        let told = std::fs::read_to_string(folder.join("told.json")).unwrap();
        let told: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&told).unwrap();
        let expected: std::collections::BTreeMap<String, Tensor> =
            Tensor::read_safetensors(folder.join("denoised.safetensors")).unwrap().into_iter().collect();
        let sigma = Vec::<f64>::try_from(&expected["sigma"]).unwrap();
        for prediction in ["consistency", "edm"] {
            let mut told = told.clone();
            told.insert("model".into(), prediction.into());
            let told = Told::new(told);
            let request = Request { told: Some(&told), ..Request::on(Device::Cpu) };
            let denoiser =
                whole(checkpoint::open(&folder.join("weights.safetensors"), &request).unwrap(), None, Kind::Double);
            let t = [sigma[0], sigma[1]].map(|sigma| time_of(denoiser.schedule(), sigma));
            let labels = expected.get("labels").map(Tensor::shallow_clone);
            let state =
                State { x: expected["x"].shallow_clone(), condition: Condition { labels, ..Condition::default() } };
            let found = denoiser.x0(&state, &t).unwrap();
            let tolerance = Tolerance::of_largest(1e-11, "t is found to 1e-14, and 250 ln σ turns by 1,500 radians");
            for row in 0..2 {
                let what = format!("{name}, {prediction}, σ = {}", sigma[row as usize]);
                assert_close(what, &found.get(row), &expected[prediction].get(row), tolerance);
            }
            if (name, prediction) == ("lsun", "consistency") {
                let boundary = Tolerance::of_largest(1e-12, "c_skip = 1 and c_out = 0 at σ_min");
                assert_close("boundary", &found.get(0), &expected["x"].get(0), boundary);
            }
        }
    }
}

#[test]
fn whether_it_is_a_consistency_model_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = common::fixture("networks/consistency_models/lsun/weights.safetensors");
    let heads = ["--config", "num_head_channels=2", "--config", "norm_num_groups=2"];
    let measure =
        [&["measure", &path, "--shape", "3,8,8", "--samples", "2", "--timesteps", "0,500"][..], &heads].concat();
    refuse(folder.path(), &measure, &["consistency_models", "--config model=consistency"]);
    for more in [["--config", "model=consistency"], ["--prediction", "edm"]] {
        let measured = succeed(folder.path(), &[&measure[..], &more, &["--out", more[1]]].concat());
        assert!(measured.contains("1/log-SNR"), "{measured}");
    }
}
