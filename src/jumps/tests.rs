//! Rates and laws of networks that give exact log-ratios, against enumeration in float64.

use super::*;
use crate::denoiser::AskedNetwork;
use crate::guidance::Asked;
use crate::ideal::IdealJumps;
use crate::network::{Condition, InputShape, Network};
use crate::process::{ForwardProcess, ProcessSpec};
use crate::response::Response;
use crate::state::State;
use crate::time::{Axis, Conditioning};
use crate::timestep_map::Identity;
use lipscope_core::process::jump::{Exact, Jump};
use std::sync::Arc;
use tch::Device;

/// Log-ratios, or log p(x₀ | x), of an exact law, told σ.
struct Known {
    law: Exact,
    output: Output,
    width: usize,
}

impl Known {
    /// ln r_a, or log p(x₀ = a | x), at a position and its ∂/∂σ.
    fn entry(&self, row: &[f32], sigma: f64, position: usize, symbol: usize) -> (f64, f64) {
        let (x, at) = (self.law.state(row).unwrap(), self.law.at(sigma));
        let graph = self.law.graph();
        let h = 1e-5 * sigma;
        let value = |sigma: f64| {
            let at = self.law.at(sigma);
            let mut neighbour = row.to_vec();
            neighbour[position] = symbol as f32;
            let ratio = at.q[self.law.state(&neighbour).unwrap()] / at.q[x];
            let back = if self.output == Output::LogX0 { sigma.exp_m1() } else { 1.0 };
            (ratio * back).max(1e-300).ln()
        };
        let jumps = graph.mask().is_none_or(|mask| row[position] as usize == mask);
        if !jumps || row[position] as usize == symbol || symbol >= graph.symbols() || at.q[x] == 0.0 {
            // Nothing must depend on what is here.
            return (123.0, -4.5e6);
        }
        (value(sigma), (value(sigma + h) - value(sigma - h)) / (2.0 * h))
    }
}

impl Network for Known {
    fn forward(&self, x: &Dual, t: &Dual, _condition: &Condition) -> Result<Dual> {
        let symbols = Vec::<f64>::try_from(x.value.to_kind(Kind::Double).reshape([-1])).unwrap();
        let told = Vec::<f64>::try_from(t.value.to_kind(Kind::Double)).unwrap();
        let positions = self.law.positions();
        let rates = t.tangent.as_ref().map(|rate| Vec::<f64>::try_from(rate.to_kind(Kind::Double)).unwrap());
        let (mut values, mut tangents) = (Vec::new(), Vec::new());
        for (row, (x, &sigma)) in symbols.chunks(positions).zip(&told).enumerate() {
            let x: Vec<f32> = x.iter().map(|&symbol| symbol as f32).collect();
            for (position, symbol) in (0..positions).flat_map(|p| (0..self.width).map(move |a| (p, a))) {
                // Of one number for each bit, that of the other.
                let symbol = if self.width == 1 { 1 - x[position] as usize } else { symbol };
                let (value, slope) = self.entry(&x, sigma, position, symbol);
                values.push(value);
                tangents.push(slope * rates.as_ref().map_or(0.0, |rates| rates[row]));
            }
        }
        let mut shape = x.value.size();
        shape.extend((self.width > 1).then_some(self.width as i64));
        let tensor = |all: &[f64]| Tensor::from_slice(all).view(&shape[..]);
        Ok(Dual { value: tensor(&values), tangent: rates.is_some().then(|| tensor(&tangents)) })
    }

    fn carries_tangents(&self) -> bool {
        true
    }

    fn input_shape(&self) -> InputShape {
        InputShape::default()
    }

    fn architecture(&self) -> String {
        "known ratios".into()
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    fn to(&mut self, _device: Device, _kind: Kind) -> Result<()> {
        Ok(())
    }
}

fn process(name: &str) -> Arc<Jump> {
    match name.parse().unwrap() {
        ProcessSpec::Jump(jump) => jump,
        other => panic!("{other}"),
    }
}

fn law(jump: &Jump, rows: &[[f32; 3]]) -> Exact {
    Exact::new(jump.graph, rows.iter().map(|row| &row[..]), 3).unwrap()
}

const ROWS: [[f32; 3]; 4] = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 1.0]];

fn network(jump: &Arc<Jump>, output: Output, width: usize, of: Of) -> NetworkJumps {
    let asked = AskedNetwork {
        network: Box::new(Known { law: law(jump, &ROWS), output, width }),
        map: Arc::new(Identity),
        conditioning: Conditioning::scaled(Axis::Sigma, 1.0),
        given: Asked::default(),
        sample_shape: vec![3],
        device: Device::Cpu,
        kind: Kind::Double,
    };
    NetworkJumps { asked, process: Arc::clone(jump), output, of }
}

fn ideal(jump: &Arc<Jump>, of: Of) -> IdealJumps {
    let (process, map) = (Arc::clone(jump), Arc::new(Identity));
    IdealJumps { law: law(jump, &ROWS), process, map, sample_shape: vec![3], device: Device::Cpu, of }
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap()
}

/// Value, change and rate of every kind of network are those of the exact law, at states with and without jumps.
#[test]
fn exact_networks_have_the_rates_and_laws_of_enumeration() {
    for (name, output, width) in [
        ("flip", Output::LogRatio, 2),
        ("flip", Output::LogRatio, 1),
        ("uniform:symbols=3", Output::LogRatio, 3),
        ("absorb:symbols=2", Output::LogRatio, 3),
        ("absorb:symbols=2", Output::LogRatio, 2),
        ("absorb:symbols=2", Output::LogX0, 3),
    ] {
        let jump = process(name);
        let mask = jump.graph.mask().map_or(1.0, |mask| mask as f64);
        let x = Tensor::from_slice(&[0.0, 0.0, 0.0, mask, mask, mask, 1.0, 0.0, mask]).view([3, 3]);
        let (t, next) = ([40.0, 300.0, 700.5], [41.0, 301.0, 702.0]);
        let state = State::unconditional(x);
        for of in [Of::Rate, Of::Jumps] {
            let (got, exact) = (network(&jump, output, width, of), ideal(&jump, of));
            let pairs = [
                (got.value(&state, &t), exact.value(&state, &t), 1e-12),
                (got.change(&state, &t, &next).map(|c| c.0), exact.change(&state, &t, &next).map(|c| c.0), 1e-10),
                // The network's own tangents are differences.
                (got.rate(&state, &t), exact.rate(&state, &t), 1e-7),
            ];
            for (i, (got, exact, tolerance)) in pairs.into_iter().enumerate() {
                let (got, mut exact) = (numbers(&got.unwrap()), numbers(&exact.unwrap()));
                if (of, width) == (Of::Jumps, 1) {
                    // A bit has one jump, whose place in the exact law is that of the other bit.
                    exact = exact.chunks(2).map(|pair| pair[0] + pair[1]).collect();
                }
                assert_eq!(got.len(), exact.len(), "{name} {of} {i}");
                let scale = exact.iter().fold(1e-300f64, |scale, value| scale.max(value.abs()));
                for (got, exact) in got.iter().zip(&exact) {
                    // A law has parts of 1, and under masking it stands still.
                    assert!((got - exact).abs() <= tolerance * scale + 1e-14, "{name} {of} {i}: {got} {exact}");
                }
            }
        }
    }
}

#[test]
fn what_cannot_jump_stands_still() {
    let jump = process("absorb:symbols=2");
    let state = State::unconditional(Tensor::from_slice(&[1.0, 0.0, 1.0]).view([1, 3]));
    for of in [Of::Rate, Of::Jumps] {
        let network = network(&jump, Output::LogX0, 2, of);
        for tensor in [
            network.value(&state, &[5.0]).unwrap(),
            network.rate(&state, &[5.0]).unwrap(),
            network.change(&state, &[5.0], &[6.0]).unwrap().0,
        ] {
            assert!(numbers(&tensor).iter().all(|value| *value == 0.0), "{of} {tensor}");
        }
    }
}

/// R over the exact law's own expectations: of R its mean is fixed, and secants go over into derivatives.
#[test]
fn expectations_are_those_of_the_process() {
    let jump = process("uniform:symbols=3");
    let ideal = ideal(&jump, Of::Rate);
    use lipscope_core::quantity::Quantity;
    let size = ideal.expectation(Quantity::Size, Axis::Step, (100.0, None)).unwrap();
    assert!((size.mean - 2.0).abs() < 1e-12, "{size:?}");
    for of in [Of::Rate, Of::Jumps] {
        let ideal = IdealJumps { of, ..self::ideal(&jump, of) };
        let derivative = ideal.expectation(Quantity::Derivative, Axis::Sigma, (100.0, None)).unwrap();
        let secant = ideal.expectation(Quantity::Secant, Axis::Sigma, (100.0 - 5e-4, Some(100.0 + 5e-4))).unwrap();
        assert!((secant.mean / derivative.mean - 1.0).abs() < 1e-5, "{secant:?} {derivative:?}");
        let per_step = ideal.expectation(Quantity::Derivative, Axis::Step, (100.0, None)).unwrap();
        let speed = jump.coordinate_rate(Axis::Sigma, 100.0).unwrap();
        assert!((per_step.mean / derivative.mean / speed - 1.0).abs() < 1e-12);
    }
}

#[test]
fn outputs_of_another_shape_are_refused_with_the_right_one() {
    let jump = process("flip");
    let network = network(&jump, Output::LogRatio, 4, Of::Rate);
    let state = State::unconditional(Tensor::from_slice(&[1.0, 0.0, 1.0]).view([1, 3]));
    let message = network.value(&state, &[5.0]).unwrap_err().to_string();
    assert!(message.contains("[1, 3, 4]") && message.contains("[1, 3, 2], or [1, 3] of each bit"), "{message}");
}

#[test]
fn predictions_of_noise_do_not_exist_here() {
    use crate::prediction::Prediction;
    assert_eq!(Output::new(Some(Prediction::X0), &process("absorb:symbols=4")).unwrap(), Output::LogX0);
    assert_eq!(Output::new(None, &process("flip")).unwrap(), Output::LogRatio);
    for (asked, name, says) in
        [(Prediction::X0, "uniform:symbols=4", "do not follow"), (Prediction::V, "flip", "no such")]
    {
        let message = Output::new(Some(asked), &process(name)).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }
}
