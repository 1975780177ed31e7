//! A uniformization sampler on exact rates: what its steps cost, and what it samples.

use super::tests::{close, sparse};
use crate::random::{Purpose, stream};

/// Uniformization itself: in each of 240 cells of σ a Poisson number of proposals at the cell's bound, each of them a jump with
/// probability R/bound. As many proposals as the integral of the bounds says, and the samples of the law.
#[test]
fn a_uniformization_sampler_takes_the_expected_steps_and_samples_the_law() {
    let (law, low, high, chains) = (sparse(), 0.01, 2.0, 2000);
    let edges: Vec<f64> = (0..=240).map(|i| high * f64::powf(low / high, f64::from(i) / 240.0)).collect();
    let sup = |sigma: f64| {
        let at = law.at(sigma);
        at.expectation(|x| at.rates[x]).sup
    };
    let bound = |cell: &[f64]| {
        let inside = (0..5).map(|k| cell[1] + (cell[0] - cell[1]) * f64::from(k) / 4.0);
        inside.map(sup).fold(0.0, f64::max)
    };
    let bounds: Vec<f64> = edges.windows(2).map(bound).collect();
    let expected: f64 = edges.windows(2).zip(&bounds).map(|(cell, bound)| (cell[0] - cell[1]) * bound).sum();
    close(expected, 17.4093387871, "the integral of the bounds");
    let mut rng = stream(11, Purpose::Noise, 0.0, 0);
    let mut draw = move || rand::RngExt::random::<f64>(&mut rng);
    let chosen = |weights: &[f64], place: f64| {
        let mut below = 0.0;
        weights.iter().position(|weight| {
            below += weight;
            place < below
        })
    };
    let (start, mut counts) = (law.at(high).q, [0.0; 32]);
    let (mut steps, mut squares) = (0.0, 0.0);
    for _ in 0..chains {
        let (mut x, mut taken, mut cell, mut sigma) = (chosen(&start, draw()).unwrap_or(31), 0.0, 0, high);
        while cell < bounds.len() {
            // Waiting times of a Poisson process of rate `bound`, downwards in σ, anew in every cell.
            sigma += draw().max(1e-300).ln() / bounds[cell];
            if sigma < edges[cell + 1] {
                (sigma, cell) = (edges[cell + 1], cell + 1);
                continue;
            }
            taken += 1.0;
            let at = law.at(sigma);
            let rates: Vec<f64> = at.jump_law(x).iter().map(|p| p * at.rates[x] / bounds[cell]).collect();
            if let Some(jump) = chosen(&rates, draw()) {
                // Position and symbol of the jump.
                x = x & !(1 << (jump / 2)) | (jump % 2) << (jump / 2);
            }
        }
        (steps, squares) = (steps + taken, squares + taken * taken);
        counts[x] += 1.0;
    }
    let (n, mean) = (f64::from(chains), steps / f64::from(chains));
    let error = ((squares / n - mean * mean) / n).sqrt();
    assert!((mean - expected).abs() < 4.0 * error, "{mean} ± {error} steps instead of {expected}");
    let q = law.at(low).q;
    let likely: Vec<usize> = (0..32).filter(|x| q[*x] * n > 5.0).collect();
    let chi: f64 = likely.iter().map(|&x| (counts[x] - n * q[x]).powi(2) / (n * q[x])).sum();
    // χ² of some 15 states exceeds 45 once in 10⁴.
    assert!((5..=20).contains(&likely.len()) && chi < 45.0, "{chi} over {} states", likely.len());
}
