//! ∂/∂t of TorchScript modules: every way to it agrees with closed forms or with the native network, and where there is
//! none the reason is said.

mod common;

use common::closeness::{Tolerance, assert_close};
use common::{fixture, fresh, refuse, report, succeed};
use lipscope::checkpoint::{self, Request};
use lipscope::denoiser::{AskedNetwork, Denoiser, NetworkDenoiser};
use lipscope::dual::Dual;
use lipscope::network::{Argument, Condition, Network, Probe};
use lipscope::prediction::Prediction;
use lipscope::state::State;
use std::path::Path;
use tch::{Device, Kind, Tensor};

const TIMES: [f64; 4] = [0.7, 19.0, 137.3, 901.0];

fn network(name: &str, kind: Kind) -> Box<dyn Network> {
    let path = fixture(name);
    let request = Request::on(Device::Cpu);
    let mut network = checkpoint::open(Path::new(&path), &request).unwrap().network;
    network.to(Device::Cpu, kind).unwrap();
    let condition = Condition::default();
    let probe = Probe {
        sample_shape: &[1, 8, 8],
        times: [0.0, 500.0],
        condition: &condition,
        device: Device::Cpu,
        kind,
        beside: 0,
        moving: &[Argument::T],
        answers_x: true,
    };
    network.prepare(&probe).unwrap();
    network.prepare_rate(&probe).unwrap();
    network
}

/// f and ∂f/∂t · 0.5, in float64.
fn rate(network: &dyn Network, kind: Kind) -> (Tensor, Tensor) {
    let _no_grad = tch::no_grad_guard();
    let x = (Tensor::arange(4 * 64, (Kind::Double, Device::Cpu)) * 0.37).sin().view([4, 1, 8, 8]).to_kind(kind);
    let t = Tensor::from_slice(&TIMES).to_kind(kind);
    let tangent = t.ones_like() * 0.5;
    let dual = network.forward(&Dual::constant(x), &Dual::new(t, tangent), &Condition::default()).unwrap();
    (dual.value.to_kind(Kind::Double), dual.tangent.unwrap().to_kind(Kind::Double))
}

#[test]
fn forward_mode_and_differences_agree_with_the_closed_form() {
    for (name, route) in
        [("plain.pt", "forward mode"), ("detaches_t.pt", "extrapolated central differences in float64")]
    {
        for (kind, tolerance) in [(Kind::Double, 1e-9), (Kind::Float, 1e-5)] {
            let network = network(&format!("torchscript/{name}"), kind);
            let words = network.rate_route();
            assert!(words.starts_with(route) && (words == route || words.contains(", within ")), "{words}");
            let (value, tangent) = rate(&*network, kind);
            // f = g(x) cos(t/100), hence ∂f/∂t = −tan(t/100)/100 · f.
            let slope: Vec<f64> = TIMES.iter().map(|t| -0.5 * 0.01 * (0.01 * t).tan()).collect();
            let expected = value * Tensor::from_slice(&slope).view([4, 1, 1, 1]);
            let reason = "float64 differences keep 4e-11 at the step chosen; float32 1e-7 times a tangent of up to 3";
            assert_close(format!("{name} {kind:?}"), &tangent, &expected, Tolerance::of_largest(tolerance, reason));
        }
    }
}

#[test]
fn double_backward_through_attention_agrees_with_the_native_network() {
    let (script, native) =
        (network("torchscript/pipeline.pt", Kind::Float), network("torchscript/pipeline", Kind::Double));
    assert!(script.rate_route().starts_with("double backward, within "), "{}", script.rate_route());
    assert_eq!(native.rate_route(), "tangents through the layers");
    let ((value, tangent), (exact_value, exact)) = (rate(&*script, Kind::Float), rate(&*native, Kind::Double));
    let reason = "float32 against float64 of the same weights";
    assert_close("value", &value, &exact_value, Tolerance::of_largest(1e-5, reason));
    assert_close("tangent", &tangent, &exact, Tolerance::of_largest(1e-4, reason));
}

/// The true derivative of a module in which a part of t is hidden is that of all of it; where a part is rounded or looked
/// up there is none that shows its jumps, and that is said.
#[test]
fn modules_that_are_partly_blind_are_found_out() {
    for (kind, tolerance) in [(Kind::Double, 1e-9), (Kind::Float, 1e-5)] {
        let network = network("torchscript/partly_detached.pt", kind);
        assert!(network.rate_route().starts_with("extrapolated central differences"), "{}", network.rate_route());
        let (value, tangent) = rate(&*network, kind);
        // f = g(x) (cos(t/100) + sin(3t/100))
        let slope = |t: &f64| {
            let (a, b) = (0.01 * t, 0.03 * t);
            0.5 * (0.03 * b.cos() - 0.01 * a.sin()) / (a.cos() + b.sin())
        };
        let slopes: Vec<f64> = TIMES.iter().map(slope).collect();
        let expected = value * Tensor::from_slice(&slopes).view([4, 1, 1, 1]);
        let reason = "float64 differences keep 4e-11 at the step chosen; float32 1e-7 times a slope of up to 3";
        assert_close(format!("{kind:?}"), &tangent, &expected, Tolerance::of_largest(tolerance, reason));
    }
    for (name, says) in [
        ("partly_detached.pt", "The differences are used instead."),
        ("partly_rounded.pt", "If it rounds t, its output jumps where the rounded t does"),
        ("partly_looked_up.pt", "differences of its answers do not settle"),
        ("plain.pt", ""),
    ] {
        let notes = network(&format!("torchscript/{name}"), Kind::Float).notes();
        assert_eq!(notes.len(), usize::from(!says.is_empty()), "{name}: {notes:?}");
        assert!(notes.iter().all(|note| note.contains(says)), "{name}: {notes:?}");
    }
}

#[test]
fn modules_without_a_derivative_say_why() {
    let (folder, _) = fresh("");
    for (name, says) in [
        ("rounds_t.pt", "t is rounded inside"),
        ("integer_time.pt", "takes integer timesteps"),
        ("baked.pt", "takes x alone"),
    ] {
        let arguments = ["measure", &fixture(&format!("torchscript/{name}")), "--data", "digits", "--quantity"];
        refuse(folder.path(), &[&arguments[..], &["derivative"]].concat(), &[says]);
    }
}

/// Along the sampling path and in x, on a network with attention: exact derivatives against differences of the same
/// network in float64.
#[test]
fn derivatives_in_x_agree_with_differences() {
    let _no_grad = tch::no_grad_guard();
    let network = network("torchscript/pipeline", Kind::Double);
    let denoiser = NetworkDenoiser {
        asked: AskedNetwork {
            network,
            map: std::sync::Arc::new(lipscope::timestep_map::Identity),
            conditioning: Default::default(),
            given: Default::default(),
            sample_shape: vec![1, 8, 8],
            device: Device::Cpu,
            kind: Kind::Double,
        },
        process: lipscope::schedule::parse("linear").unwrap().into(),
        prediction: Prediction::V,
        guidance: None,
    };
    let example =
        |shift: f64| (Tensor::arange(128, (Kind::Double, Device::Cpu)) * 0.37 + shift).sin().view([2, 1, 8, 8]);
    let (x, v, u) = (example(0.0), example(1.0), example(2.0));
    let state = State::unconditional(x);
    let along = denoiser.along(&state, &v, true, &[50.0, 700.0]).unwrap();
    let moved = |h: f64| state.with_x(&state.x + h * &v);
    let at = |h: f64| denoiser.epsilon(&moved(h), &[50.0 + h, 700.0 + h]).unwrap();
    let central = |h: f64| (at(h) - at(-h)) / (2.0 * h);
    let richardson = (central(5e-3) * 4.0 - central(1e-2)) / 3.0;
    assert_close("along", &along, &richardson, Tolerance::of_largest(1e-6, "of the differences: O(h⁴) and 1e-16/h"));
    // uᵀ(J v) = (Jᵀ u)ᵀ v
    let forward = (denoiser.along(&state, &v, false, &[50.0, 700.0]).unwrap() * &u).sum(Kind::Double);
    let reverse = (denoiser.transposed(&state, &u, &[50.0, 700.0]).unwrap() * &v).sum(Kind::Double);
    assert!((forward / reverse - 1.0).abs().double_value(&[]) < 1e-10);
}

#[test]
fn path_and_spatial_of_a_module_are_those_of_the_native_network() {
    let (folder, out) = fresh("out");
    let of = |checkpoint: &str, quantity| {
        let name = fixture(&format!("torchscript/{checkpoint}"));
        [
            "measure",
            &name,
            "--data",
            "digits",
            "--timesteps",
            "0,50",
            "--samples",
            "4",
            "--out",
            "out",
            "--quantity",
            quantity,
        ]
        .map(str::to_string)
    };
    for (quantity, unit) in [("path", "1/step"), ("spatial", "1/‖x‖")] {
        let measured = |checkpoint: &str| {
            common::clear(folder.path());
            let arguments = of(checkpoint, quantity);
            succeed(folder.path(), &arguments.iter().map(String::as_str).chain(["--plot=svg"]).collect::<Vec<_>>());
            report(&out)
        };
        let (native, module) = (measured("pipeline"), measured("pipeline.pt"));
        let curve = &native["models"][0]["curves"][0];
        assert_eq!((&curve["quantity"], &curve["unit"]), (&quantity.into(), &unit.into()));
        assert!(curve["points"].as_array().unwrap().iter().all(|point| point["mean"].as_f64().unwrap() > 0.0));
        let means = |report: &serde_json::Value| -> Vec<f64> {
            common::means(report, 0).into_iter().map(|(_, mean)| mean).collect()
        };
        let reason = "float32 tangents by two ways through the same weights; power iteration stops at 1e-4";
        assert_close(quantity, &means(&module), &means(&native), Tolerance::of_largest(2e-4, reason));
        let route = module["models"][0]["model"]["derivative"].as_str().unwrap();
        assert!(route.contains("double backward, within "), "{route}");
    }
    let rounded = fixture("torchscript/rounds_t.pt");
    refuse(folder.path(), &["measure", &rounded, "--data", "digits", "--quantity", "path"], &["t is rounded inside"]);
}

/// f = g(x) cos(t/100) with g affine: along v and t together g′v cos − g(x) sin/100, whatever way each takes.
#[test]
fn x_and_t_move_together_by_ways_of_their_own() {
    for (name, ways) in [("plain.pt", 1), ("detaches_t.pt", 2)] {
        for (kind, tolerance) in [(Kind::Double, 1e-9), (Kind::Float, 1e-5)] {
            let mut network = network(&format!("torchscript/{name}"), kind);
            let (condition, example) = (Condition::default(), &[1, 8, 8]);
            let (device, moving) = (Device::Cpu, &[Argument::T]);
            let times = [0.0, 500.0];
            let probe = Probe {
                sample_shape: example,
                times,
                condition: &condition,
                device,
                kind,
                beside: 0,
                moving,
                answers_x: true,
            };
            network.prepare_jacobian(&probe).unwrap();
            let of_x = network.jacobian_route().unwrap();
            assert!(of_x.starts_with("forward mode, within "), "{of_x}");
            assert_eq!(network.rate_route().starts_with("forward mode"), ways == 1);
            let _no_grad = tch::no_grad_guard();
            let made = |shift: f64| {
                (Tensor::arange(4 * 64, (Kind::Double, device)) * 0.37 + shift).sin().view([4, 1, 8, 8]).to_kind(kind)
            };
            let (x, v, t) = (made(0.0), made(1.0), Tensor::from_slice(&TIMES).to_kind(kind));
            let ask = |x: &Tensor, v: Option<&Tensor>, with_time: bool| {
                let x = Dual { value: x.shallow_clone(), tangent: v.map(Tensor::shallow_clone) };
                let t = Dual { value: t.shallow_clone(), tangent: with_time.then(|| t.ones_like()) };
                network.forward(&x, &t, &condition).unwrap()
            };
            let along = ask(&x, Some(&v), true).tangent.unwrap();
            // g is affine, so f(x + v) − f(x) is its derivative along v.
            let (here, moved) = (ask(&x, None, false).value, ask(&(&x + &v), None, false).value);
            let slope = Tensor::from_slice(&TIMES.map(|t| -0.01 * (0.01 * t).tan())).view([4, 1, 1, 1]).to_kind(kind);
            let expected = &moved - &here + &here * slope;
            let (found, expected) = (along.to_kind(Kind::Double), expected.to_kind(Kind::Double));
            let reason = "float64 differences keep 4e-11 at the step chosen; float32 1e-7 times a tangent of up to 3";
            assert_close(format!("{name} {kind:?}"), &found, &expected, Tolerance::of_largest(tolerance, reason));
        }
    }
}

#[test]
fn the_report_says_which_way_was_taken() {
    let (folder, out) = fresh("out");
    let module = fixture("torchscript/pipeline.pt");
    let arguments = ["measure", &module, "--data", "digits", "--timesteps", "0,50", "--samples", "4", "--out", "out"];
    succeed(folder.path(), &[&arguments[..], &["--quantity", "both"]].concat());
    let route = report(&out)["models"][0]["model"]["derivative"].as_str().unwrap().to_string();
    assert!(route.starts_with("double backward, within "), "{route}");
    common::clear(folder.path());
    succeed(folder.path(), &arguments);
    assert!(report(&out)["models"][0]["model"]["derivative"].is_null());
}
