//! AdamW with gradient clipping, a loss scale for float16, and exponential averages of the weights.

use crate::error::{Doing, Result};
use crate::libtorch::{self, AdamW, AdamWTensors};
use tch::{Device, Kind, Tensor};

/// The optimiser's state; its tensors are named in `state.rs`.
pub(super) struct Optimiser {
    /// First moments.
    pub first: Vec<Tensor>,
    /// Second moments.
    pub second: Vec<Tensor>,
    /// Number of steps, a scalar.
    pub step: Tensor,
    /// Present under float16.
    pub scale: Option<LossScale>,
}

/// What the loss is multiplied by, so that small gradients survive float16.
pub(super) struct LossScale {
    /// The factor.
    pub scale: Tensor,
    /// Finite steps since it last changed.
    pub growth: Tensor,
    /// 1 where a gradient of this step was not finite.
    found_inf: Tensor,
}

/// An exponential average of the weights.
pub(super) struct Average {
    /// Its decay.
    pub decay: f64,
    /// The averaged weights.
    pub weights: Vec<Tensor>,
}

const FIRST_SCALE: f64 = 65536.0;

impl Optimiser {
    /// A fresh state for these parameters.
    pub fn new(parameters: &[Tensor], device: Device, scaled: bool) -> Result<Self> {
        let doing = "preparing the optimiser";
        let zeros = || parameters.iter().map(|p| p.detach().f_zeros_like()).collect::<std::result::Result<Vec<_>, _>>();
        let scalar = |kind, value| Tensor::f_full([] as [i64; 0], value, (kind, device)).doing(doing);
        let scale = || -> Result<LossScale> {
            let found_inf = Tensor::f_zeros([1], (Kind::Float, device)).doing(doing)?;
            let scale = Tensor::f_full([1], FIRST_SCALE, (Kind::Float, device)).doing(doing)?;
            let growth = Tensor::f_zeros([1], (Kind::Int, device)).doing(doing)?;
            Ok(LossScale { scale, growth, found_inf })
        };
        Ok(Optimiser {
            first: zeros().doing(doing)?,
            second: zeros().doing(doing)?,
            step: scalar(Kind::Float, 0.0)?,
            scale: if scaled { Some(scale()?) } else { None },
        })
    }

    /// What the objective is multiplied by before the gradients are taken.
    pub fn scaled(&self, objective: &Tensor) -> Result<Tensor> {
        match &self.scale {
            Some(scale) => objective.f_mul(&scale.scale.squeeze()).doing("scaling the loss"),
            None => Ok(objective.shallow_clone()),
        }
    }

    /// One step; returns the gradients' 2-norm, a scalar on the device.
    pub fn step(
        &mut self,
        parameters: &[Tensor],
        gradients: &[Tensor],
        clip_norm: Option<f64>,
        settings: &AdamW,
    ) -> Result<Tensor> {
        if let Some(LossScale { scale, found_inf, .. }) = &mut self.scale {
            let _ = found_inf.f_zero_().doing("unscaling gradients")?;
            libtorch::unscale(gradients, scale, found_inf)?;
        }
        let norm = libtorch::clip(gradients, clip_norm)?;
        let tensors =
            AdamWTensors { parameters, gradients, first: &self.first, second: &self.second, step: &self.step };
        libtorch::adamw(&tensors, settings, self.scale.as_ref().map(|scale| &scale.found_inf))?;
        if let Some(LossScale { scale, growth, found_inf }) = &self.scale {
            libtorch::update_scale(scale, growth, found_inf)?;
        }
        Ok(norm)
    }
}

impl Average {
    /// An average that begins at the weights themselves.
    pub fn new(decay: f64, parameters: &[Tensor]) -> Result<Self> {
        let copy = |p: &Tensor| {
            p.detach().f_empty_like().map(|mut copy| {
                copy.copy_(&p.detach());
                copy
            })
        };
        let weights = parameters.iter().map(copy).collect::<std::result::Result<_, _>>();
        Ok(Average { decay, weights: weights.doing("copying weights")? })
    }

    /// After step number `step` (from 1): decay = min(decay, (1 + step)/(10 + step)), so that a short run is not
    /// dominated by the first weights.
    pub fn update(&mut self, parameters: &[Tensor], step: u64) -> Result<()> {
        let decay = self.decay.min((1.0 + step as f64) / (10.0 + step as f64));
        libtorch::lerp(&self.weights, parameters, 1.0 - decay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: AdamW = AdamW { rate: 0.1, beta1: 0.9, beta2: 0.999, weight_decay: 0.01, epsilon: 1e-8 };

    fn tensor(values: &[f64]) -> Tensor {
        Tensor::from_slice(values)
    }

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor).unwrap()
    }

    #[test]
    fn a_step_is_that_of_the_paper() {
        let parameters = [tensor(&[1.0, -2.0])];
        let mut optimiser = Optimiser::new(&parameters, Device::Cpu, false).unwrap();
        let (mut expected, mut m, mut v) = ([1.0, -2.0], [0.0; 2], [0.0; 2]);
        for (step, gradient) in [[0.5, 3.0], [-0.1, 2.0], [0.3, -1.0]].into_iter().enumerate() {
            let norm = optimiser.step(&parameters, &[tensor(&gradient)], None, &SETTINGS).unwrap();
            assert!((norm.double_value(&[]) - f64::hypot(gradient[0], gradient[1])).abs() < 1e-12);
            for i in 0..2 {
                m[i] = 0.9 * m[i] + 0.1 * gradient[i];
                v[i] = 0.999 * v[i] + 0.001 * gradient[i] * gradient[i];
                let n = (step + 1) as i32;
                let (m_hat, v_hat): (f64, f64) = (m[i] / (1.0 - 0.9f64.powi(n)), v[i] / (1.0 - 0.999f64.powi(n)));
                expected[i] -= 0.1 * (m_hat / (v_hat.sqrt() + 1e-8) + 0.01 * expected[i]);
            }
        }
        for (got, wanted) in numbers(&parameters[0]).iter().zip(expected) {
            // libtorch's bias corrections are float64, the order of operations is another.
            assert!((got - wanted).abs() < 1e-12, "{got} {wanted}");
        }
    }

    /// As those of convolutions do whose input lies channels last.
    #[test]
    fn gradients_may_lie_otherwise_in_memory() {
        let gradient = tensor(&[0.5, -3.0, 2.0, -0.1, 0.7, -0.2]).reshape([2, 3]);
        let turned = gradient.tr().contiguous().tr();
        assert_ne!(turned.stride(), gradient.stride());
        let stepped = |gradient: &Tensor| {
            let parameters = [tensor(&[0.0; 6]).reshape([2, 3])];
            let mut optimiser = Optimiser::new(&parameters, Device::Cpu, false).unwrap();
            let _ = optimiser.step(&parameters, &[gradient.shallow_clone()], None, &SETTINGS).unwrap();
            numbers(&parameters[0].flatten(0, -1))
        };
        assert_eq!(stepped(&turned), stepped(&gradient));
    }

    #[test]
    fn gradients_are_clipped_to_their_norm() {
        let gradients = [tensor(&[3.0]), tensor(&[4.0])];
        assert!((libtorch::clip(&gradients, Some(1.0)).unwrap().double_value(&[]) - 5.0).abs() < 1e-12);
        // Divided by norm + 1e-6, as PyTorch does.
        assert!((numbers(&gradients[0])[0] - 0.6).abs() < 1e-6 && (numbers(&gradients[1])[0] - 0.8).abs() < 1e-6);
        let _ = libtorch::clip(&gradients, Some(2.0)).unwrap();
        assert!((numbers(&gradients[0])[0] - 0.6).abs() < 1e-6, "what is short enough stays");
    }

    #[test]
    fn a_step_with_infinite_gradients_is_void_and_halves_the_scale() {
        let parameters = [Tensor::from_slice(&[1.0f32])];
        let mut optimiser = Optimiser::new(&parameters, Device::Cpu, true).unwrap();
        let scale = |optimiser: &Optimiser| optimiser.scale.as_ref().unwrap().scale.double_value(&[0]);
        let _ = optimiser.step(&parameters, &[Tensor::from_slice(&[f32::INFINITY])], None, &SETTINGS).unwrap();
        assert_eq!((parameters[0].double_value(&[0]), scale(&optimiser)), (1.0, 32768.0));
        assert_eq!(optimiser.step.double_value(&[]), 0.0);
        let _ = optimiser.step(&parameters, &[Tensor::from_slice(&[32768.0f32])], None, &SETTINGS).unwrap();
        // The first step of AdamW goes by the rate against the gradient's sign, and decays.
        assert!((parameters[0].double_value(&[0]) - (1.0 - 0.1 - 0.001)).abs() < 1e-6);
        assert_eq!((optimiser.step.double_value(&[]), scale(&optimiser)), (1.0, 32768.0));
    }

    #[test]
    fn averages_follow_with_their_decay() {
        let parameters = [tensor(&[0.0])];
        let mut average = Average::new(0.5, &parameters).unwrap();
        let _ = parameters[0].shallow_clone().fill_(1.0);
        average.update(&parameters, 1).unwrap();
        // min(0.5, 2/11) of the old stays.
        assert!((numbers(&average.weights[0])[0] - 9.0 / 11.0).abs() < 1e-12);
        average.update(&parameters, 1000).unwrap();
        assert!((numbers(&average.weights[0])[0] - (1.0 - 0.5 * 2.0 / 11.0)).abs() < 1e-12);
    }
}
