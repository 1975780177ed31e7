//! What `lipscope train` writes: every form answers alike, in lipscope, as a bare TorchScript module, and, where
//! `LIPSCOPE_PYTHON` names a Python with torch and diffusers, there too.

mod common;

use common::closeness::{Numbers, Tolerance, assert_close, largest};
use common::{fresh, lipscope, names, refuse, succeed};
use lipscope::checkpoint::{self, Checkpoint, Request};
use lipscope::dual::Dual;
use lipscope::network::Condition;
use lipscope::{schedule, timestep_map};
use std::path::Path;
use std::process::Command;
use tch::{CModule, Device, Kind, Tensor};

/// x, t and ε, as `check_in_python.py` takes them.
const TIMES: [f32; 6] = [0.0, 13.0, 19.0, 20.0, 137.0, 999.0];

fn train(folder: &Path, variant: &str, data: &str, arch: &str, more: &[&str]) {
    let fixed = ["train", "--variant", variant, "--data", data, "--arch", arch, "--steps", "3", "--lr", "0.01"];
    succeed(folder, &[&fixed[..], &["--out", "run", "--quiet"], more].concat());
}

fn open(path: &Path, weights: Option<&str>) -> Checkpoint {
    checkpoint::open(path, &Request { weights, ..Request::on(Device::Cpu) }).unwrap()
}

/// The network's answer, with the condition that the checkpoint declares.
fn answer(checkpoint: &Checkpoint, x: &Tensor) -> Tensor {
    let _no_grad = tch::no_grad_guard();
    let declared = &checkpoint.declared;
    let schedule = declared
        .schedule
        .clone()
        .map_or_else(|| schedule::parse("linear").unwrap(), |spec| spec.gaussian("a test").unwrap().schedule.clone());
    let map = timestep_map::parse(declared.share.as_deref().unwrap_or("none"), schedule.timesteps()).unwrap();
    let conditioning = declared.conditioning.unwrap_or_default();
    let c = TIMES.map(|t| conditioning.coordinate(&*schedule, map.condition(f64::from(t))) as f32);
    let (x, c) = (Dual::constant(x.shallow_clone()), Dual::constant(Tensor::from_slice(&c)));
    checkpoint.network.forward(&x, &c, &Condition::default()).unwrap().value
}

fn example(shape: &[i64]) -> Tensor {
    let full: Vec<i64> = std::iter::once(TIMES.len() as i64).chain(shape.iter().copied()).collect();
    let count: i64 = full.iter().product();
    (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 0.37).sin().view(&full[..])
}

const CASES: [(&str, &str, &str, &[&str]); 8] = [
    ("ddpm", "digits", "unet:channels=8-16,attention=4,head-dim=8", &[]),
    ("e-tsdm", "digits", "unet:channels=8-16,attention=8-4,head-dim=4,layers=2", &["--channels-last"]),
    ("e-tsdm", "moons", "mlp:width=32,blocks=2", &["--boundaries", "0-5-20-100", "--ema", "none"]),
    ("remap", "digits", "mlp:width=32,blocks=1", &["--prediction", "v", "--schedule", "cosine"]),
    ("sigma-condition", "eight-gaussians", "auto", &["--prediction", "x0", "--weighting", "min-snr"]),
    ("slow-condition", "digits", "unet:channels=8,attention=none", &[]),
    ("penalty", "swiss-roll", "auto", &["--prediction", "flow", "--schedule", "flow", "--accumulate", "4"]),
    ("modified-schedule", "digits", "unet:channels=8,time=learned", &["--autocast", "bf16", "--flip"]),
];

#[test]
fn every_form_answers_alike() {
    for (variant, data, arch, more) in CASES {
        let (folder, out) = fresh("run");
        let forms = if arch.starts_with("unet") { "pt,safetensors,diffusers" } else { "pt,safetensors" };
        train(folder.path(), variant, data, arch, &[more, &["--format", forms]].concat());
        let pt = open(&out.join("model.pt"), None);
        let shape = pt.declared.sample_shape.clone().unwrap();
        let x = example(&shape);
        let expected = answer(&pt, &x);
        assert!(largest(expected.abs().numbers()) > 1e-3, "{variant}");
        let mut others = vec!["model.safetensors"];
        others.extend(forms.contains("diffusers").then_some("model"));
        for other in others {
            let checkpoint = open(&out.join(other), None);
            assert!(answer(&checkpoint, &x).equal(&expected), "{variant} {other}");
            let (a, b) = (pt.declared.training.as_ref().unwrap(), checkpoint.declared.training.as_ref().unwrap());
            assert_eq!((a, &pt.declared.share), (b, &checkpoint.declared.share));
            let samples = |checkpoint: &Checkpoint| checkpoint.reference.as_ref().unwrap().images.clone();
            assert_eq!(samples(&pt), samples(&checkpoint));
        }
        check_module(&out.join("model.pt"), &x, &expected, variant);
        check_in_python(&out, &x, &expected);
    }
}

/// The bare module maps t itself, and takes any batch size and integers.
fn check_module(path: &Path, x: &Tensor, expected: &Tensor, variant: &str) {
    let _no_grad = tch::no_grad_guard();
    let module = CModule::load(path).unwrap();
    let t = Tensor::from_slice(&TIMES);
    let tolerance = Tolerance::of_largest(1e-5, "the same kernels on the same numbers, up to the condition's rounding");
    assert_close(variant, &module.forward_ts(&[x, &t]).unwrap(), expected, tolerance);
    let integers = module.forward_ts(&[x, &t.to_kind(Kind::Int64)]).unwrap();
    assert_close(variant, &integers, expected, tolerance);
    for row in [0, 2] {
        let one = module.forward_ts(&[x.narrow(0, row, 1), t.narrow(0, row, 1)]).unwrap();
        let tolerance = Tolerance::of_largest(1e-4, "another batch size sums in another order");
        assert_close(format!("{variant} {row}"), &one, &expected.narrow(0, row, 1), tolerance);
    }
    if x.dim() == 4 && variant != "remap" {
        let larger = x.repeat([1, 1, 2, 2]);
        assert_eq!(module.forward_ts(&[&larger, &t]).unwrap().size(), larger.size(), "{variant}");
    }
}

/// Hands x, t and ε to Python, which opens every form itself.
fn check_in_python(out: &Path, x: &Tensor, expected: &Tensor) {
    let Ok(python) = std::env::var("LIPSCOPE_PYTHON") else { return };
    let t = Tensor::from_slice(&TIMES);
    Tensor::write_safetensors(&[("x", x), ("t", &t), ("epsilon", expected)], out.join("expected.safetensors")).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check_in_python.py");
    // Python's libtorch is its own.
    let mut command = Command::new(python);
    let output = command.arg(script).arg(out).env_remove("LD_LIBRARY_PATH").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    print!("{said}");
}

#[test]
fn raw_weights_and_averages_can_be_chosen() {
    let (folder, out) = fresh("run");
    train(folder.path(), "ddpm", "moons", "mlp:width=16,blocks=1", &["--ema", "0.9,0.1", "--format", "pt,safetensors"]);
    let x = example(&[2]);
    for file in ["model.pt", "model.safetensors"] {
        let of = |weights| answer(&open(&out.join(file), weights), &x);
        let (default, raw, second) = (of(None), of(Some("raw")), of(Some("ema-0.1")));
        assert!(default.equal(&of(Some("ema"))) && default.equal(&of(Some("ema-0.9"))));
        assert!(!default.equal(&raw) && !default.equal(&second) && !raw.equal(&second));
    }
    let module = out.join("model.pt").display().to_string();
    refuse(folder.path(), &["measure", &module, "--weights", "best"], &["--weights", "ema-0.9, ema-0.1, raw"]);
}

#[test]
fn a_trained_checkpoint_is_measured_with_no_further_argument() {
    let (folder, out) = fresh("run");
    train(
        folder.path(),
        "e-tsdm",
        "digits",
        "unet:channels=8-8,attention=none",
        &["--intervals", "2", "--until", "10"],
    );
    let arguments = ["run/model.pt", "--timesteps", "0..12", "--samples", "4", "--json"];
    let report = succeed(folder.path(), &[&["measure"], &arguments[..], &["--quantity", "both"]].concat());
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["models"][0]["model"]["boundaries"], serde_json::json!([0.0, 5.0, 10.0]));
    assert_eq!(report["provenance"]["plan"]["data"]["source"], "reference samples");
    let means = common::means(&report, 0);
    let zero = |t: usize| means[t].1 == 0.0;
    assert!(zero(0) && zero(3) && !zero(4) && zero(5) && !zero(9) && !zero(11), "{means:?}");
    assert_eq!(names(&out), ["model.pt", "plan.json", "train.csv", "training.safetensors"]);
    let compared = ["compare", "run/model.pt", "run/model.pt", "ideal:digits", "--timesteps", "0,20", "--samples", "4"];
    succeed(folder.path(), &compared);
    assert!(succeed(folder.path(), &["inspect", "run/model.pt"]).contains("trained as       e-tsdm"));
}

#[test]
fn training_goes_on_from_a_checkpoint() {
    let (folder, out) = fresh("run");
    let unet = "unet:channels=8-8,attention=none";
    train(folder.path(), "ddpm", "digits", unet, &["--format", "diffusers", "--prediction", "v"]);
    let x = example(&[1, 8, 8]);
    let before = answer(&open(&out.join("model"), None), &x);
    let fixed = ["train", "--variant", "e-tsdm", "--from", "run/model", "--steps", "1", "--quiet"];
    succeed(folder.path(), &[&fixed[..], &["--lr", "1e-12", "--out", "on"]].concat());
    let on = open(&folder.path().join("on/model.pt"), None);
    assert_eq!(on.declared.prediction.unwrap().name(), "v", "taken over from the checkpoint");
    // Asked as e-tsdm, rows with t ≥ 100 are conditioned alike.
    let last = |y: &Tensor| y.narrow(0, 4, 2);
    let tolerance = Tolerance::of_largest(1e-5, "a rate of 1e-12 changes nothing that float32 shows");
    assert_close("trained on", &last(&answer(&on, &x)), &last(&before), tolerance);
    let foreign = common::fixture("torchscript/plain.pt");
    refuse(folder.path(), &["train", "--variant", "ddpm", "--from", &foreign], &["foreign TorchScript"]);
}

#[test]
fn interrupted_and_resumed_runs_end_alike() {
    let (folder, out) = fresh("run");
    let arguments = |steps, out, more: &[&'static str]| -> Vec<&'static str> {
        let fixed = ["train", "--variant", "e-tsdm", "--data", "moons", "--arch", "mlp:width=16,blocks=1", "--threads"];
        [&fixed[..], &["1", "--log-every", "7", "--steps", steps, "--out", out], more].concat()
    };
    succeed(folder.path(), &arguments("40", "straight", &[]));
    succeed(folder.path(), &arguments("20", "run", &[]));
    succeed(folder.path(), &arguments("40", "run", &[]));
    let weights = |folder: &Path| answer(&open(&folder.join("model.pt"), Some("raw")), &example(&[2]));
    assert!(weights(&folder.path().join("straight")).equal(&weights(&out)));
    let losses = |folder: &Path| -> Vec<String> {
        let text = std::fs::read_to_string(folder.join("train.csv")).unwrap();
        text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_string()).collect()
    };
    // The run of 20 steps closes a row at its end, which the straight one does not have.
    let (straight, resumed) = (losses(&folder.path().join("straight")), losses(&out));
    assert_eq!(straight[..3], resumed[..3]);
    assert_eq!(straight.last(), resumed.last());
    refuse(
        folder.path(),
        &[&arguments("40", "run", &["--resume"])[..], &["--lr", "0.5"]].concat(),
        &["another plan", "`learning_rate` differs"],
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_a_kill_leaves_the_last_checkpoint() {
    let (folder, out) = fresh("run");
    let fixed = ["train", "--variant", "ddpm", "--data", "moons", "--steps", "1000000", "--out", "run", "--quiet"];
    let start = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lipscope"));
        command.current_dir(folder.path()).args(fixed).args(more).args(["--save-every", "3"]).spawn().unwrap()
    };
    let wait_for_a_checkpoint = || {
        for _ in 0..600 {
            if out.join("model.pt").exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("no checkpoint within a minute");
    };
    // Killed again and again while it saves every third step: what is there can always be opened.
    for round in 0..4u64 {
        let mut child = start(if round == 0 { &[] } else { &["--resume"] });
        wait_for_a_checkpoint();
        std::thread::sleep(std::time::Duration::from_millis(300 + 137 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        open(&out.join("model.pt"), None);
    }
    let saved = || std::fs::metadata(out.join("training.safetensors")).unwrap().modified().unwrap();
    let before = saved();
    // Nothing tidies up behind a kill.
    let is_temporary = |name: &String| name.starts_with('.') && name.ends_with(".tmp");
    let killed: Vec<String> = names(&out).into_iter().filter(is_temporary).collect();
    let mut child = start(&["--resume"]);
    // It watches for Ctrl-C by the time it saves again.
    for _ in 0..600 {
        if saved() != before {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let left: Vec<String> = names(&out).into_iter().filter(|name| !killed.contains(name)).collect();
    assert_eq!(left, ["model.pt", "plan.json", "train.csv", "training.safetensors"], "nothing half-written is left");
    let steps = open(&out.join("model.pt"), None).declared.training.unwrap().steps;
    assert!(steps > 3);
    let resumed = ["--resume", "--dry-run"];
    assert!(lipscope(folder.path(), &[&fixed[..], &resumed[..]].concat()).status.success());
}

/// A limit on the size of files stands in for a full disk: writing fails in the middle.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_previous_checkpoint() {
    let (folder, out) = fresh("run");
    let fixed = "train --variant ddpm --data moons --arch mlp:width=64,blocks=1 --out run --quiet";
    let arguments = |steps| -> Vec<&str> { fixed.split(' ').chain(["--steps", steps]).collect() };
    succeed(folder.path(), &arguments("2"));
    let before: Vec<Vec<u8>> =
        ["model.pt", "training.safetensors"].map(|file| std::fs::read(out.join(file)).unwrap()).into();
    // 20 blocks of 512 or 1024 bytes, for a state of 200,000.
    let limited = format!("ulimit -f 20; trap '' XFSZ; exec \"$0\" {fixed} --steps 4 --resume");
    let mut command = Command::new("sh");
    let output =
        command.current_dir(folder.path()).args(["-c", &limited, env!("CARGO_BIN_EXE_lipscope")]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("training.safetensors: writing failed"), "{stderr}");
    let after: Vec<Vec<u8>> =
        ["model.pt", "training.safetensors"].map(|file| std::fs::read(out.join(file)).unwrap()).into();
    assert_eq!(before, after);
    assert_eq!(names(&out), ["model.pt", "plan.json", "train.csv", "training.safetensors"]);
    succeed(folder.path(), &[&arguments("4")[..], &["--resume"]].concat());
}

#[test]
fn bad_input_is_refused_before_anything_is_written() {
    let (folder, _) = fresh("run");
    let cases: [(&[&str], &[&str]); 19] = [
        (&["--variant", "edm"], &["--variant", "`edm`", "e-tsdm"]),
        (&["--variant", "e-tsdm", "--until", "2000"], &["--until", "T = 1000"]),
        (&["--variant", "e-tsdm", "--intervals", "50", "--until", "20"], &["--intervals", "between 1 and --until"]),
        (&["--variant", "ddpm", "--intervals", "5"], &["--intervals", "ddpm has no use for it"]),
        (&["--variant", "ddpm", "--arch", "resnet"], &["--arch", "mlp"]),
        (&["--variant", "ddpm", "--arch", "unet:channels=8-8-8-8-8"], &["halves height and width 4 times", "8×8"]),
        (&["--variant", "ddpm", "--arch", "unet:time=fourier"], &["Fourier features", "sigma-condition"]),
        (&["--variant", "ddpm", "--arch", "unet", "--data", "moons"], &["a UNet takes images"]),
        (&["--variant", "ddpm", "--data", "model"], &["--data"]),
        (&["--variant", "ddpm", "--data", "nowhere.npy"], &["nowhere.npy"]),
        (&["--variant", "ddpm", "--flip", "--data", "moons"], &["--flip mirrors images"]),
        (&["--variant", "ddpm", "--format", "onnx"], &["--format", "safetensors"]),
        (&["--variant", "ddpm", "--format", "diffusers", "--data", "moons"], &["UNet2DModel", "ResidualMlp"]),
        (&["--variant", "ddpm", "--batch", "64", "--accumulate", "5"], &["--accumulate", "divisor"]),
        (&["--variant", "ddpm", "--steps", "0"], &["--steps", "at least 1"]),
        (&["--variant", "ddpm", "--lr", "-1"], &["--lr"]),
        (&["--variant", "ddpm", "--ema", "0.9,0.9"], &["--ema", "different numbers"]),
        (&["--variant", "ddpm", "--weighting", "snr"], &["--weighting", "min-snr"]),
        (&["--variant", "ddpm", "--schedule", "exponential"], &["--schedule is `exponential`", "linear"]),
    ];
    for (arguments, says) in cases {
        refuse(folder.path(), &[&["train"], arguments].concat(), says);
    }
    assert!(names(folder.path()).is_empty());
    std::fs::write(folder.path().join("file"), "").unwrap();
    let unwritable = ["train", "--variant", "ddpm", "--steps", "1", "--out", "file/run"];
    refuse(folder.path(), &unwritable, &["creating the folder failed"]);
}
