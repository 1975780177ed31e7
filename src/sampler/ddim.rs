//! DDIM with η = 0 (Song et al., arXiv 2010.02502, eq. 12): x_next = α_next x̂₀ + σ_next ε̂, deterministic given x_T.

use crate::denoiser::Denoiser;
use crate::error::{Doing, Result};
use crate::random::{Purpose, fill_normal, stream};
use crate::time::Timestep;
use std::ops::Range;
use tch::Tensor;

/// Samples number `samples` of the stream `seed`, [B, …], in `steps` network evaluations each. x̂₀ is clamped to
/// ±`clip` where that is given. `progress` is called after every step; `false` from it stops with `None`.
pub fn ddim(
    denoiser: &dyn Denoiser,
    steps: usize,
    clip: Option<f64>,
    seed: u64,
    samples: Range<u64>,
    progress: &mut dyn FnMut() -> bool,
) -> Result<Option<Tensor>> {
    let _no_grad = tch::no_grad_guard();
    let schedule = denoiser.schedule();
    let times = grid(schedule.timesteps(), steps);
    let mut x = start(denoiser, seed, samples)?;
    let rows = x.size()[0] as usize;
    let doing = "taking a DDIM step";
    for (i, &t) in times.iter().enumerate() {
        let x0 = denoiser.x0(&x, &vec![t; rows])?;
        let x0 = match clip {
            Some(clip) => x0.f_clamp(-clip, clip).doing(doing)?,
            None => x0,
        };
        let (alpha, sigma) = (schedule.alpha(t), schedule.sigma(t));
        let epsilon =
            x.f_sub(&x0.f_mul_scalar(alpha).doing(doing)?).and_then(|v| v.f_div_scalar(sigma)).doing(doing)?;
        let (alpha_next, sigma_next) = match times.get(i + 1) {
            Some(&t_next) => (schedule.alpha(t_next), schedule.sigma(t_next)),
            None => (1.0, 0.0),
        };
        let signal = x0.f_mul_scalar(alpha_next).doing(doing)?;
        x = signal.f_add(&epsilon.f_mul_scalar(sigma_next).doing(doing)?).doing(doing)?;
        if !progress() {
            return Ok(None);
        }
    }
    Ok(Some(x))
}

/// `steps` distinct grid indices, descending from T−1 (or the last one with a signal) to 0.
fn grid(timesteps: usize, steps: usize) -> Vec<Timestep> {
    let last = (timesteps - 1) as f64;
    let steps = steps.clamp(2, timesteps);
    let mut times: Vec<f64> = (0..steps).map(|i| (last * i as f64 / (steps - 1) as f64).round()).collect();
    times.dedup();
    times.reverse();
    times
}

fn start(denoiser: &dyn Denoiser, seed: u64, samples: Range<u64>) -> Result<Tensor> {
    let shape = denoiser.sample_shape();
    let dim: i64 = shape.iter().product();
    let mut values = vec![0.0f32; (samples.end - samples.start) as usize * dim as usize];
    for (row, sample) in values.chunks_exact_mut((dim as usize).max(1)).zip(samples.clone()) {
        fill_normal(&mut stream(seed, Purpose::Start, 0.0, sample), row);
    }
    let full: Vec<i64> = std::iter::once((samples.end - samples.start) as i64).chain(shape.iter().copied()).collect();
    let x = Tensor::f_from_slice(&values).and_then(|v| v.f_view(&full[..]));
    x.and_then(|v| v.f_to_device(denoiser.device())).and_then(|v| v.f_to_kind(denoiser.kind())).doing("drawing noise")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ideal::{Gaussian, IdealDenoiser};
    use crate::schedule;
    use crate::timestep_map::Identity;
    use std::sync::Arc;
    use tch::{Device, Kind};

    fn ideal() -> IdealDenoiser {
        IdealDenoiser {
            distribution: Box::new(Gaussian::diagonal(&[0.5], &[0.09], Device::Cpu)),
            schedule: schedule::parse("linear").unwrap(),
            map: Arc::new(Identity),
            sample_shape: vec![1],
            device: Device::Cpu,
        }
    }

    fn samples(steps: usize, range: Range<u64>) -> Vec<f64> {
        let x = ddim(&ideal(), steps, None, 3, range, &mut || true).unwrap().unwrap();
        Vec::try_from(x.reshape([-1]).to_kind(Kind::Double)).unwrap()
    }

    /// The probability flow of a Gaussian is affine: x₀ = μ + s·(x_T − α_T μ)/√(α_T² s² + σ_T²).
    #[test]
    fn ddim_converges_to_the_probability_flow_at_first_order() {
        let s = schedule::parse("linear").unwrap();
        let (alpha, sigma) = (s.alpha(999.0), s.sigma(999.0));
        let mut noise = [0.0f32];
        fill_normal(&mut stream(3, Purpose::Start, 0.0, 0), &mut noise);
        // The last step goes from t = 0 to the clean sample; its exact flow ends at t = −1.
        let exact = 0.5 + 0.3 * (f64::from(noise[0]) - alpha * 0.5) / (alpha * alpha * 0.09 + sigma * sigma).sqrt();
        let error = |steps| (samples(steps, 0..1)[0] - exact).abs();
        let ratio = error(125) / error(500);
        assert!(error(500) < 0.02, "{}", error(500));
        assert!((2.0..8.0).contains(&ratio), "error falls by {ratio} for four times the steps");
    }

    #[test]
    fn samples_do_not_depend_on_the_batch() {
        let together = samples(10, 0..4);
        for i in 0..4 {
            assert!((samples(10, i..i + 1)[0] - together[i as usize]).abs() < 1e-12);
        }
    }

    #[test]
    fn grids_end_at_zero_and_never_repeat() {
        assert_eq!(grid(1000, 2), [999.0, 0.0]);
        assert_eq!(grid(5, 50), [4.0, 3.0, 2.0, 1.0, 0.0]);
    }
}
