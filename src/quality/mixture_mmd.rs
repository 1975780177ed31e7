//! Squared maximum mean discrepancy to a mixture of Gaussians *itself*, not to samples of it:
//!
//! MMD² = E k(X, X′) − 2 E k(X, Y) + E k(Y, Y′),   k(x, y) = mean over h of exp(−‖x − y‖²/2h²)
//!
//! With Y ~ N(m, S) the expectation is a Gaussian integral, E k_h(x, Y) = |I + S/h²|^(−½) exp(−½ (x − m)ᵀ(S + h²I)⁻¹(x − m)),
//! and E k_h(Y, Y′) is the same with x = m′ and S + S′. So only E k(X, X′) is an estimate, over all pairs of different samples
//! and unbiased; the value may be below 0. h runs over 1, ½, ¼, ⅛, 1/16 of the root mean square distance √(2 tr Σ) of two draws,
//! from the whole down to what lies within a mode.

use super::kernel::within;
use super::moments::{matrix, vector};
use super::neighbours::squared_distances;
use super::{Member, Metric, enough};
use crate::data::{MixtureParameters, Spread};
use crate::error::{Doing, Error, Result};
use ndarray::Axis;
use tch::{Kind, Tensor};

pub(super) const MEMBER: Member = Member {
    name: "mixture-mmd",
    label: "MMD² to the density",
    about: "unbiased squared MMD to the density itself, Gaussian kernels of five widths",
    lower_is_better: true,
    build: |reference, _| match &reference.density {
        Some(density) => Ok(Box::new(MixtureMmd::new(density)?)),
        None => Err(Error::unsupported(
            "mixture-mmd",
            "it needs data with a density in closed form, compared as it is",
            "Use --data gaussian:…, mixture:FILE or eight-gaussians without --features, or another metric.",
        )),
    },
};

/// Halvings of the widest kernel.
const HALVINGS: i32 = 5;

struct MixtureMmd {
    components: Vec<Component>,
    /// Widths h of the kernels.
    widths: Vec<f64>,
    /// E k(Y, Y′).
    within: f64,
}

struct Component {
    weight: f64,
    /// [1, d].
    mean: Tensor,
    covariance: Covariance,
}

enum Covariance {
    /// Variances, [d].
    Diagonal(Tensor),
    /// [d, d].
    Full(Tensor),
}

impl MixtureMmd {
    fn new(density: &MixtureParameters) -> Result<Self> {
        let components = components(density)?;
        let widest = (2.0 * total_variance(density)).sqrt();
        if widest <= 0.0 {
            let problem = "the density is a single point: no kernel has a width for it";
            return Err(Error::mismatch(problem, "Leave mixture-mmd out of --metrics."));
        }
        let widths: Vec<f64> = (0..HALVINGS).map(|j| widest / 2f64.powi(j)).collect();
        let mut inner = 0.0;
        for a in &components {
            for b in &components {
                let expected = mean_kernel(&a.mean, &b.mean, &a.covariance.plus(&b.covariance)?, &widths)?;
                inner += a.weight * b.weight * expected.double_value(&[0]);
            }
        }
        Ok(MixtureMmd { components, widths, within: inner })
    }
}

impl Metric for MixtureMmd {
    fn measure(&self, generated: &Tensor) -> Result<f64> {
        enough(generated, MEMBER.name, 2)?;
        let mut between = 0.0;
        for Component { weight, mean, covariance } in &self.components {
            let expected = mean_kernel(generated, mean, covariance, &self.widths)?;
            between += weight * expected.mean(Kind::Double).double_value(&[]);
        }
        let kernel = |x: &Tensor, y: &Tensor| {
            let squared = squared_distances(x, y)?;
            let mut sum = squared.f_zeros_like()?;
            for h in &self.widths {
                sum = sum.f_add(&squared.f_mul_scalar(-0.5 / (h * h))?.f_exp()?)?;
            }
            sum.f_div_scalar(self.widths.len() as f64)
        };
        Ok(within(generated, &kernel)? - 2.0 * between + self.within)
    }
}

fn components(density: &MixtureParameters) -> Result<Vec<Component>> {
    let MixtureParameters { weights, means, spread } = density;
    let component = |(k, weight): (usize, &f64)| -> Result<Component> {
        let mean = vector(means.row(k))?.f_unsqueeze(0).doing("reading a mixture")?;
        let covariance = match spread {
            Spread::Diagonal(std) => Covariance::Diagonal(vector(std.row(k).mapv(|std| std * std).view())?),
            Spread::Full(all) => Covariance::Full(matrix(&all.index_axis(Axis(0), k).to_owned())?),
        };
        Ok(Component { weight: *weight, mean, covariance })
    };
    weights.iter().enumerate().map(component).collect()
}

/// tr Σ = Σ_k π_k (tr Σ_k + ‖μ_k − μ‖²).
fn total_variance(density: &MixtureParameters) -> f64 {
    let MixtureParameters { weights, means, spread } = density;
    let mean = weights.dot(means);
    let of = |k: usize| -> f64 {
        let within: f64 = match spread {
            Spread::Diagonal(std) => std.row(k).iter().map(|std| std * std).sum(),
            Spread::Full(all) => all.index_axis(Axis(0), k).diag().sum(),
        };
        within + (&means.row(k) - &mean).iter().map(|x| x * x).sum::<f64>()
    };
    weights.iter().enumerate().map(|(k, weight)| weight * of(k)).sum()
}

impl Covariance {
    fn plus(&self, other: &Covariance) -> Result<Covariance> {
        let doing = "adding covariances";
        match (self, other) {
            (Covariance::Diagonal(a), Covariance::Diagonal(b)) => Ok(Covariance::Diagonal(a.f_add(b).doing(doing)?)),
            (Covariance::Full(a), Covariance::Full(b)) => Ok(Covariance::Full(a.f_add(b).doing(doing)?)),
            (Covariance::Full(full), Covariance::Diagonal(diagonal))
            | (Covariance::Diagonal(diagonal), Covariance::Full(full)) => {
                Ok(Covariance::Full(full.f_add(&diagonal.diag(0)).doing(doing)?))
            }
        }
    }
}

/// E k(x, Y) for every row of x [n, d], Y ~ N(mean, covariance), averaged over the kernels' widths, [n].
fn mean_kernel(x: &Tensor, mean: &Tensor, covariance: &Covariance, widths: &[f64]) -> Result<Tensor> {
    let doing = "integrating a kernel over a Gaussian";
    let offset = x.f_sub(mean).doing(doing)?;
    let (variance, offset) = match covariance {
        Covariance::Diagonal(variance) => (variance.shallow_clone(), offset),
        Covariance::Full(covariance) => {
            let (variance, basis) = covariance.f_linalg_eigh("L").doing(doing)?;
            (variance.f_clamp_min(0.0).doing(doing)?, offset.f_matmul(&basis).doing(doing)?)
        }
    };
    let squared = offset.f_square().doing(doing)?;
    let one = |h: &f64| {
        let h2 = h * h;
        // ln |I + S/h²|
        let log_volume = variance.f_div_scalar(h2)?.f_log1p()?.f_sum(Kind::Double)?;
        let reach = variance.f_add_scalar(h2)?;
        let distance = squared.f_div(&reach)?.f_sum_dim_intlist(1, false, Kind::Double)?;
        distance.f_add(&log_volume)?.f_mul_scalar(-0.5)?.f_exp()
    };
    let kernels: Vec<Tensor> = widths.iter().map(one).collect::<std::result::Result<_, _>>().doing(doing)?;
    Tensor::f_stack(&kernels, 0).and_then(|k| k.f_mean_dim(0, false, Kind::Double)).doing(doing)
}
