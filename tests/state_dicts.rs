//! State dicts as trainers save them: which weights are taken, what is told about them, and that nothing of a file runs.
//!
//! The fixtures and how they were made: `tests/fixtures/state_dicts/make.py`.

mod common;

use common::{fixture, lipscope, refuse, report, succeed};
use lipscope::checkpoint::{self, Checkpoint, Request};
use lipscope::network::recognise::Told;
use lipscope::prediction::Prediction;
use lipscope::schedule;
use std::path::Path;
use tch::{Device, Tensor};

fn told(text: &str) -> Told {
    Told::new(serde_json::from_str::<serde_json::Value>(text).unwrap().as_object().unwrap().clone())
}

const DIT: &str = r#"{"num_heads": 1, "num_classes": 5}"#;
const UNET: &str = r#"{"norm_num_groups": 2, "num_heads": 2, "num_heads_upsample": 4}"#;

fn open(name: &str, weights: Option<&str>, config: &str) -> Checkpoint {
    let (path, told) = (fixture(&format!("state_dicts/{name}")), told(config));
    let request = Request { weights, told: Some(&told), ..Request::on(Device::Cpu) };
    checkpoint::open(Path::new(&path), &request).unwrap()
}

/// Averages times 1/2; positions, which are never learned, are their own average.
const SHADOW: f64 = -0.5;

/// The weights that lie in `network`'s fixture, times `factor`, are those of the checkpoint.
fn is_fixture(checkpoint: &Checkpoint, network: &str, factor: f64) -> bool {
    let path = fixture(&format!("networks/{network}/weights.safetensors"));
    let expected = Tensor::read_safetensors(path).unwrap();
    let parameters: std::collections::BTreeMap<_, _> = checkpoint.network.parameters().into_iter().collect();
    let times = |name: &str| match factor {
        SHADOW if name == "pos_embed" => 1.0,
        SHADOW => 0.5,
        factor => factor,
    };
    parameters.len() == expected.len() && expected.iter().all(|(name, tensor)| parameters[name] == tensor * times(name))
}

#[test]
fn averages_are_preferred_and_others_can_be_asked_for() {
    let network = "dit/paper_without_null_class";
    for (weights, factor) in [(None, 0.5), (Some("ema"), 0.5), (Some("model"), 1.0), (Some("raw"), 1.0)] {
        assert!(is_fixture(&open("dit.pt", weights, DIT), network, factor), "{weights:?}");
    }
    assert_eq!(open("dit.pt", None, DIT).format, "state dict, weights ema");
}

#[test]
fn weights_of_dit_and_sit_look_alike_and_are_told_apart_by_a_word() {
    let open = |config: &str| {
        let (path, told) = (fixture("networks/sit/large_patches/weights.safetensors"), told(config));
        checkpoint::open(Path::new(&path), &Request { told: Some(&told), ..Request::on(Device::Cpu) }).unwrap()
    };
    let sit = open(r#"{"num_heads": 1, "num_classes": 5, "sit": true}"#);
    assert_eq!((sit.network.architecture(), sit.declared.prediction), ("SiT".into(), Some(Prediction::ReversedFlow)));
    let schedule = sit.declared.schedule.unwrap().gaussian("a test").unwrap().schedule.clone();
    // A quarter of the way from data to noise, where SiT's time is 3/4.
    assert_eq!([schedule.alpha(249.0), schedule.sigma(249.0)], [0.75, 0.25]);
    assert_eq!(sit.declared.conditioning.unwrap().coordinate(&*schedule, 249.0), 0.75);
    assert!(sit.notes.is_empty());
    let dit = open(DIT);
    assert_eq!((dit.network.architecture(), dit.declared.prediction), ("DiT".into(), None));
    assert!(dit.notes.iter().any(|note| note.contains("--config sit=true")), "{:?}", dit.notes);
    assert!(open(r#"{"num_heads": 1, "num_classes": 5, "sit": false}"#).notes.is_empty());
}

#[test]
fn sit_is_measured_along_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture("networks/sit/large_patches/weights.safetensors");
    let config = ["--config", "num_heads=1", "--config", "num_classes=5", "--config", "sit=true", "--class", "2"];
    let plan = ["--data", "gaussian:dim=192", "--timesteps", "10,500", "--samples", "4", "--out", "out", "--quiet"];
    let run = |name: &str, more: &[&str]| {
        let mut all = [&["measure", path.as_str()], &config[..], &plan, &["--shape", "3,8,8"], more].concat();
        let place = all.iter().position(|word| *word == "out").unwrap();
        all[place] = name;
        succeed(folder.path(), &all);
        report(&folder.path().join(name))["models"][0].clone()
    };
    let known = run("known", &[]);
    let model = &known["model"];
    let words = ["schedule", "prediction", "conditioning"].map(|key| model[key].as_str().unwrap());
    assert_eq!(words, ["flow", "reversed-flow", "1-unit"]);
    let typed = run("typed", &["--schedule", "flow", "--prediction", "reversed-flow", "--time-input", "1-unit"]);
    assert_eq!(known["curves"][0]["points"], typed["curves"][0]["points"]);
    let forward = run("forward", &["--prediction", "flow"]);
    assert_ne!(known["curves"][0]["points"], forward["curves"][0]["points"]);
}

#[test]
fn latent_diffusion_checkpoints_open_as_they_are() {
    let checkpoint = open("latent.ckpt", None, UNET);
    assert!(is_fixture(&checkpoint, "openai_unet/improved_heads", 0.5));
    assert!(is_fixture(&open("latent.ckpt", Some("raw"), UNET), "openai_unet/improved_heads", 1.0));
    assert_eq!(checkpoint.left_out, ["trainer_of_somebody.Callback"]);
    // The schedule of the buffers: β in float32, so ᾱ to a thousand times its rounding.
    let expected = schedule::parse("scaled-linear").unwrap();
    let found = checkpoint.declared.schedule.unwrap().gaussian("a test").unwrap().schedule.clone();
    assert_eq!(found.timesteps(), 1000);
    for t in [0.0, 10.0, 500.0, 999.0] {
        assert!((found.alpha_bar(t) / expected.alpha_bar(t) - 1.0).abs() < 1e-4, "{t}");
    }
}

#[test]
fn prefixes_and_the_old_format_do_not_matter() {
    assert!(is_fixture(&open("parallel.pt", None, UNET), "openai_unet/improved_heads", 1.0));
}

/// Configurations of Hydra hold themselves; that they are there changes nothing about the weights.
#[test]
fn objects_that_hold_themselves_are_left_out_and_named() {
    let checkpoint = open("hydra.ckpt", None, DIT);
    assert!(is_fixture(&checkpoint, "dit/paper_without_null_class", 1.0));
    assert_eq!(checkpoint.format, "state dict, weights state_dict.model");
    for name in
        ["make.Node", "argparse.Namespace", "datetime.datetime", "functools.partial", "a dict that holds itself"]
    {
        assert!(checkpoint.left_out.iter().any(|object| object == name), "{name}: {:?}", checkpoint.left_out);
    }
}

#[test]
fn averages_are_known_by_every_name_of_the_field() {
    let network = "dit/paper_without_null_class";
    for (file, average, raw) in [
        ("averaged.pt", "swa_net.module", "net"),
        ("weight_averaging.ckpt", "state_dict.model", "current_model_state.model"),
        ("shadow.pt", "ema.shadow_params", "model"),
    ] {
        let named = |weights, factor| {
            let checkpoint = open(file, weights, DIT);
            assert!(is_fixture(&checkpoint, network, factor), "{file}: {weights:?}");
            checkpoint.weights.unwrap()
        };
        for weights in [None, Some("ema"), Some(average)] {
            // Which of them is used is said, with what there is.
            let used = named(weights, if file == "shadow.pt" { SHADOW } else { 0.5 });
            assert_eq!(used.name, average);
            assert!(used.all.iter().any(|name| name == raw), "{used:?}");
        }
        for weights in [Some("raw"), Some(raw)] {
            assert_eq!(named(weights, 1.0).name, raw);
        }
    }
}

#[test]
fn config_completes_what_the_file_does_not_say() {
    let config = r#"{"num_heads": 1, "num_classes": 5, "schedule": "cosine", "prediction": "v"}"#;
    let declared = open("dit.pt", None, config).declared;
    assert_eq!(
        (declared.prediction, declared.schedule.unwrap().name().to_string()),
        (Some(Prediction::V), "cosine".to_string())
    );
}

/// The command that asks for it is the one that works.
#[test]
fn what_shapes_do_not_tell_is_asked_for_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let file = fixture("state_dicts/dit.pt");
    refuse(here, &["measure", &file, "--class", "0", "--shape", "2,4,4"], &["DiT", "--config num_classes="]);
    let classes = ["--config", "num_classes=5"];
    refuse(here, &[&["measure", &file], &classes[..]].concat(), &["DiT", "--config num_heads="]);
    refuse(
        here,
        &[&["measure", &file, "--config", "num_heads=1", "--config", "depth=2"], &classes[..]].concat(),
        &["depth"],
    );
    refuse(here, &["measure", &file, "--weights", "swa"], &["--weights", "ema, model"]);
    refuse(here, &[&["measure", &file, "--config", "num_heads=four"], &classes[..]].concat(), &["num_heads"]);
}

#[test]
fn parameters_of_types_that_are_not_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = fixture("state_dicts/eighth.pt");
    let said = ["--config", "num_heads=1", "--config", "num_classes=5", "--class", "0"];
    let says = ["x_embedder.proj.weight (", "float8_e4m3fn", "Convert the weights"];
    refuse(folder.path(), &[&["measure", &file], &said[..]].concat(), &says);
}

#[test]
fn inspect_says_what_is_there_and_what_is_still_to_be_said() {
    let folder = tempfile::tempdir().unwrap();
    let text = succeed(folder.path(), &["inspect", &fixture("state_dicts/dit.pt")]);
    for words in ["DiT", "ema, model", "argparse.Namespace", "num_classes"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

/// Python would run `touch lipscope-was-here` on opening it.
#[test]
fn a_pickle_that_runs_a_command_is_measured_without_running_it() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let file = fixture("state_dicts/command.pt");
    let listed = succeed(here, &["inspect", &file]);
    assert!(listed.contains("posix.system"), "{listed}");
    let plan = ["--data", "model", "--timesteps", "0,500", "--samples", "2", "--class", "0", "--out", "out"];
    let config = ["--config", "num_heads=1", "--config", "num_classes=5"];
    let output = lipscope(here, &[&["measure", &file], &plan[..], &config].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("never run: posix.system"), "{stderr}");
    assert!(report(&here.join("out"))["warnings"].to_string().contains("posix.system"));
    let names: Vec<_> = std::fs::read_dir(here).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["out"]);
}
