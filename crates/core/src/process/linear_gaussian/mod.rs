//! Diffusions with auxiliary variables: for each element of a sample the state is u = (x, v, …), k variables, and
//! du = A u β dt + √(2Dβ) dW with A = −(Q + D)∇²H, Q antisymmetric, D symmetric and positive semi-definite, and
//! ∇²H = diag(1/variances of the stationary law) (Singhal et al., arXiv 2302.07261, eq. 7 to 9; CLD, arXiv 2112.07068,
//! eq. 5, is one of them).
//!
//! With B = ∫β, E = e^{AB} and the auxiliary variables drawn from N(0, S₀) at the beginning and integrated out, the kernel is
//! u_t | x₀ ~ N(E_x x₀, Σ): E_x is the first column of E, and Σ = E S₀ Eᵀ + ∫₀^B e^{As} 2D e^{Aᵀs} ds + ν I = L Lᵀ, with
//! L lower triangular and ν the trainer's numerical epsilon. Noise is ε ~ N(0, I_k), u = E_x x₀ + L ε, and a network predicts
//! ε = −Lᵀ ∇_u ln q_t(u). There is no σ and no log-SNR.
//!
//! dL/dt follows from Σ̇ = β(A (Σ − νI) + (Σ − νI) Aᵀ + 2D). A new member is one file that fills in `Terms`, and one line in
//! [`OTHERS`](super::OTHERS).

mod cld;
mod gaussian_data;
mod matrix;
mod mdm;
#[cfg(test)]
mod tests;
mod whitened;

pub use cld::CLD;
pub use gaussian_data::Ideal;
pub use mdm::MDM;
pub use whitened::Whitened;

use super::ProcessSpec;
use crate::error::{Error, Result};
use crate::schedule::Timestep;
use crate::time::Axis;
use matrix::{beside, flow, inverse, solve, triangular, triangular_rate};
use ndarray::{Array1, Array2};
use std::sync::Arc;

/// More variables have no names, and no published model.
const MOST_VARIABLES: usize = 4;

/// What a process is made of.
#[derive(Debug, Clone)]
struct Terms {
    /// Q [k, k].
    q: Array2<f64>,
    /// D [k, k].
    d: Array2<f64>,
    /// Variances of the stationary law `[k]`.
    stationary: Vec<f64>,
    /// Variance of each auxiliary variable at the beginning.
    initial: f64,
    /// β at u = 0 and at u = 1, linear between them.
    beta: (f64, f64),
    /// ν, added to the diagonal of Σ.
    epsilon: f64,
    /// T.
    timesteps: usize,
}

/// A linear process with auxiliary variables.
#[derive(Debug, Clone)]
pub struct LinearGaussian {
    /// As it was typed.
    pub name: String,
    /// A [k, k].
    drift: Array2<f64>,
    /// f with f fᵀ = 2D.
    diffusion: Array2<f64>,
    terms: Terms,
}

/// q(u_t | x₀) at one time; rates are per step.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// E_x: the mean is E_x x₀, `[k]`.
    pub mean: Array1<f64>,
    /// dE_x/dt.
    pub d_mean: Array1<f64>,
    /// L, lower triangular [k, k].
    pub factor: Array2<f64>,
    /// dL/dt.
    pub d_factor: Array2<f64>,
}

impl Kernel {
    /// Σ = L Lᵀ, [k, k].
    pub fn covariance(&self) -> Array2<f64> {
        self.factor.dot(&self.factor.t())
    }
}

impl Kernel {
    /// c = L_kk/Σ_kk of the last variable, by which a mixed score adds it to the network's output, and ċ.
    pub fn mixed(&self) -> (f64, f64) {
        let last = self.factor.nrows() - 1;
        let (row, d_row) = (self.factor.row(last), self.d_factor.row(last));
        let (variance, d_variance) = (row.dot(&row), 2.0 * row.dot(&d_row));
        let c = row[last] / variance;
        (c, (d_row[last] - c * d_variance) / variance)
    }
}

impl LinearGaussian {
    /// The process `name` of these terms.
    ///
    /// # Errors
    /// Matrices that give no such process, and numbers out of range.
    fn build(terms: Terms, name: &str, refuse: impl Fn(String) -> Error) -> Result<ProcessSpec> {
        let Terms { q, d, stationary, .. } = &terms;
        let k = stationary.len();
        if !(2..=MOST_VARIABLES).contains(&k) || q.dim() != (k, k) || d.dim() != (k, k) {
            let shapes = format!("Q has shape {:?} and D has shape {:?}", q.shape(), d.shape());
            return Err(refuse(format!("{shapes}; both are [k, k] with k from 2 to {MOST_VARIABLES}")));
        }
        let scale = q.iter().chain(d).fold(0.0f64, |most, x| most.max(x.abs()));
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(refuse("Q and D hold no finite numbers other than 0".into()));
        }
        if (q + &q.t()).iter().any(|x| x.abs() > 1e-6 * scale) {
            return Err(refuse("Q is not antisymmetric (Qᵀ = −Q)".into()));
        }
        if (d - &d.t()).iter().any(|x| x.abs() > 1e-6 * scale) {
            return Err(refuse("D is not symmetric".into()));
        }
        let diffusion = matrix::root(&(2.0 * d)).ok_or_else(|| refuse("D has a negative eigenvalue".into()))?;
        let inverse: Array1<f64> = stationary.iter().map(|variance| 1.0 / variance).collect();
        // A = −(Q + D) ∇²H: column j over the stationary variance of variable j.
        let drift = -(q + d) * &inverse;
        let process = LinearGaussian { name: name.into(), drift, diffusion, terms };
        process.refuse_without_noise(refuse)?;
        Ok(ProcessSpec::LinearGaussian(Arc::new(process)))
    }

    /// Noise must reach every variable, or Σ is singular and has no density.
    fn refuse_without_noise(&self, refuse: impl Fn(String) -> Error) -> Result<()> {
        let kernel = self.kernel(0.0);
        let least =
            (0..self.variables()).find(|&i| !(kernel.factor[[i, i]] > 0.0 && kernel.factor[[i, i]].is_finite()));
        match least {
            None => Ok(()),
            Some(i) => {
                Err(refuse(format!("no noise reaches variable {}: D and Q leave it as it was", self.names()[i])))
            }
        }
    }

    /// T.
    pub fn timesteps(&self) -> usize {
        self.terms.timesteps
    }

    /// k.
    pub fn variables(&self) -> usize {
        self.terms.stationary.len()
    }

    /// Names of the variables: x, v; or x, v1, v2, ….
    pub fn names(&self) -> Vec<String> {
        match self.variables() {
            2 => vec!["x".into(), "v".into()],
            k => (0..k).map(|i| if i == 0 { "x".into() } else { format!("v{i}") }).collect(),
        }
    }

    /// u = (t + 1)/T.
    fn unit(&self, t: Timestep) -> f64 {
        (t + 1.0) / self.terms.timesteps as f64
    }

    /// a(t); `None` for σ and log-SNR, which do not exist.
    pub fn coordinate(&self, axis: Axis, t: Timestep) -> Option<f64> {
        match axis {
            Axis::Step => Some(t),
            Axis::Unit => Some(self.unit(t)),
            Axis::Sigma | Axis::LogSnr | Axis::Argument => None,
        }
    }

    /// da/dt per step; `None` where [`LinearGaussian::coordinate`] is.
    pub fn coordinate_rate(&self, axis: Axis, _t: Timestep) -> Option<f64> {
        match axis {
            Axis::Step => Some(1.0),
            Axis::Unit => Some(1.0 / self.terms.timesteps as f64),
            Axis::Sigma | Axis::LogSnr | Axis::Argument => None,
        }
    }

    /// B = ∫₀^u β, and dB/dt = β(u)/T.
    pub fn elapsed(&self, t: Timestep) -> (f64, f64) {
        let (u, (first, last)) = (self.unit(t).max(0.0), self.terms.beta);
        (u * (first + 0.5 * (last - first) * u), (first + (last - first) * u) / self.terms.timesteps as f64)
    }

    /// q(u_t | x₀). At t = −1 there is no noise in x, and dL/dt is not finite.
    pub fn kernel(&self, t: Timestep) -> Kernel {
        let (b, speed) = self.elapsed(t);
        let (exponential, noise) = flow(&self.drift, &self.diffusion, b);
        let start = exponential.slice(ndarray::s![.., 1..]).mapv(|entry| entry * self.terms.initial.sqrt());
        let clean = triangular(&beside(&[noise, start]));
        let factor = self.with_epsilon(clean);
        let mean = exponential.column(0).to_owned();
        let whitened = speed * self.whitened_rate(&factor);
        Kernel { d_mean: speed * self.drift.dot(&mean), d_factor: triangular_rate(&factor, &whitened), mean, factor }
    }

    /// The kernels of several times; neighbours of one time share theirs.
    pub fn kernels(&self, t: &[Timestep]) -> Vec<Arc<Kernel>> {
        let mut kernels: Vec<Arc<Kernel>> = Vec::with_capacity(t.len());
        for (row, &at) in t.iter().enumerate() {
            let known = kernels.last().filter(|_| t[row - 1] == at).map(Arc::clone);
            kernels.push(known.unwrap_or_else(|| Arc::new(self.kernel(at))));
        }
        kernels
    }

    /// The factor of l lᵀ + ν I.
    fn with_epsilon(&self, l: Array2<f64>) -> Array2<f64> {
        if self.terms.epsilon == 0.0 {
            return l;
        }
        let diagonal = Array2::eye(l.nrows()) * self.terms.epsilon.sqrt();
        triangular(&beside(&[l, diagonal]))
    }

    /// L⁻¹ (A P + P Aᵀ + 2D − 2νA′) L⁻ᵀ with P = L Lᵀ and 2A′ = A + Aᵀ, the rate per unit of B of any covariance P of this
    /// process, whitened: L⁻¹ A L and its transpose, plus (L⁻¹ f)(L⁻¹ f)ᵀ, less ν times L⁻¹ A L⁻ᵀ and its transpose.
    fn whitened_rate(&self, l: &Array2<f64>) -> Array2<f64> {
        let moved = solve(l, &self.drift);
        let inverse = inverse(l);
        let drift = moved.dot(l) - self.terms.epsilon * moved.dot(&inverse.t());
        let noise = inverse.dot(&self.diffusion);
        &drift + &drift.t() + noise.dot(&noise.t())
    }
}
