//! Networks over symbols as their trainers save them: SEDD's and MDLM's folders, runs and files, against what they compute.
//!
//! tests/fixtures/networks/sedd/make.py writes what is read here.

mod common;

use common::closeness::{Tolerance, assert_close};
use common::{clear, fixture, lipscope, refuse, report, succeed};
use lipscope::checkpoint::{self, Checkpoint, Request};
use lipscope::dual::Dual;
use lipscope::network::Condition;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

fn copy(from: &str, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(fixture(from), to).unwrap();
}

/// A folder as the hub has it, of the fixture `case`, with its weights under the name `weights`.
fn hub(here: &Path, case: &str, weights: &str) -> PathBuf {
    let folder = here.join(case);
    copy(&format!("networks/sedd/{case}/told.json"), &folder.join("config.json"));
    copy(&format!("networks/sedd/{case}/weights.safetensors"), &folder.join(weights));
    folder
}

/// The run of MDLM with a line of its configuration changed.
fn mdlm_run(here: &Path, line: &str, changed: &str) -> PathBuf {
    let folder = here.join("mdlm");
    copy("symbols/mdlm_run/checkpoints/last.ckpt", &folder.join("checkpoints/last.ckpt"));
    let config = std::fs::read_to_string(fixture("symbols/mdlm_run/.hydra/config.yaml")).unwrap();
    assert!(config.contains(line), "{config}");
    std::fs::create_dir_all(folder.join(".hydra")).unwrap();
    std::fs::write(folder.join(".hydra/config.yaml"), config.replace(line, changed)).unwrap();
    folder
}

/// The folder of a network that its own hub class saved: the averages of the run, under their own names.
fn mdlm_hub(here: &Path) -> PathBuf {
    let run = opened(Path::new(&fixture("symbols/mdlm_run")));
    let folder = here.join("mdlm-owt");
    std::fs::create_dir_all(&folder).unwrap();
    let named: Vec<(String, Tensor)> =
        run.network.parameters().into_iter().map(|(name, tensor)| (format!("backbone.{name}"), tensor)).collect();
    Tensor::write_safetensors(&named, folder.join("model.safetensors")).unwrap();
    let config = json!({
        "architectures": ["MDLM"], "model_type": "mdlm", "vocab_size": 8, "model_length": 6, "hidden_dim": 16, "cond_dim": 8,
        "n_blocks": 1, "n_heads": 2, "dropout": 0.1, "time_conditioning": false, "torch_dtype": "float32",
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    folder
}

fn opened(path: &Path) -> Checkpoint {
    checkpoint::open(path, &Request::on(Device::Cpu)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What `expected` says in float64, where log p of what cannot be is −100 instead of −10⁶, lest that decides what is close.
fn compare(name: &str, checkpoint: &mut Checkpoint, expected: &str) {
    let expected: BTreeMap<String, Tensor> = Tensor::read_safetensors(fixture(expected)).unwrap().into_iter().collect();
    checkpoint.network.to(Device::Cpu, Kind::Double).unwrap();
    let (x, t) = (expected["x"].to_kind(Kind::Double), expected["t"].shallow_clone());
    let seeded = Dual::new(t.shallow_clone(), t.ones_like());
    let found = checkpoint.network.forward(&Dual::constant(x), &seeded, &Condition::default()).unwrap();
    let possible = |values: &Tensor| values.clamp_min(-100.0);
    let tolerance =
        Tolerance::absolute(1e-12, "rounding of float64 in some hundred sums of order 1; values are up to 6");
    assert_close(name, &possible(&found.value), &possible(&expected["epsilon_f64"]), tolerance);
    let Some(rate) = found.tangent else {
        assert_eq!(expected["epsilon_dt"].abs().max().double_value(&[]), 0.0, "{name}: ∂/∂σ");
        return;
    };
    // Both are exact. Where σ is 0.03 the rate is that of −ln(e^σ − 1), 34.
    let tolerance = Tolerance::of_largest(1e-9, "rounding of float64, with frequencies up to 1 and the slope 1/σ");
    for row in 0..2 {
        assert_close(format!("{name}, ∂/∂σ of {row}"), &rate.get(row), &expected["epsilon_dt"].get(row), tolerance);
    }
}

#[test]
fn folders_and_runs_compute_what_the_originals_do() {
    common::exponentials_of_the_fixtures();
    let _guard = tch::no_grad_guard();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (case, weights) in [("absorb", "model.safetensors"), ("uniform", "pytorch_model.bin")] {
        let path = hub(here, case, weights);
        compare(case, &mut opened(&path), &format!("networks/sedd/{case}/expected.safetensors"));
    }
    for run in ["sedd_run", "mdlm_run"] {
        let path = fixture(&format!("symbols/{run}"));
        compare(run, &mut opened(Path::new(&path)), &format!("symbols/{run}/expected.safetensors"));
    }
    let still = "symbols/mdlm_run/expected_still.safetensors";
    compare("without time", &mut opened(&mdlm_run(here, "time_conditioning: true", "time_conditioning: false")), still);
    compare("of the hub", &mut opened(&mdlm_hub(here)), still);
}

fn measure(here: &Path, model: &str, more: &[&str]) -> (Value, String) {
    clear(here);
    let tokens = fixture("jumps/tokens.npy");
    let output = lipscope(here, &[&["measure", model, "--data", &tokens, "--out", "out"], more].concat());
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{model} {more:?}: {said}");
    (report(&here.join("out"))["models"][0].clone(), said)
}

/// No flag says anything of the process: sequences are shorter than those of the training, which is the same to rotations.
#[test]
fn a_folder_is_measured_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    hub(here, "absorb", "model.safetensors");
    hub(here, "uniform", "model.safetensors");
    for (case, schedule) in [
        ("absorb", "absorb:symbols=7,noise=log-linear"),
        ("uniform", "uniform:symbols=7,noise=geometric,min=0.0001,max=20"),
    ] {
        let plan =
            ["--timesteps", "300,700", "--quantity", "both", "--dt", "0.001", "--dtype", "f64", "--samples", "16"];
        for of in ["rate", "jumps"] {
            let (model, said) = measure(here, case, &[&plan[..], &["--of", of]].concat());
            let about = &model["model"];
            assert_eq!(
                (about["schedule"].as_str(), about["architecture"].as_str()),
                (Some(schedule), Some("SEDD")),
                "{about}"
            );
            assert_eq!((&about["format"], &about["prediction"]), (&json!("sedd"), &json!("log-ratio")), "{about}");
            assert_eq!(about["basis"]["schedule"]["file"], "config.json", "{about}");
            assert!(!said.contains("assumed") && said.contains("told sigma = "), "{said}");
            let [secants, rates] = [0, 1].map(|curve| model["curves"][curve]["points"].as_array().unwrap());
            assert_eq!(secants.len(), 2);
            for (secant, rate) in secants.iter().zip(rates) {
                // Over a thousandth of a step K is D, to its curvature.
                let ratio = secant["mean"].as_f64().unwrap() / rate["mean"].as_f64().unwrap();
                assert!((ratio - 1.0).abs() < 1e-3 && rate["mean"].as_f64().unwrap() > 0.0, "{case} {of}: {ratio}");
            }
        }
        let (model, _) = measure(here, case, &["--timesteps", "500..900/200", "--quantity", "size", "--samples", "64"]);
        // Nobody trained it.
        assert!(model["summary"][0]["calibration"]["z"].as_f64().is_some_and(f64::is_finite), "{model}");
    }
    // A file of weights is its folder, here and elsewhere.
    let (whole, _) = measure(here, "absorb", &["--timesteps", "500", "--samples", "8"]);
    for path in ["absorb/model.safetensors", "./absorb/"] {
        let (file, _) = measure(here, path, &["--timesteps", "500", "--samples", "8"]);
        assert_eq!((&file["curves"], &file["model"]["format"]), (&whole["curves"], &json!("sedd")));
    }
}

#[test]
fn runs_open_with_their_averages() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let run = fixture("symbols/sedd_run");
    let file = fixture("symbols/sedd_run/checkpoints-meta/checkpoint.pth");
    let plan = ["--timesteps", "900", "--samples", "8", "--quantity", "size", "--of", "rate"];
    let mut sizes = Vec::new();
    for (path, weights, name) in
        [(&run, None, "ema.shadow_params"), (&file, Some("ema"), "ema.shadow_params"), (&run, Some("raw"), "model")]
    {
        let weights: Vec<&str> = weights.into_iter().flat_map(|weights| ["--weights", weights]).collect();
        let (model, _) = measure(here, path, &[&plan[..], &weights].concat());
        let about = &model["model"];
        assert_eq!(about["basis"]["weights"]["name"], name, "{about}");
        assert_eq!(about["basis"]["schedule"]["file"], ".hydra/config.yaml", "{about}");
        assert_eq!(about["schedule"], "absorb:symbols=7,noise=geometric,min=0.0001,max=20");
        sizes.push(model["curves"][0]["points"][0]["mean"].as_f64().unwrap());
    }
    assert!(sizes[0] == sizes[1] && sizes[0] != sizes[2], "{sizes:?}");
}

#[test]
fn mdlm_without_time_stands_still() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let still = mdlm_run(here, "time_conditioning: true", "time_conditioning: false");
    let plan = ["--timesteps", "499", "--samples", "8", "--quantity", "derivative"];
    for (path, stands_still) in [(fixture("symbols/mdlm_run"), false), (still.display().to_string(), true)] {
        let (model, said) = measure(here, &path, &[&plan[..], &["--of", "jumps"]].concat());
        let about = &model["model"];
        assert_eq!((&about["architecture"], &about["prediction"]), (&json!("MDLM"), &json!("log-x0")), "{about}");
        assert_eq!(said.contains("does not depend on t"), stands_still, "{said}");
        let largest = model["curves"][0]["points"][0]["max"].as_f64().unwrap();
        assert_eq!(largest == 0.0, stands_still, "{largest}");
        // R = (masked positions)/(e^σ − 1) whatever the network says.
        let (model, _) = measure(here, &path, &[&plan[..], &["--of", "rate"]].concat());
        let largest = model["curves"][0]["points"][0]["max"].as_f64().unwrap();
        assert!((largest * 0.999 * 0.5 - 1.0).abs() < 1e-5, "{largest}");
    }
    // A folder of the hub does not name the noise.
    let hub = mdlm_hub(here).display().to_string();
    let (model, said) = measure(here, &hub, &[&plan[..], &["--of", "jumps"]].concat());
    assert_eq!(model["model"]["schedule"], "absorb:symbols=7,noise=log-linear");
    assert_eq!(model["model"]["basis"]["schedule"]["file"], "as its trainers do");
    assert!(said.contains("does not depend on t"), "{said}");
}

#[test]
fn files_alone_are_told_what_no_shape_says() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    copy("networks/sedd/absorb/weights.safetensors", &here.join("alone.safetensors"));
    copy("symbols/sedd_run/checkpoints-meta/checkpoint.pth", &here.join("alone.pth"));
    let (told, yaml) = (fixture("networks/sedd/absorb/told.json"), fixture("symbols/sedd_run/.hydra/config.yaml"));
    let plan = ["--timesteps", "500", "--samples", "8"];
    let few = ["--config", "graph=absorb", "--config", "n_heads=2", "--config", "noise=loglinear"];
    let (whole, _) = measure(here, "alone.safetensors", &[&plan[..], &["--config", &told]].concat());
    let (words, _) = measure(here, "alone.safetensors", &[&plan[..], &few].concat());
    assert_eq!(whole["curves"], words["curves"]);
    let (model, _) = measure(here, "alone.pth", &[&plan[..], &["--config", &yaml]].concat());
    assert_eq!(model["model"]["schedule"], "absorb:symbols=7,noise=geometric,min=0.0001,max=20");
    let tokens = fixture("jumps/tokens.npy");
    let asked = |more: &[&'static str]| [&["measure", "alone.safetensors", "--data", tokens.as_str()], more].concat();
    refuse(here, &asked(&[]), &["SEDD or MDLM", "--config FILE", "graph=absorb", "parameterization=subs"]);
    refuse(here, &asked(&["--config", "graph=absorb"]), &["attention heads", "n_heads=1 (likely: 1, 2)"]);
    let heads = ["--config", "graph=absorb", "--config", "n_heads=2"];
    refuse(here, &asked(&heads), &["no noise over time", "--schedule absorb:symbols=7"]);
    let schedule = |schedule| asked(&[&heads[..], &["--schedule", schedule]].concat());
    refuse(here, &schedule("cosine"), &["over symbols", "states are numbers"]);
    refuse(here, &schedule("absorb:symbols=8"), &["over 8 symbols", "have 9"]);
    refuse(here, &schedule("flip"), &["have 2"]);
    refuse(here, &asked(&["--config", "graph=ring"]), &["the graph \"ring\"", "absorb or uniform"]);
    refuse(here, &asked(&[&heads[..], &["--config", "head=3"]].concat()), &["`head`"]);
}

#[test]
fn inspect_says_how_a_folder_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    hub(here, "absorb", "model.safetensors");
    let said = succeed(here, &["inspect", "absorb"]);
    for words in ["SEDD", "[6]", "absorb:symbols=7,noise=log-linear", "log-ratio", "sigma", "blocks.1.attn_qkv.weight"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    let run = succeed(here, &["inspect", &fixture("symbols/mdlm_run")]);
    assert!(run.contains("MDLM") && run.contains("prediction       x0"), "{run}");
    let alone = here.join("alone.safetensors");
    copy("networks/sedd/absorb/weights.safetensors", &alone);
    let said = succeed(here, &["inspect", "alone.safetensors"]);
    assert!(said.contains("SEDD or MDLM") && said.contains("--config FILE"), "{said}");
}

#[test]
fn what_is_wrong_with_a_folder_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let tokens = fixture("jumps/tokens.npy");
    let path = hub(here, "absorb", "model.safetensors");
    let config: Value = serde_json::from_slice(&std::fs::read(path.join("config.json")).unwrap()).unwrap();
    let changes: [(&str, Value, &[&str]); 12] = [
        ("/model/n_heads", Value::Null, &["config.json", "`model.n_heads` is missing"]),
        ("/model/scale_by_sigma", Value::Null, &["`model.scale_by_sigma` is missing"]),
        ("/model/hidden_size", json!("wide"), &["`model.hidden_size`", "\"wide\""]),
        ("/model/hidden_size", json!(32), &["vocab_embed.embedding", "[8, 16]", "[8, 32]"]),
        ("/model/n_heads", json!(3), &["`n_heads` is 3"]),
        ("/model/n_blocks", json!(1), &["no place in the configured network", "blocks.1."]),
        ("/tokens", json!(50257), &["vocab_embed.embedding", "[8, 16]", "[50258, 16]"]),
        ("/tokens", Value::Null, &["`tokens` is missing"]),
        ("/graph/type", json!("ring"), &["config.json", "the graph \"ring\"", "absorb or uniform"]),
        ("/graph/type", json!("uniform"), &["`model.scale_by_sigma`", "absorbing"]),
        ("/noise/type", json!("cosine"), &["its noise is cosine", "--schedule"]),
        ("/noise", json!({"type": "geometric"}), &["`noise.sigma_min` is missing"]),
    ];
    for (pointer, value, says) in changes {
        let mut changed = config.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        std::fs::write(path.join("config.json"), changed.to_string()).unwrap();
        refuse(here, &["measure", "absorb", "--data", &tokens, "--out", "out"], says);
        assert!(!here.join("out").exists());
    }
    std::fs::write(path.join("config.json"), config.to_string()).unwrap();
    refuse(
        here,
        &["measure", "absorb", "--data", &tokens, "--config", "n_heads=2"],
        &["--config is `n_heads`", "fully described"],
    );
    refuse(here, &["sample", "absorb", "--shape", "6"], &["Gaussian noise"]);
    refuse(here, &["measure", "absorb"], &["--data"]);
    let wide = here.join("wide.npy");
    common::embeddings(&wide, 9.0, "(2, 6)", 12);
    refuse(here, &["measure", "absorb", "--data", "wide.npy"], &["the data holds 9", "symbol"]);
    common::embeddings(&wide, 1.0, "(2, 2, 2)", 8);
    refuse(here, &["measure", "absorb", "--data", "wide.npy"], &["[2, 2]", "[6]"]);
    std::fs::remove_file(path.join("model.safetensors")).unwrap();
    refuse(
        here,
        &["measure", "absorb", "--data", &tokens],
        &["no weights beside its config.json", "pytorch_model.bin"],
    );
    std::fs::write(path.join("model.safetensors"), b"nothing").unwrap();
    refuse(here, &["inspect", "absorb"], &["model.safetensors"]);
}

#[test]
fn what_is_wrong_with_a_run_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let tokens = fixture("jumps/tokens.npy");
    for (line, changed, says) in [
        ("parameterization: subs", "parameterization: d3pm", "the parameterization \"d3pm\""),
        (
            "tokenizer_name_or_path: gpt2",
            "tokenizer_name_or_path: bert-base-uncased",
            "the tokenizer `bert-base-uncased`",
        ),
        ("type: loglinear", "type: cosine", "its noise is cosine"),
        ("n_blocks: 1", "n_blocks: one", "`model.n_blocks`"),
    ] {
        let run = mdlm_run(here, line, changed);
        refuse(here, &["measure", "mdlm", "--data", &tokens], &[".hydra/config.yaml", says]);
        std::fs::remove_dir_all(run).unwrap();
    }
    let run = here.join("run");
    copy("symbols/sedd_run/checkpoints-meta/checkpoint.pth", &run.join("checkpoints-meta/checkpoint.pth"));
    std::fs::create_dir_all(run.join(".hydra")).unwrap();
    std::fs::write(run.join(".hydra/config.yaml"), "graph: &g\n  type: absorb\nnoise: *g\n").unwrap();
    refuse(here, &["inspect", "run"], &["config.yaml", "it refers to another place"]);
    std::fs::write(run.join(".hydra/config.yaml"), "seed: 1\n").unwrap();
    refuse(here, &["inspect", "run"], &["config.yaml", "no configuration of SEDD or MDLM"]);
}
