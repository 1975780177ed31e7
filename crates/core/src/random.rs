//! Random streams that belong to samples: what is drawn depends on the seed, the purpose, the timestep and the sample's
//! index, and on nothing else, so that numbers do not change with the batch size or the number of threads.

use crate::time::Timestep;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// What a stream is for; streams of different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The clean sample x₀.
    CleanSample = 1,
    /// The noise ε in x_t.
    Noise = 2,
    /// The state that a sampler starts from.
    Start = 3,
    /// The first weights of a network.
    Weights = 5,
    /// The order in which training sees its data.
    Shuffle = 6,
    /// A training sample's timestep, and whether it is flipped.
    Training = 7,
    /// A training sample's noise.
    TrainingNoise = 8,
    /// The points of an embedded data set.
    Points = 9,
    /// Where power iteration starts.
    PowerIteration = 10,
    /// The noise that a stochastic sampler adds in the step from a timestep.
    Ancestral = 11,
    /// The direction in which x_t is perturbed.
    Perturbation = 12,
    /// The row of the data whose condition a generated sample gets.
    Condition = 13,
    /// The random inputs of a network.
    Latent = 14,
    /// The directions of a sliced distance.
    Projection = 20,
    /// Which of the data stand for generated samples, and which for the rest.
    Split = 21,
}

/// The stream of one sample. The four numbers are the cipher's key, so that no two streams can coincide.
pub fn stream(seed: u64, purpose: Purpose, timestep: Timestep, sample: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (part, number) in key.chunks_exact_mut(8).zip([seed, purpose as u64, timestep.to_bits(), sample]) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// Fills `out` with standard normal numbers.
pub fn fill_normal(rng: &mut ChaCha8Rng, out: &mut [f32]) {
    for value in out {
        let normal: f64 = StandardNormal.sample(rng);
        *value = normal as f32;
    }
}

/// The largest float32 number below 1.
const BELOW_ONE: f32 = 1.0 - f32::EPSILON / 2.0;

/// Fills `out` with uniform numbers of [0, 1): small ones keep all of float32's digits.
pub fn fill_uniform(rng: &mut ChaCha8Rng, out: &mut [f32]) {
    for value in out {
        *value = (rng.random::<f64>() as f32).min(BELOW_ONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_numbers_lie_in_their_interval_alike() {
        let mut out = vec![0.0; 200_000];
        fill_uniform(&mut stream(0, Purpose::Noise, 0.0, 0), &mut out);
        let n = out.len() as f64;
        let mean = out.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let below = out.iter().filter(|v| **v < 1e-3).count() as f64 / n;
        // Five standard errors: 5·√(1/12n) and 5·√(1e-3/n).
        assert!((mean - 0.5).abs() < 0.0033 && (below - 1e-3).abs() < 3.6e-4, "{mean} {below}");
        assert!(out.iter().all(|v| (0.0..1.0).contains(v)));
    }

    #[test]
    fn streams_depend_on_every_part_and_on_nothing_else() {
        let draw = |seed, purpose, t, sample| {
            let mut out = [0.0; 8];
            fill_normal(&mut stream(seed, purpose, t, sample), &mut out);
            out
        };
        let reference = draw(1, Purpose::Noise, 3.0, 7);
        assert_eq!(reference, draw(1, Purpose::Noise, 3.0, 7));
        for other in [
            draw(2, Purpose::Noise, 3.0, 7),
            draw(1, Purpose::CleanSample, 3.0, 7),
            draw(1, Purpose::Noise, 4.0, 7),
            draw(1, Purpose::Noise, 3.0, 8),
        ] {
            assert_ne!(reference, other);
        }
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let mut out = vec![0.0; 200_000];
        fill_normal(&mut stream(0, Purpose::Noise, 0.0, 0), &mut out);
        let n = out.len() as f64;
        let mean = out.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = out.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
        // Five standard errors: 5/√n and 5·√(2/n).
        assert!(mean.abs() < 0.012 && (variance - 1.0).abs() < 0.016, "{mean} {variance}");
    }
}
