//! Whether a TorchScript module is a function of (x, t), and how it is called: what is none is refused in a sentence that
//! says why, and every usual way to pass t is found.
//!
//! The fixtures and how they were made: `tests/fixtures/torchscript/make.py`.

mod common;

use common::closeness::{Tolerance, assert_close};
use common::{fixture, fresh, refuse, report, succeed};
use lipscope::checkpoint::{self, Request};
use lipscope::dual::Dual;
use lipscope::network::{Argument, Condition, Network, Probe};
use std::path::Path;
use tch::{Device, Kind, Tensor};

fn prepared(name: &str, kind: Kind) -> Box<dyn Network> {
    let path = fixture(&format!("torchscript/{name}"));
    let mut network = checkpoint::open(Path::new(&path), &Request::on(Device::Cpu)).unwrap().network;
    network.to(Device::Cpu, kind).unwrap();
    let condition = Condition::default();
    let times = [0.0, 500.0];
    let probe = Probe {
        sample_shape: &[1, 8, 8],
        times,
        condition: &condition,
        device: Device::Cpu,
        kind,
        beside: 0,
        moving: &[Argument::T],
        answers_x: true,
    };
    network.prepare(&probe).unwrap();
    network
}

fn x(kind: Kind) -> Tensor {
    (Tensor::arange(3 * 64, (Kind::Double, Device::Cpu)) * 0.37).sin().view([3, 1, 8, 8]).to_kind(kind)
}

fn parameter(network: &dyn Network, name: &str) -> Tensor {
    network.parameters().into_iter().find(|(known, _)| known == name).unwrap().1.to_kind(Kind::Double)
}

/// The convolution of every fixture, in float64.
fn convolved(network: &dyn Network, x: &Tensor) -> Tensor {
    let (weight, bias) = (parameter(network, "conv.weight"), parameter(network, "conv.bias"));
    x.to_kind(Kind::Double).conv2d(&weight, Some(&bias), 1, 1, 1, 1)
}

#[test]
fn what_is_no_function_of_x_and_t_is_refused_with_the_reason() {
    let (folder, _) = fresh("");
    for (file, says) in [
        ("dropout.pt", &["draws random numbers (torch.dropout)", "model.eval()"][..]),
        ("counts.pt", &["keeps something from one call to the next"]),
        ("in_place.pt", &["changes its inputs in place", "x.clone()"]),
        ("batch_norm.pt", &["depends on the other samples of its batch", "batch normalisation", "model.eval()"]),
        ("one_sample.pt", &["its batch size is baked in", "batch of 2 or more"]),
        ("traced_on_cuda.pt", &["traced on cuda:0, which its code names, and cannot run on cpu", "--device cuda."]),
    ] {
        refuse(folder.path(), &["measure", &fixture(&format!("torchscript/{file}")), "--data", "digits"], says);
    }
}

#[test]
fn channels_beyond_those_of_the_output_are_a_condition() {
    let (folder, _) = fresh("");
    let file = fixture("torchscript/concatenated.pt");
    // With data of the output's channels, and with data of the input's.
    for shape in ["1,8,8", "2,8,8"] {
        let says = ["takes 2 channels and answers with 1", "is a condition", "--concat FILE"];
        refuse(folder.path(), &["measure", &file, "--data", "model", "--shape", shape], &says);
    }
}

/// f = conv([x, c]) cos(t/100): what is laid beside x is not noised, and D/K is that of the cosine.
#[test]
fn channels_beside_x_are_given_by_a_file() {
    let (folder, out) = fresh("out");
    let file = fixture("torchscript/concatenated.pt");
    let pictures = |name: &str, rows: usize, value: fn(usize) -> f32| {
        let array =
            ndarray::Array4::from_shape_fn((rows, 1, 8, 8), |(row, _, i, j)| value(row) + (i * 8 + j) as f32 / 64.0);
        ndarray_npy::write_npy(folder.path().join(name), &array).unwrap();
    };
    pictures("x0.npy", 5, |row| row as f32 / 5.0);
    pictures("same.npy", 5, |_| 0.3);
    pictures("each.npy", 5, |row| row as f32);
    pictures("four.npy", 4, |_| 0.3);
    let one = ndarray::Array3::from_shape_fn((1, 8, 8), |(_, i, j)| 0.3 + (i * 8 + j) as f32 / 64.0);
    ndarray_npy::write_npy(folder.path().join("one.npy"), &one).unwrap();
    let with = |concat: &'static str| {
        let common = ["measure", &file, "--data", "x0.npy", "--scale", "none", "--timesteps", "100", "--samples", "16"];
        [&common[..], &["--quantity", "both", "--out", "out", "--quiet", "--concat", concat]].concat().join("\n")
    };
    let run = |concat: &'static str| {
        common::clear(folder.path());
        let text = with(concat);
        succeed(folder.path(), &text.split('\n').collect::<Vec<&str>>());
        let curves = report(&out)["models"][0]["curves"].clone();
        [0, 1].map(|curve: usize| curves[curve]["points"][0]["mean"].as_f64().unwrap())
    };
    let [k, d] = run("one.npy");
    let expected = 0.01 * 1f64.sin() / (1f64.cos() - 1.01f64.cos());
    assert!((d / k / expected - 1.0).abs() < 1e-4, "{d} {k}: float32 differences of one step keep 1e-5");
    assert_eq!(run("same.npy"), [k, d]);
    assert!((run("each.npy")[0] / k - 1.0).abs() > 0.05);
    let asked = report(&out)["models"][0]["model"]["asked"].as_str().unwrap().to_string();
    assert!(asked.contains("channels beside x for each row of the data [1, 8, 8]"), "{asked}");
    common::clear(folder.path());
    let text = with("four.npy");
    refuse(folder.path(), &text.split('\n').collect::<Vec<&str>>(), &["has 4 rows", "the data has 5"]);
}

#[test]
fn one_time_for_a_batch_is_found() {
    for (file, factor) in [("scalar_time.pt", 2.0), ("one_time_step.pt", 1.0)] {
        let network = prepared(file, Kind::Float);
        assert!(!network.mixes_timesteps());
        let x = x(Kind::Float);
        let t = Tensor::from_slice(&[137f32; 3]);
        let output = network.forward(&Dual::constant(x.shallow_clone()), &Dual::constant(t), &Condition::default());
        let expected = convolved(&*network, &x) * (factor * 1.37f64.cos());
        let reason = "float32 keeps 1e-7 of nine products";
        assert_close(
            file,
            &output.unwrap().value.to_kind(Kind::Double),
            &expected,
            Tolerance::of_largest(1e-6, reason),
        );
        // Two times in one batch have no answer.
        assert!(network.check_times(&[137.0; 3]).is_ok());
        assert!(network.check_times(&[137.0, 137.0, 200.0]).is_err());
    }
}

#[test]
fn derivatives_along_one_time_for_a_batch_agree_with_the_closed_form() {
    for (file, factor) in [("scalar_time.pt", 2.0), ("one_time_step.pt", 1.0)] {
        let mut network = prepared(file, Kind::Float);
        let condition = Condition::default();
        let times = [0.0, 500.0];
        let kind = Kind::Float;
        let probe = Probe {
            sample_shape: &[1, 8, 8],
            times,
            condition: &condition,
            device: Device::Cpu,
            kind,
            beside: 0,
            moving: &[Argument::T],
            answers_x: true,
        };
        network.prepare_rate(&probe).unwrap();
        let x = x(kind);
        let t = Tensor::from_slice(&[137f32; 3]);
        let rate = network.forward(
            &Dual::constant(x.shallow_clone()),
            &Dual::new(t, Tensor::ones([3], (kind, Device::Cpu))),
            &condition,
        );
        let expected = convolved(&*network, &x) * (-0.01 * factor * 1.37f64.sin());
        let found = rate.unwrap().tangent.unwrap().to_kind(Kind::Double);
        assert_close(file, &found, &expected, Tolerance::of_largest(1e-5, "float32 over some ten operations"));
    }
}

/// f = conv(x) (w₀ cos(t/100) + w₁ sin(t/50) + b), all of it in the dtype of the file.
#[test]
fn a_module_runs_in_the_dtype_that_its_code_names() {
    for (file, tolerance, says) in [("half.pt", 2e-2, "float16"), ("double.pt", 1e-6, "float64")] {
        let network = prepared(file, Kind::Float);
        assert!(network.notes().iter().any(|note| note.contains(says)), "{:?}", network.notes());
        let (x, t) = (x(Kind::Float), 137.0f64);
        let times = Tensor::from_slice(&[t as f32; 3]);
        let output = network.forward(&Dual::constant(x.shallow_clone()), &Dual::constant(times), &Condition::default());
        let output = output.unwrap().value;
        assert_eq!(output.kind(), Kind::Float);
        let (weight, bias) = (parameter(&*network, "mix.weight"), parameter(&*network, "mix.bias"));
        let features = Tensor::from_slice(&[(0.01 * t).cos(), (0.02 * t).sin()]);
        let scale = (weight * features).sum(Kind::Double) + bias;
        let expected = convolved(&*network, &x) * scale.double_value(&[0]);
        let reason =
            "float16 keeps 1e-3 per operation, over a sum that cancels; float64 is rounded to float32 at the end";
        assert_close(file, &output.to_kind(Kind::Double), &expected, Tolerance::of_largest(tolerance, reason));
    }
}

#[test]
fn a_trace_in_half_precision_is_measured_and_said_to_be_one() {
    let (folder, _) = fresh("");
    let here = folder.path();
    let plan = ["--data", "digits", "--timesteps", "0,500", "--samples", "4", "--out", "out"];
    succeed(here, &[&["measure", &fixture("torchscript/half.pt")], &plan[..]].concat());
    let report = report(&here.join("out"));
    assert!(report["warnings"].to_string().contains("runs in float16"), "{}", report["warnings"]);
    assert!(report["models"][0]["curves"][0]["points"][0]["mean"].as_f64().unwrap() > 0.0);
}
