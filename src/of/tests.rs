//! Everything that can be measured against its definition, and its rate against differences in time, in float64.

use super::*;
use crate::denoiser::{AskedNetwork, NetworkDenoiser};
use crate::guidance::{self, Asked};
use crate::input::{Input, Values};
use crate::network::{InputShape, Network};
use crate::schedule;
use crate::state::Latents;
use crate::testing::{Tolerance, assert_close};
use crate::time::Conditioning;
use crate::timestep_map::{Identity, Sharing};
use std::sync::Arc;

/// F(u, τ, c) = (0.7 + c) u τ; with a random input F(u, τ, η) = (u + η) τ.
struct Bilinear;

impl Network for Bilinear {
    fn forward(&self, u: &Dual, t: &Dual, condition: &Condition) -> Result<Dual> {
        if let Some(eta) = condition.inputs.first() {
            return u.add(&Dual::constant(eta.shallow_clone()))?.mul(&t.linear(|t| t.f_unsqueeze(1))?);
        }
        let slope = condition.labels.as_ref().map_or(Tensor::from(0.7), |labels| labels.to_kind(Kind::Double) + 0.7);
        u.mul(&t.linear(|t| (t * &slope).f_unsqueeze(1))?)
    }

    fn carries_tangents(&self) -> bool {
        true
    }

    fn carries_x_tangents(&self) -> bool {
        true
    }

    fn input_shape(&self) -> InputShape {
        InputShape { sample: Some(vec![2]), ..InputShape::default() }
    }

    fn architecture(&self) -> String {
        "bilinear".into()
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    fn to(&mut self, _device: Device, _kind: Kind) -> Result<()> {
        Ok(())
    }
}

/// With a condition c = 1 and ∅ = 0, guided by w = 2.
fn network(prediction: Prediction, name: &str, map: Arc<dyn TimestepMap>) -> NetworkDenoiser {
    NetworkDenoiser {
        asked: AskedNetwork {
            network: Box::new(Bilinear),
            map,
            conditioning: Conditioning::default(),
            given: Asked::class(Some(1)),
            sample_shape: vec![2],
            device: Device::Cpu,
            kind: Kind::Double,
        },
        process: schedule::parse(name).unwrap().into(),
        prediction,
        guidance: Some(guidance::Guidance { scale: 2.0, without: Asked::class(Some(0)), inputs: Vec::new() }),
    }
}

fn state(denoiser: &dyn Denoiser) -> State {
    let x = Tensor::from_slice(&[0.3f64, -0.8, 1.2, 0.1, -0.5, 0.7]).reshape([3, 2]);
    State { x, condition: denoiser.condition(3, &Columns::default()).unwrap() }
}

fn converted(of: Of, prediction: Prediction, name: &str) -> Box<dyn Response> {
    response(of, &[], Box::new(network(prediction, name, Arc::new(Identity))))
}

/// All that needs no random input.
fn of_one_draw() -> impl Iterator<Item = Of> {
    GAUSSIAN.iter().copied().filter(|of| *of != Of::Spread)
}

const TIMES: [f64; 3] = [40.5, 300.5, 700.5];

#[test]
fn each_is_what_its_definition_makes_of_epsilon() {
    for name in ["linear", "trigflow", "flow", "ve"] {
        for (prediction, _) in Prediction::ALL {
            let plain = network(prediction, name, Arc::new(Identity));
            let state = state(&plain);
            let (epsilon, x0) = (plain.epsilon(&state, &TIMES).unwrap(), plain.x0(&state, &TIMES).unwrap());
            let sigma = Tensor::from_slice(&TIMES.map(|t| plain.schedule().sigma(t))).unsqueeze(1);
            let value = |of: Of| converted(of, prediction, name).value(&state, &TIMES).unwrap();
            let tolerance = Tolerance::of_largest(1e-12, "a dozen roundings of float64");
            let what = |of: Of| format!("{of} of {prediction} under {name}");
            assert_close(what(Of::Epsilon), &value(Of::Epsilon), &epsilon, tolerance);
            assert_close(what(Of::Score), &value(Of::Score), &(-&epsilon / &sigma), tolerance);
            assert_close(what(Of::X0), &value(Of::X0), &x0, tolerance);
            assert_close(what(Of::Excess), &value(Of::Excess), &(&epsilon / &sigma - &state.x), tolerance);
            let output = plain.answer(&state, &TIMES, false).unwrap().value;
            assert_close(what(Of::Output), &value(Of::Output), &output, tolerance);
        }
    }
}

/// ε_w = (1 + w) ε_c − w ε_∅ = ε_c + w δ for every w.
#[test]
fn guidance_is_what_each_unit_of_w_adds() {
    for (prediction, _) in Prediction::ALL {
        let at = |w: f64| {
            let mut plain = network(prediction, "linear", Arc::new(Identity));
            plain.guidance.as_mut().unwrap().scale = w;
            plain.epsilon(&state(&plain), &TIMES).unwrap()
        };
        let of = converted(Of::Guidance, prediction, "linear");
        let delta = of.value(&state(&network(prediction, "linear", Arc::new(Identity))), &TIMES).unwrap();
        assert!(delta.abs().min().double_value(&[]) > 0.0, "{prediction}");
        let tolerance = Tolerance::of_largest(1e-12, "a dozen roundings of float64");
        for w in [-1.0, 0.5, 7.5] {
            assert_close(format!("{prediction}, w = {w}"), &(at(0.0) + w * &delta), &at(w), tolerance);
        }
        assert_eq!(of.network_calls(), 2);
    }
}

/// The blocks of several w are the models of one w each, from one pair of evaluations.
#[test]
fn several_scales_are_models_of_their_own_side_by_side() {
    let scales = [-0.5, 0.0, 3.0];
    let shared = || Arc::new(Sharing::uniform(5, 100).unwrap());
    let guided = |w: f64, prediction| {
        let mut plain = network(prediction, "linear", shared());
        plain.guidance.as_mut().unwrap().scale = w;
        Box::new(plain)
    };
    let (t, next) = ([23.0, 39.0, 500.0], [24.0, 40.0, 501.0]);
    let tolerance = Tolerance::of_largest(1e-12, "a dozen roundings of float64");
    for prediction in [Prediction::Epsilon, Prediction::V] {
        for of in [Of::Epsilon, Of::Score, Of::X0] {
            let all = response(of, &scales, guided(9.0, prediction));
            let state = state(&*guided(9.0, prediction));
            let names: Vec<Option<String>> = all.blocks().into_iter().map(|block| block.name).collect();
            assert_eq!(names, ["w = -0.5", "w = 0", "w = 3"].map(|name| Some(name.to_string())));
            for (block, w) in all.blocks().iter().zip(scales) {
                let one = response(of, &[], guided(w, prediction));
                let pick = |whole: Tensor| whole.narrow(1, block.elements.start, 2);
                let what = format!("{of} of {prediction}, w = {w}");
                let value = pick(all.value(&state, &t).unwrap());
                assert_close(&what, &value, &one.value(&state, &t).unwrap(), tolerance);
                assert_close(&what, &pick(all.rate(&state, &t).unwrap()), &one.rate(&state, &t).unwrap(), tolerance);
                let (changes, spent) = all.change(&state, &t, &next).unwrap();
                let (change, alone) = one.change(&state, &t, &next).unwrap();
                assert_close(
                    &what,
                    &pick(changes),
                    &change,
                    Tolerance::absolute(1e-12, "differences of numbers below 10"),
                );
                assert_eq!(spent, alone, "{what}");
            }
        }
    }
}

#[test]
fn rates_match_differences_in_time() {
    for name in ["linear", "trigflow", "flow", "ve"] {
        for (prediction, _) in Prediction::ALL {
            let state = state(&network(prediction, name, Arc::new(Identity)));
            for of in of_one_draw() {
                let converted = converted(of, prediction, name);
                let at = |h: f64| converted.value(&state, &TIMES.map(|t| t + h)).unwrap();
                let central = |h: f64| (at(h) - at(-h)) / (2.0 * h);
                let difference = (central(5e-3) * 4.0 - central(1e-2)) / 3.0;
                let rate = converted.rate(&state, &TIMES).unwrap();
                let tolerance = Tolerance::of_largest(
                    2e-7,
                    "of the differences: truncation h⁴, rounding 1e-16/h of values a hundred times the rate",
                );
                assert_close(format!("{of} of {prediction} under {name}"), &rate, &difference, tolerance);
            }
        }
    }
}

#[test]
fn changes_are_differences_and_exact_zeros_inside_shared_intervals() {
    let shared = || Arc::new(Sharing::uniform(5, 100).unwrap());
    let (t, next) = ([23.0, 39.0, 500.0], [24.0, 40.0, 501.0]);
    for prediction in [Prediction::Epsilon, Prediction::V, Prediction::X0, Prediction::Flow] {
        let state = state(&network(prediction, "linear", shared()));
        for of in of_one_draw() {
            let converted = response(of, &[], Box::new(network(prediction, "linear", shared())));
            let (change, evaluations) = converted.change(&state, &t, &next).unwrap();
            let plain = converted.value(&state, &next).unwrap() - converted.value(&state, &t).unwrap();
            let tolerance = Tolerance::of_largest(1e-12, "of values, a few roundings of float64");
            assert_close(format!("{of} of {prediction}"), &change, &plain, tolerance);
            // Inside the sub-interval the network is told the same: what it outputs, and what does not need t besides, rests.
            let rests = matches!(
                (prediction, of),
                (_, Of::Output) | (Prediction::X0, Of::X0) | (Prediction::Epsilon, Of::Epsilon | Of::Guidance)
            );
            assert_eq!(of.rests_where_shared(prediction.name()), rests, "{of} of {prediction}");
            assert_eq!(change.get(0).abs().max().double_value(&[]) == 0.0, rests, "{of} of {prediction}");
            assert_eq!(evaluations, if rests { 4 } else { 5 }, "{of} of {prediction}");
        }
    }
}

/// Without noise there is no score, and without signal noise says nothing of x₀.
#[test]
fn it_is_said_where_something_does_not_exist() {
    let undefined = |of: Of, prediction: Prediction, name: &str, t: f64| {
        undefined_at(of, &network(prediction, name, Arc::new(Identity)), t)
    };
    let last = 999.0;
    assert!(undefined(Of::X0, Prediction::Epsilon, "trigflow", last).unwrap().contains("α = 0"));
    assert_eq!(undefined(Of::X0, Prediction::X0, "trigflow", last), None);
    assert_eq!(undefined(Of::Score, Prediction::Epsilon, "trigflow", last), None);
    assert!(undefined(Of::Score, Prediction::V, "flow", -1.0).unwrap().contains("σ = 0"));
    assert!(undefined(Of::Excess, Prediction::V, "flow", -1.0).unwrap().contains("σ = 0"));
    assert_eq!(undefined(Of::Epsilon, Prediction::V, "flow", -1.0), None);
}

#[test]
fn outputs_of_two_kinds_are_not_compared() {
    let (v, x0) = [Prediction::V, Prediction::X0].map(|p| network(p, "linear", Arc::new(Identity))).into();
    let models = || [("a", &v as &dyn Response), ("b", &x0)].into_iter();
    assert!(check(Of::Output, models()).unwrap_err().to_string().contains("a outputs v and b outputs x0"));
    assert!(check(Of::X0, models()).is_ok() && check(Of::Guidance, models()).is_ok());
    let without = NetworkDenoiser { guidance: None, ..network(Prediction::V, "linear", Arc::new(Identity)) };
    let refused = check(Of::Guidance, [("c", &without as &dyn Response)].into_iter()).unwrap_err().to_string();
    assert!(refused.contains("--of guidance for c"), "{refused}");
}

/// F = (u + η) τ: for every x the spread of the output is (η − η′) τ, and ε turns it by its own factor.
#[test]
fn the_spread_is_the_distance_of_two_draws_of_one_stream() {
    let latents = Latents { seed: 3, draws: vec![(40.0, 5), (40.0, 6), (40.0, 7)] };
    let columns = Columns { latents: Some(latents), ..Columns::default() };
    let random = |draws| Input { name: "`eta`".into(), values: Values::Normal { shape: vec![2], draws } };
    for (prediction, _) in Prediction::ALL {
        let made = |draws| {
            let mut plain = network(prediction, "linear", Arc::new(Identity));
            plain.asked.given = Asked { inputs: vec![random(draws)], ..Asked::default() };
            plain.guidance = None;
            Box::new(plain)
        };
        let state = |response: &dyn Response| State {
            x: Tensor::from_slice(&[0.3f64, -0.8, 1.2, 0.1, -0.5, 0.7]).reshape([3, 2]),
            condition: response.condition(3, &columns).unwrap(),
        };
        let (plain, spread) = (made(1), (made(1) as Box<dyn Response>).asked_for(Of::Spread, &[]));
        let (one, two) = (state(&*plain), state(&*spread));
        let eta = |draw: i64| two.condition.inputs[0].select(1, draw);
        let first = &one.condition.inputs[0];
        assert_close(
            "the first draw is that of one draw",
            &eta(0),
            first,
            Tolerance::absolute(0.0, "the same numbers"),
        );
        let at = |eta: Tensor, t: &[f64]| {
            let condition = Condition { inputs: vec![eta], ..Condition::default() };
            plain.epsilon(&State { x: one.x.shallow_clone(), condition }, t).unwrap()
        };
        let apart = |t: &[f64]| at(eta(0), t) - at(eta(1), t);
        let tolerance = Tolerance::of_largest(1e-12, "a dozen roundings of float64");
        assert_close(format!("{prediction}"), &spread.value(&two, &TIMES).unwrap(), &apart(&TIMES), tolerance);
        let next = TIMES.map(|t| t + 2.0);
        let (change, spent) = spread.change(&two, &TIMES, &next).unwrap();
        assert_close(format!("K, {prediction}"), &change, &(apart(&next) - apart(&TIMES)), tolerance);
        let central = |h: f64| (apart(&TIMES.map(|t| t + h)) - apart(&TIMES.map(|t| t - h))) / (2.0 * h);
        let rate = (central(5e-3) * 4.0 - central(1e-2)) / 3.0;
        let reason = "of the differences: truncation h⁴, rounding 1e-16/h of values a hundred times the rate";
        assert_close(
            format!("D, {prediction}"),
            &spread.rate(&two, &TIMES).unwrap(),
            &rate,
            Tolerance::of_largest(2e-7, reason),
        );
        assert_eq!((spent, spread.network_calls()), (6, 2));
        let refused = check(Of::Spread, [("a", &*made(1) as &dyn Response)].into_iter());
        assert!(refused.is_ok());
    }
    let plain = network(Prediction::Epsilon, "linear", Arc::new(Identity));
    let refused = check(Of::Spread, [("b", &plain as &dyn Response)].into_iter()).unwrap_err().to_string();
    assert!(refused.contains("--of spread for b, which has no random input"), "{refused}");
}
