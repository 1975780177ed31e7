//! Models of two times: u(x, t, r), with r told a function of what t is told, and each of the two moving or held.
//!
//! tests/fixtures/mean_flow/mean_flow.pt is the average velocity of MeanFlow for x₀ ~ N(m, s²) under flow matching:
//! u = −m + y q/(d(t) (d(t) + d(r))) with y = x − (1 − t) m, d² = (1 − t)² s² + t² and q = (t + r)(1 + s²) − 2 s².

mod common;

use common::closeness::{Tolerance, assert_close};
use common::{clear, fixture, refuse, report, succeed};
use lipscope::checkpoint::{self, Request};
use lipscope::denoiser::{AskedNetwork, Denoiser, NetworkDenoiser};
use lipscope::dual::Dual;
use lipscope::guidance::Asked;
use lipscope::network::{Condition, Network, Probe};
use lipscope::of::{self, Of};
use lipscope::prediction::Prediction;
use lipscope::response::Response;
use lipscope::state::State;
use lipscope_core::cli::args::Inputs;
use lipscope_core::clock::Clock;
use std::path::Path;
use tch::{Device, Kind, Tensor};

const M: f64 = 0.4;
const S: f64 = 0.5;
const TIMES: [f64; 4] = [20.0, 300.0, 612.5, 949.0];
const STEPS: f64 = 1000.0;

fn d(t: f64) -> f64 {
    ((1.0 - t).powi(2) * S * S + t * t).sqrt()
}

fn u(x: f64, t: f64, r: f64) -> f64 {
    let q = (t + r) * (1.0 + S * S) - 2.0 * S * S;
    (x - (1.0 - t) * M) * q / (d(t) * (d(t) + d(r))) - M
}

/// What t is told: (t + 1)/T.
fn told(t: f64) -> f64 {
    (t + 1.0) / STEPS
}

/// Central differences of a closed form with Richardson extrapolation: h⁴ and 1e-16/h.
fn slope(f: impl Fn(f64) -> f64) -> f64 {
    let central = |h: f64| (f(h) - f(-h)) / (2.0 * h);
    (4.0 * central(5e-4) - central(1e-3)) / 3.0
}

fn open(inputs: &Inputs, moving: &Clock) -> (Box<dyn Network>, Asked) {
    let path = fixture("mean_flow/mean_flow.pt");
    let request = Request { inputs: Some(inputs), ..Request::on(Device::Cpu) };
    let mut network = checkpoint::open(Path::new(&path), &request).unwrap().network;
    let (device, kind) = (Device::Cpu, Kind::Double);
    network.to(device, kind).unwrap();
    let given = Asked { clock: moving.clone(), ..Asked::default() };
    let (condition, moving) = (Condition::default(), &given.moving());
    let probe = Probe {
        sample_shape: &[1],
        times: [0.001, 0.5],
        condition: &condition,
        device,
        kind,
        beside: 0,
        moving,
        answers_x: true,
    };
    network.prepare(&probe).unwrap();
    network.prepare_rate(&probe).unwrap();
    network.prepare_jacobian(&probe).unwrap();
    (network, given)
}

fn denoiser(inputs: &str, moves: &str) -> NetworkDenoiser {
    let inputs: Inputs = inputs.parse().unwrap();
    let clock = Clock::new("module", &inputs.times(), Some(&moves.parse().unwrap())).unwrap();
    let (network, given) = open(&inputs, &clock);
    let asked = AskedNetwork {
        network,
        map: std::sync::Arc::new(lipscope::timestep_map::Identity),
        conditioning: "unit".parse().unwrap(),
        given,
        sample_shape: vec![1],
        device: Device::Cpu,
        kind: Kind::Double,
    };
    let process = lipscope::schedule::parse("flow").unwrap().into();
    NetworkDenoiser { asked, process, prediction: Prediction::Flow, guidance: None }
}

fn state() -> (State, Vec<f64>) {
    let x = vec![0.7, -0.3, 1.1, -1.4];
    (State::unconditional(Tensor::from_slice(&x).view([4, 1])), x)
}

fn numbers(tensor: Tensor) -> Vec<f64> {
    Vec::try_from(tensor.view([-1])).unwrap()
}

/// The numbers of f(x, t) at the rows.
fn at_rows(f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    state().1.iter().zip(TIMES).map(|(&x, t)| f(x, t)).collect()
}

#[test]
fn the_module_is_the_average_velocity_by_integration() {
    let inputs: Inputs = "x,t,r=time".parse().unwrap();
    let (network, _) = open(&inputs, &Clock::new("module", &inputs.times(), None).unwrap());
    let text = std::fs::read_to_string(fixture("mean_flow/expected.json")).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.len(), 5);
    let column = |name: &str| -> Vec<f64> { rows.iter().map(|row| row[name].as_f64().unwrap()).collect() };
    let tensor = |name: &str| Tensor::from_slice(&column(name));
    let times = vec![Dual::constant(tensor("r"))];
    let condition = Condition { times, ..Condition::default() };
    let (x, t) = (Dual::constant(tensor("x").view([5, 1])), Dual::constant(tensor("t")));
    let found = numbers(network.forward(&x, &t, &condition).unwrap().value);
    let closed: Vec<f64> = rows
        .iter()
        .map(|row| u(row["x"].as_f64().unwrap(), row["t"].as_f64().unwrap(), row["r"].as_f64().unwrap()))
        .collect();
    assert_close("closed form", &found, &closed, Tolerance::of_largest(1e-14, "the same formula"));
    assert_close("integrated", &found, &column("u"), Tolerance::of_largest(1e-9, "of the ODE solver"));
}

/// K and D of u itself: with r(t) = 0.5 t + 0.01, moving t, r or both.
#[test]
fn each_argument_moves_by_itself() {
    let (state, _) = state();
    let r = |t: f64| 0.5 * told(t) + 0.01;
    let dt = 3.0;
    let next: Vec<f64> = TIMES.map(|t| t + dt).to_vec();
    for (moves, t_moves, r_moves) in [("t", 1.0, 0.0), ("r", 0.0, 1.0), ("t,r", 1.0, 1.0)] {
        let measured = of::response(Of::Output, &[], Box::new(denoiser("x,t,r=time*0.5+0.01", moves)));
        let moved = |x: f64, t: f64, by: f64| u(x, told(t + t_moves * by), r(t + r_moves * by));
        let (change, evaluations) = measured.change(&state, &TIMES, &next).unwrap();
        let expected = at_rows(|x, t| moved(x, t, dt) - moved(x, t, 0.0));
        let reason = "differences of numbers of about 1";
        assert_close(format!("K, {moves}"), &numbers(change), &expected, Tolerance::absolute(1e-14, reason));
        assert_eq!(evaluations, 8);
        let expected = at_rows(|x, t| slope(|h| moved(x, t, h * STEPS)) / STEPS);
        let rate = numbers(measured.rate(&state, &TIMES).unwrap());
        assert_close(format!("D, {moves}"), &rate, &expected, Tolerance::of_largest(1e-9, "of the differences"));
        let size = numbers(measured.value(&state, &TIMES).unwrap());
        let expected = at_rows(|x, t| u(x, told(t), r(t)));
        assert_close("size", &size, &expected, Tolerance::of_largest(1e-13, "the same formula"));
    }
}

/// ε = x + (1 − t) u: what turns u into ε moves with t only.
#[test]
fn the_conversion_to_noise_moves_with_t() {
    let (state, _) = state();
    let next: Vec<f64> = TIMES.map(|t| t + 3.0).to_vec();
    for (moves, t_moves, r_moves) in [("t", 1.0, 0.0), ("r", 0.0, 1.0), ("t,r", 1.0, 1.0)] {
        let plain = denoiser("x,t,r=time-0.01", moves);
        let moved = |x: f64, t: f64, by: f64| {
            let (t, r) = (told(t + t_moves * by), told(t + r_moves * by) - 0.01);
            x + (1.0 - t) * u(x, t, r)
        };
        let change = numbers(plain.change(&state, &TIMES, &next).unwrap().0);
        let expected = at_rows(|x, t| moved(x, t, 3.0) - moved(x, t, 0.0));
        assert_close(format!("K, {moves}"), &change, &expected, Tolerance::absolute(1e-14, "of numbers of about 1"));
        let rate = numbers(plain.rate(&state, &TIMES).unwrap());
        let expected = at_rows(|x, t| slope(|h| moved(x, t, h * STEPS)) / STEPS);
        assert_close(format!("D, {moves}"), &rate, &expected, Tolerance::of_largest(1e-9, "of the differences"));
        // The same by way of --of: ε as a conversion, and x̂₀ = x − t u.
        for (of, of_x0) in [(Of::Score, false), (Of::X0, true)] {
            let of_it = of::response(of, &[], Box::new(denoiser("x,t,r=time-0.01", moves)));
            let converted = |x: f64, t: f64, by: f64| {
                let (own, r) = (told(t + t_moves * by), told(t + r_moves * by) - 0.01);
                if of_x0 { x - own * u(x, own, r) } else { -(x + (1.0 - own) * u(x, own, r)) / own }
            };
            let change = numbers(of_it.change(&state, &TIMES, &next).unwrap().0);
            let expected = at_rows(|x, t| converted(x, t, 3.0) - converted(x, t, 0.0));
            let reason = "1e-16 of scores of up to 50";
            assert_close(format!("K of {of}, {moves}"), &change, &expected, Tolerance::absolute(1e-12, reason));
            let rate = numbers(of_it.rate(&state, &TIMES).unwrap());
            let expected = at_rows(|x, t| slope(|h| converted(x, t, h * STEPS)) / STEPS);
            let reason = "of the differences, at t = 0.021 with a step of 1e-3";
            assert_close(format!("D of {of}, {moves}"), &rate, &expected, Tolerance::of_largest(1e-4, reason));
        }
    }
}

/// Along the flow dx/dt = v = u(x, t, t), y = d z with z constant. With r = t following, dv/dt = d̈ z; with r held at t, MeanFlow's
/// identity (t − r) du/dt = v − u gives half of it.
#[test]
fn the_total_derivative_along_the_path_is_mean_flows_identity() {
    let (state, x) = state();
    for (moves, factor) in [("t,r", 1.0), ("t", 0.5)] {
        let plain = denoiser("x,t,r=time", moves);
        let v: Vec<f64> = x.iter().zip(TIMES).map(|(&x, t)| u(x, told(t), told(t)) / STEPS).collect();
        let v = Tensor::from_slice(&v).view([4, 1]);
        let along = numbers(plain.along(&state, &v, true, &TIMES).unwrap());
        // ε = x + (1 − t) u, hence dε/dt = (1 − t) du/dt along dx/dt = u.
        let expected = at_rows(|x, t| {
            let t = told(t);
            let z = (x - (1.0 - t) * M) / d(t);
            // d² is a quadratic in t: d̈ = (c − ḋ²)/d with c = 1 + s².
            let d_dot = (t - (1.0 - t) * S * S) / d(t);
            factor * (1.0 - t) * ((1.0 + S * S - d_dot * d_dot) / d(t)) * z / STEPS
        });
        assert_close(moves, &along, &expected, Tolerance::of_largest(1e-12, "a dozen roundings of float64"));
    }
}

/// E|c y| of y ~ N(0, d²), from the command line.
#[test]
fn curves_of_two_times_have_their_closed_forms() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let module = fixture("mean_flow/mean_flow.pt");
    let asked = ["measure", &module, "--schedule", "flow", "--prediction", "flow", "--time-input", "unit"];
    let plan = ["--data", "gaussian:mean=0.4,std=0.5,dim=1", "--timesteps", "100,600", "--samples", "2048"];
    let rest = ["--dtype", "f64", "--out", "out", "--quiet", "--plot=svg"];
    for (moves, words) in [("r", "r = time moves, t held"), ("t,r", "t and r = time move")] {
        for quantity in ["secant", "derivative", "path"] {
            clear(here);
            let of = if quantity == "path" { "epsilon" } else { "output" };
            let more = ["--inputs", "x,t,r=time", "--moves", moves, "--quantity", quantity, "--of", of];
            succeed(here, &[&asked[..], &plan, &rest, &more].concat());
            let report = report(&here.join("out"));
            let model = &report["models"][0];
            assert_eq!(model["model"]["clock"]["t_moves"], moves == "t,r");
            let figure = std::fs::read_to_string(here.join("out/lipschitz.svg")).unwrap();
            assert!(figure.contains(if moves == "r" { " in r " } else { " in t and r " }), "{figure:.400}");
            succeed(here, &["export", "out", "--to", "html"]);
            let page = std::fs::read_to_string(here.join("out/report.html")).unwrap();
            assert!(page.contains(words), "{words}");
            for point in model["curves"][0]["points"].as_array().unwrap() {
                let (mean, error) = (point["mean"].as_f64().unwrap(), point["std_error"].as_f64().unwrap());
                let t = point["timestep"].as_f64().unwrap();
                let truth = expected(quantity, moves == "t,r", t);
                assert!((mean - truth).abs() < 4.0 * error + 1e-9 * truth, "{moves} {quantity} {t}: {mean} {truth}");
            }
        }
    }
}

/// By quadrature over y ~ N(0, d²): 20,000 midpoints within eight standard deviations.
fn expected(quantity: &str, both: bool, t: f64) -> f64 {
    let now = told(t);
    let moved = |x: f64, by: f64| {
        let (t, r) = (told(t + if both { by } else { 0.0 }), told(t + by));
        u(x, t, r)
    };
    let d_dot = (now - (1.0 - now) * S * S) / d(now);
    let f = |y: f64| {
        let x = y + (1.0 - now) * M;
        match quantity {
            "secant" => moved(x, 1.0) - moved(x, 0.0),
            "derivative" => slope(|h| moved(x, h * STEPS)) / STEPS,
            // x moves with t whatever else does: ε = x + (1 − t) u along dx/dt = v, with t held or moving in u and 1 − t.
            _ if both => (1.0 - now) * (1.0 + S * S - d_dot * d_dot) / d(now) * (y / d(now)) / STEPS,
            _ => {
                let v = u(x, now, now);
                let along = slope(|h| x + h * v + (1.0 - now) * u(x + h * v, now, now + h));
                along / STEPS
            }
        }
    };
    let (count, reach) = (20_000, 8.0);
    let width = 2.0 * reach / f64::from(count);
    let term = |i: i32| {
        let z = -reach + (f64::from(i) + 0.5) * width;
        f(z * d(now)).abs() * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt() * width
    };
    (0..count).map(term).sum()
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let module = fixture("mean_flow/mean_flow.pt");
    let data = ["--data", "gaussian:mean=0.4,std=0.5,dim=1"];
    let with = |inputs: &'static str, more: &[&'static str]| {
        [&["measure", module.as_str(), "--inputs", inputs], &data[..], more].concat()
    };
    refuse(here, &with("x,t,r=time*0", &[]), &["--inputs", "write r=0"]);
    refuse(here, &with("x,t,r=time*fast", &[]), &["`time*fast` is not time times a number"]);
    refuse(here, &with("x,t,t=time", &[]), &["`t` is an input of its own"]);
    refuse(here, &with("x,t,r=time", &["--moves", "s"]), &["--moves is `s`", "the arguments of time are t, r"]);
    refuse(here, &with("x,t,r=time", &["--moves", "r,r"]), &["--moves", "once each"]);
    refuse(here, &with("x,t,r=0.5", &["--moves", "r"]), &["--moves", "one argument of time"]);
    let native = fixture("torchscript/pipeline");
    refuse(
        here,
        &["measure", &native, "--data", "digits", "--moves", "t"],
        &["this UNet2DModel has one argument of time"],
    );
    assert!(!here.join("lipscope-out").exists(), "nothing is half-written");
}

/// Along the flow r follows t: x₀ has the mean and the spread of the data, whose samples are a straight line in the noise.
#[test]
fn samples_follow_the_flow_with_both_times() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let module = fixture("mean_flow/mean_flow.pt");
    let asked = ["sample", &module, "--inputs", "x,t,r=time", "--schedule", "flow", "--prediction", "flow"];
    let plan = ["--time-input", "unit", "--shape", "1", "--samples", "4000", "--nfe", "200", "--out", "out", "--json"];
    let said: serde_json::Value = serde_json::from_str(&succeed(here, &[&asked[..], &plan].concat())).unwrap();
    assert!(said.to_string().contains(r#""t_moves":true"#) && !said.to_string().contains(r#""moves":false"#), "{said}");
    let file = Tensor::read_safetensors(here.join("out/samples.safetensors")).unwrap();
    let samples = file.into_iter().find(|(name, _)| name == "samples").unwrap().1.to_kind(Kind::Double);
    let (mean, std) = (samples.mean(Kind::Double).double_value(&[]), samples.std(true).double_value(&[]));
    // Chance: 0.5/√4000 and 0.5/√8000. Two hundred first-order steps leave an error of about half a per cent.
    assert!((mean - M).abs() < 4.0 * 0.008 && (std - S).abs() < 4.0 * 0.0056 + 0.01, "{mean} {std}");
    refuse(here, &[&asked[..], &["--shape", "1", "--moves", "t"]].concat(), &["--moves is `t`", "follow t"]);
}

/// A number is told to a module that wants tensors as t is: r = 0 is x̂₀ in one step.
#[test]
fn a_number_may_be_held_in_a_module_that_takes_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let module = fixture("mean_flow/mean_flow.pt");
    let asked =
        ["measure", &module, "--schedule", "flow", "--prediction", "flow", "--time-input", "unit", "--of", "output"];
    let plan = ["--data", "gaussian:mean=0.4,std=0.5,dim=1", "--timesteps", "600", "--samples", "2048", "--out", "out"];
    succeed(here, &[&asked[..], &plan, &["--inputs", "x,t,r=0", "--dtype", "f64", "--quiet"]].concat());
    let report = report(&here.join("out"));
    let point = &report["models"][0]["curves"][0]["points"][0];
    let (mean, error) = (point["mean"].as_f64().unwrap(), point["std_error"].as_f64().unwrap());
    // u(x, t, 0) is affine in x, so E|f(t+1) − f(t)| is that of a normal number.
    let (t, next) = (told(600.0), told(601.0));
    let values = [-1.0, 1.0].map(|z| {
        let x = (1.0 - t) * M + d(t) * z;
        u(x, next, 0.0) - u(x, t, 0.0)
    });
    let (middle, spread) = (0.5 * (values[0] + values[1]), 0.5 * (values[1] - values[0]).abs());
    let count = 20_000;
    let truth: f64 = (0..count)
        .map(|i| {
            let z = -8.0 + 16.0 * (f64::from(i) + 0.5) / f64::from(count);
            (middle + spread * z).abs() * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt() * 16.0
                / f64::from(count)
        })
        .sum();
    assert!((mean - truth).abs() < 4.0 * error, "{mean} {truth}");
}
