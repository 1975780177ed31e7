//! Networks whose input is scaled, against closed forms and differences in float64.

use super::{AskedNetwork, Denoiser, NetworkDenoiser};
use crate::dual::Dual;
use crate::error::Result;
use crate::guidance::Asked;
use crate::ideal::{Gaussian, IdealDenoiser};
use crate::network::{Closure, Condition, InputShape, Network};
use crate::preconditioning::Edm;
use crate::prediction::Prediction;
use crate::response::Response;
use crate::schedule;
use crate::state::State;
use crate::testing::{Tolerance, assert_close};
use crate::time::Conditioning;
use crate::timestep_map::{Identity, Sharing, TimestepMap};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// F(u, τ) = slope·u·τ, in float64.
struct Bilinear {
    slope: f64,
}

impl Network for Bilinear {
    fn forward(&self, u: &Dual, t: &Dual, _condition: &Condition) -> Result<Dual> {
        let column = t.linear(|t| t.f_unsqueeze(1)?.f_mul_scalar(self.slope))?;
        u.mul(&column)
    }

    fn carries_tangents(&self) -> bool {
        true
    }

    fn input_shape(&self) -> InputShape {
        InputShape { sample: Some(vec![2]), channels: None, resizable: false, row: None }
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

const EDM: Edm = Edm { sigma_data: 0.5 };

fn preconditioned(slope: f64, name: &str, map: Arc<dyn TimestepMap>) -> NetworkDenoiser {
    NetworkDenoiser {
        asked: AskedNetwork {
            network: Box::new(Bilinear { slope }),
            map,
            conditioning: "c-noise".parse::<Conditioning>().unwrap(),
            given: Asked::default(),
            sample_shape: vec![2],
            device: Device::Cpu,
            kind: Kind::Double,
        },
        process: schedule::parse(name).unwrap().into(),
        prediction: Prediction::Edm(EDM),
        guidance: None,
    }
}

fn state() -> State {
    State::unconditional(Tensor::from_slice(&[0.3f64, -0.8, 1.2, 0.1, -0.5, 0.7]).reshape([3, 2]))
}

/// For N(0, σ_d²) the ideal x̂₀ is c_skip x: a network that answers 0 is ideal.
#[test]
fn an_edm_network_of_zeros_is_ideal_for_a_gaussian_of_its_sigma_data() {
    for name in ["linear", "cosine", "flow"] {
        let edm = preconditioned(0.0, name, Arc::new(Identity));
        let ideal = IdealDenoiser {
            distribution: Box::new(Gaussian::diagonal(&[0.0; 2], &[0.25; 2], Device::Cpu)),
            process: schedule::parse(name).unwrap().into(),
            map: Arc::new(Identity),
            sample_shape: vec![2],
            device: Device::Cpu,
        };
        let v = state().x.flip([0]);
        let (t, next) = ([3.0, 500.5, 900.0], [4.0, 501.5, 901.0]);
        let rounding = Tolerance::of_largest(1e-12, "a dozen roundings of float64");
        let pairs: [(&str, Tensor, Tensor); 5] = [
            ("value", edm.value(&state(), &t).unwrap(), ideal.value(&state(), &t).unwrap()),
            ("rate", edm.rate(&state(), &t).unwrap(), ideal.rate(&state(), &t).unwrap()),
            ("change", edm.change(&state(), &t, &next).unwrap().0, ideal.change(&state(), &t, &next).unwrap().0),
            ("along", edm.along(&state(), &v, true, &t).unwrap(), ideal.along(&state(), &v, true, &t).unwrap()),
            ("x0", edm.x0(&state(), &t).unwrap(), ideal.x0(&state(), &t).unwrap()),
        ];
        for (what, got, expected) in pairs {
            assert_close(format!("{what}, {name}"), &got, &expected, rounding);
        }
    }
}

/// The scale of the input moves with t, so that the network's input has a tangent although x has none.
#[test]
fn rates_of_a_scaled_input_are_differences() {
    for name in ["linear", "trigflow", "flow"] {
        let edm = preconditioned(0.7, name, Arc::new(Identity));
        let t = [40.5, 300.3, 800.7];
        let at = |h: f64| edm.value(&state(), &t.map(|t| t + h)).unwrap();
        let central = |h: f64| (at(h) - at(-h)) / (2.0 * h);
        let differences = (central(1e-3) * 4.0 - central(2e-3)) / 3.0;
        let tolerance = Tolerance::of_largest(1e-8, "of the differences: O(h⁴) and rounding 1e-16/h");
        assert_close(name, &edm.rate(&state(), &t).unwrap(), &differences, tolerance);
    }
}

/// Two times that share a condition still scale x differently: the change is that of the network asked at both.
#[test]
fn sharing_a_condition_does_not_share_the_scale_of_the_input() {
    let edm = preconditioned(0.7, "linear", Arc::new(Sharing::uniform(2, 100).unwrap()));
    let (t, next) = ([10.0, 60.0, 49.0], [11.0, 70.0, 50.0]);
    let (change, evaluations) = edm.change(&state(), &t, &next).unwrap();
    let expected = edm.value(&state(), &next).unwrap() - edm.value(&state(), &t).unwrap();
    assert_close("change", &change, &expected, Tolerance::absolute(0.0, "the same operations"));
    assert!(change.abs().min().double_value(&[]) > 0.0);
    assert_eq!(evaluations, 6);
}

/// A row alone, among others, and without the batch's other timesteps.
#[test]
fn rows_do_not_depend_on_their_neighbours() {
    let edm = preconditioned(0.7, "cosine", Arc::new(Identity));
    let t = [10.0, 600.0, 49.0];
    let together = edm.rate(&state(), &t).unwrap();
    for (row, &t) in t.iter().enumerate() {
        let alone = State::unconditional(state().x.narrow(0, row as i64, 1));
        let alone = edm.rate(&alone, &[t]).unwrap();
        let same = Tolerance::of_largest(1e-14, "products in another order");
        assert_close("row", &alone, &together.narrow(0, row as i64, 1), same);
    }
}

/// The velocity of N(0, 0.25), told u or told 1 − u with its sign turned: one model, whose data lies at t → 0 both ways.
#[test]
fn a_flow_told_its_time_backwards_is_the_same_over_t() {
    let ideal = IdealDenoiser {
        distribution: Box::new(Gaussian::diagonal(&[0.0; 2], &[0.25; 2], Device::Cpu)),
        process: schedule::parse("flow").unwrap().into(),
        map: Arc::new(Identity),
        sample_shape: vec![2],
        device: Device::Cpu,
    };
    let of = |prediction: Prediction, told: &str| {
        let backwards = prediction == Prediction::ReversedFlow;
        let velocity = move |x: &Tensor, time: &Tensor| {
            let sigma = if backwards { 1.0 - time } else { time.shallow_clone() }.f_unsqueeze(1)?;
            let alpha: Tensor = 1.0 - &sigma;
            // E[ε − x₀ | x] = (σ − α V)/(α² V + σ²) x
            let factor = (&sigma - &alpha * 0.25) / (alpha.square() * 0.25 + sigma.square());
            if backwards { Ok(-factor * x) } else { Ok(factor * x) }
        };
        let NetworkDenoiser { asked, process, .. } = preconditioned(0.0, "flow", Arc::new(Identity));
        let asked = AskedNetwork {
            network: Box::new(Closure::new(&[2], velocity)),
            conditioning: told.parse::<Conditioning>().unwrap(),
            ..asked
        };
        NetworkDenoiser { asked, process, prediction, guidance: None }
    };
    let (t, next) = ([0.0, 15.0, 998.0], [1.0, 16.0, 999.0]);
    let expected = ideal.change(&state(), &t, &next).unwrap().0;
    for (prediction, told) in [(Prediction::Flow, "unit"), (Prediction::ReversedFlow, "1-unit")] {
        let found = of(prediction, told).change(&state(), &t, &next).unwrap().0;
        let rounding = Tolerance::of_largest(1e-11, "float64, less the digits of 1 − u at u = 0.001");
        assert_close(told, &found, &expected, rounding);
    }
}
