//! The parts of ∂ε/∂t: that they add up in every native network, and each against t moved in one place only.

mod common;

use common::closeness::{Tolerance, compare};
use lipscope::attribution::{self, Attribute};
use lipscope::denoiser::{AskedNetwork, NetworkDenoiser, Part, RateParts};
use lipscope::draws::{CleanSamples, Draws};
use lipscope::estimator::Norm;
use lipscope::guidance::{Asked, Guidance};
use lipscope::network::mlp::{MlpConfig, ResidualMlp};
use lipscope::network::{Closure, Network};
use lipscope::nn::Weights;
use lipscope::prediction::Prediction;
use lipscope::random::fill_normal;
use lipscope::report::PartRow;
use lipscope::response::Response;
use lipscope::schedule;
use lipscope::state::State;
use lipscope::time::{Axis, Conditioning};
use lipscope::timestep_map::{Identity, Sharing, TimestepMap};
use lipscope_core::attribution::PartKind;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

const KINDS: [PartKind; 2] = [PartKind::Site, PartKind::Frequency];

fn denoiser(network: Box<dyn Network>, prediction: Prediction) -> NetworkDenoiser {
    NetworkDenoiser {
        asked: AskedNetwork {
            network,
            map: Arc::new(Identity) as Arc<dyn TimestepMap>,
            conditioning: Conditioning::default(),
            given: Asked::default(),
            sample_shape: vec![2],
            device: Device::Cpu,
            kind: Kind::Double,
        },
        process: schedule::parse("linear").unwrap().into(),
        prediction,
        guidance: None,
    }
}

/// The perceptron of the fixture, in float64, with the fixture's own frequencies: powers in float32 differ in their last bit
/// from one processor to another.
fn perceptron(expected: &serde_json::Value) -> ResidualMlp {
    let mut k = 0.0;
    let mut matrix = |rows: i64, columns: i64| {
        k += 1.0;
        let entry = |r: f64, c: f64| (1.7 * k + 0.9 * r + 1.3 * c + 0.37 * r * c).sin() * (2.0 / columns as f64).sqrt();
        let values: Vec<f64> = (0..rows).flat_map(|r| (0..columns).map(move |c| entry(r as f64, c as f64))).collect();
        let weight = Tensor::from_slice(&values).view([rows, columns]);
        k += 1.0;
        let values: Vec<f64> = (0..rows).map(|r| 0.3 * (0.8 * k + 1.1 * r as f64).cos()).collect();
        [weight, Tensor::from_slice(&values)]
    };
    let mut tensors = BTreeMap::new();
    let mut add = |name: &str, [weight, bias]: [Tensor; 2]| {
        tensors.insert(format!("{name}.weight"), weight);
        tensors.insert(format!("{name}.bias"), bias);
    };
    add("time_embedding.linear_1", matrix(6, 64));
    add("time_embedding.linear_2", matrix(6, 6));
    add("input", matrix(6, 2));
    for block in 0..3 {
        for layer in ["linear_1", "time", "linear_2"] {
            add(&format!("blocks.{block}.{layer}"), matrix(6, 6));
        }
    }
    add("output", matrix(2, 6));
    let config = MlpConfig::new(vec![2], 6, 3, Path::new("test")).unwrap();
    let network = ResidualMlp::new(&config, &Weights::new(tensors, Path::new("test"))).unwrap();
    let (_, mut frequencies) = network.constants().remove(0);
    frequencies.copy_(&numbers(&expected["omega"]).to_kind(Kind::Float));
    network
}

fn numbers(json: &serde_json::Value) -> Tensor {
    let values: Vec<f64> = json.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    Tensor::from_slice(&values)
}

fn expected() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/attribution/expected.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn each_part_is_that_of_t_moved_in_one_place() {
    let _no_grad = tch::no_grad_guard();
    let expected = expected();
    let denoiser = denoiser(Box::new(perceptron(&expected)), Prediction::Epsilon);
    let state = State::unconditional(numbers(&expected["x"]).unsqueeze(0));
    let mut checked = 0;
    for row in expected["rows"].as_array().unwrap() {
        let t = [row["t"].as_f64().unwrap()];
        let rate = denoiser.rate(&state, &t).unwrap().squeeze_dim(0);
        let tolerance = Tolerance::of_largest(1e-11, "rounding of float64, in phases of up to 500 rad");
        compare(&rate, &numbers(&row["total"]), tolerance).unwrap();
        for (kind, column) in [(PartKind::Site, "by_site"), (PartKind::Frequency, "by_frequency")] {
            let theirs = row[column].as_array().unwrap();
            let parts = denoiser.parts(kind, &state, &t).unwrap();
            assert_eq!(parts.len(), theirs.len());
            for (part, theirs) in parts.iter().zip(theirs) {
                let found = denoiser.part(part, &state, &t).unwrap().squeeze_dim(0);
                compare(&found, &numbers(theirs), tolerance).unwrap_or_else(|e| panic!("{} at {t:?}: {e}", part.name));
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 4 * (3 + 32));
    let names = |kind| denoiser.parts(kind, &state, &[3.0]).unwrap().into_iter().map(|part| part.name);
    assert_eq!(names(PartKind::Site).collect::<Vec<String>>(), ["blocks.0", "blocks.1", "blocks.2"]);
    assert_eq!(names(PartKind::Frequency).take(2).collect::<Vec<String>>(), ["1", "0.7499"]);
}

fn sum(denoiser: &NetworkDenoiser, parts: &[Part], state: &State, t: &[f64]) -> Tensor {
    parts.iter().fold(state.x.zeros_like(), |sum, part| sum + denoiser.part(part, state, t).unwrap())
}

/// v by moving t in what turns the network's output into ε, at a fixed output.
#[test]
fn conversion_is_a_part() {
    let _no_grad = tch::no_grad_guard();
    let denoiser = denoiser(Box::new(perceptron(&expected())), Prediction::V);
    let state = State::unconditional(Tensor::from_slice(&[0.4f64, -0.9]).unsqueeze(0));
    // Between two steps of the grid, where the schedule has no kink.
    let t = 40.5;
    let parts = denoiser.parts(PartKind::Site, &state, &[t]).unwrap();
    assert_eq!(parts[0].name, "conversion");
    let network = perceptron(&expected());
    let told = |t: f64| lipscope::dual::Dual::constant(Tensor::from_slice(&[t]));
    let x = lipscope::dual::Dual::constant(state.x.shallow_clone());
    let output = network.forward(&x, &told(t), &Default::default()).unwrap().value;
    let at = |t: f64| {
        let (alpha, sigma) = (schedule::parse("linear").unwrap().alpha(t), schedule::parse("linear").unwrap().sigma(t));
        alpha * &output + sigma * &state.x
    };
    let h = 1e-3;
    let differences = (at(t + h) - at(t - h)) / (2.0 * h);
    let found = denoiser.part(&parts[0], &state, &[t]).unwrap();
    compare(&found, &differences, Tolerance::of_largest(1e-8, "h² and rounding 1e-16/h")).unwrap();
}

/// With what lies around a network: prediction types, a scaled input, guidance, and shared timesteps.
#[test]
fn parts_add_up_whatever_is_around_the_network() {
    let _no_grad = tch::no_grad_guard();
    let x = Tensor::from_slice(&[0.4f64, -0.9, 1.3, 0.2]).view([2, 2]);
    let state = State::unconditional(x);
    let t = [3.5, 640.0];
    let tolerance =
        Tolerance::of_largest(1e-12, "a dozen sums in float64, of parts that are a hundred times the total");
    for (prediction, _) in Prediction::ALL {
        for guided in [false, true] {
            let mut denoiser = denoiser(Box::new(perceptron(&expected())), prediction);
            denoiser.guidance = guided.then(|| Guidance { scale: 1.5, without: Asked::default(), inputs: Vec::new() });
            let rate = denoiser.rate(&state, &t).unwrap();
            for kind in KINDS {
                let parts = denoiser.parts(kind, &state, &t).unwrap();
                assert_eq!(parts.iter().any(|part| part.name == "conversion"), prediction.converts());
                assert_eq!(parts.iter().any(|part| part.name == "input"), prediction.scales_input());
                compare(&sum(&denoiser, &parts, &state, &t), &rate, tolerance)
                    .unwrap_or_else(|e| panic!("{prediction}, {kind}, guided {guided}: {e}"));
            }
        }
    }
    // Within a sub-interval the network is told the same t: nothing enters.
    let mut shared = denoiser(Box::new(perceptron(&expected())), Prediction::Epsilon);
    shared.asked.map = Arc::new(Sharing::uniform(5, 100).unwrap());
    for part in shared.parts(PartKind::Site, &state, &t).unwrap() {
        let norms = shared.part(&part, &state, &t).unwrap().abs().sum_dim_intlist(1, false, Kind::Double);
        assert!(norms.double_value(&[0]) == 0.0 && norms.double_value(&[1]) > 0.0, "{}", part.name);
    }
}

#[test]
fn a_function_has_no_parts() {
    let network = Closure::new(&[2], |x, _| Ok(x.shallow_clone()));
    let refused = denoiser(Box::new(network), Prediction::Epsilon).rate_parts().err().unwrap();
    assert!(refused.contains("cannot be reached"), "{refused}");
}

/// Rows of one sample each, or all at once: the same numbers, and as many evaluations.
#[test]
fn batches_change_nothing() {
    struct Points;
    impl CleanSamples for Points {
        fn draw(&self, rng: &mut rand_chacha::ChaCha8Rng, out: &mut [f32]) -> lipscope::error::Result<Option<usize>> {
            fill_normal(rng, out);
            Ok(None)
        }
    }
    let denoiser = denoiser(Box::new(perceptron(&expected())), Prediction::V);
    let draws = Draws::new(Arc::new(Points), 3, vec![2]);
    let all = attribution::parts(&denoiser, &draws, 5.0, Attribute::Both).unwrap();
    let with = |batch: u64| {
        let settings = attribution::Settings { axis: Axis::Step, norm: Norm::L2, samples: 5, batch };
        attribution::attribute((&denoiser, &all), &draws, &[5.0, 700.0], &settings).unwrap()
    };
    let ((one, evaluations), (ten, same)) = (with(1), with(10));
    assert_eq!((evaluations, one.len()), (same, 2 * all.len()));
    assert_eq!(evaluations, 10 * (all.len() as u64 + 1));
    for (a, b) in one.iter().zip(&ten) {
        assert_eq!((&a.part, a.timestep), (&b.part, b.timestep));
        let (x, y) = (a.share.unwrap(), b.share.unwrap());
        assert!((x - y).abs() <= 1e-9 * x.abs().max(1.0), "{a:?} {b:?}");
        assert!(a.share_ci_low.unwrap() <= x && x <= a.share_ci_high.unwrap());
    }
    for kind in KINDS {
        for t in [5.0, 700.0] {
            let of = |row: &&PartRow| row.kind == kind && row.timestep == t;
            let sum: f64 = one.iter().filter(of).map(|row| row.share.unwrap()).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{kind} at {t}: {sum}");
        }
    }
}
