//! Ordinary least squares with an intercept and a handful of regressors.

/// A regressor whose scatter beyond the others' is below this part of its own says nothing new.
const COLLINEAR: f64 = 1e-9;

/// y ≈ ȳ + β·(x − x̄) over rows (y, x).
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeastSquares<const P: usize> {
    /// ȳ.
    pub value_mean: f64,
    /// x̄.
    pub means: [f64; P],
    /// β; 0 of a regressor that says nothing new.
    pub slopes: [f64; P],
    /// S⁻¹, with S = Σ (x − x̄)(x − x̄)ᵀ.
    pub inverse: [[f64; P]; P],
    /// Regressors that say something of their own.
    pub rank: usize,
    /// Σ (y − ŷ)².
    pub residual: f64,
}

impl<const P: usize> LeastSquares<P> {
    /// The fit of some rows.
    pub fn new(rows: &[(f64, [f64; P])]) -> Self {
        let n = rows.len() as f64;
        let value_mean = rows.iter().map(|row| row.0).sum::<f64>() / n;
        let means: [f64; P] = std::array::from_fn(|p| rows.iter().map(|row| row.1[p]).sum::<f64>() / n);
        let (mut scatter, mut joint) = ([[0.0; P]; P], [0.0; P]);
        for (value, regressors) in rows {
            let x: [f64; P] = std::array::from_fn(|p| regressors[p] - means[p]);
            for p in 0..P {
                joint[p] += x[p] * (value - value_mean);
                (0..P).for_each(|q| scatter[p][q] += x[p] * x[q]);
            }
        }
        let (inverse, rank) = inverse(scatter);
        let slopes: [f64; P] = std::array::from_fn(|p| dot(&inverse[p], &joint));
        let mut fit = LeastSquares { value_mean, means, slopes, inverse, rank, residual: 0.0 };
        fit.residual = rows.iter().map(|(value, regressors)| (value - fit.at(regressors)).powi(2)).sum();
        fit
    }

    /// ŷ at x.
    pub fn at(&self, x: &[f64; P]) -> f64 {
        self.value_mean + (0..P).map(|p| self.slopes[p] * (x[p] - self.means[p])).sum::<f64>()
    }

    /// (x − x̄)ᵀ S⁻¹ (x − x̄).
    pub fn leverage(&self, x: &[f64; P]) -> f64 {
        let away: [f64; P] = std::array::from_fn(|p| x[p] - self.means[p]);
        (0..P).map(|p| away[p] * dot(&self.inverse[p], &away)).sum::<f64>().max(0.0)
    }
}

/// Σ a_p b_p.
pub(crate) fn dot<const P: usize>(a: &[f64; P], b: &[f64; P]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The inverse of a scatter matrix on the regressors that say something of their own, zeros for the others, and how many
/// those are (Gauss–Jordan sweeps).
fn inverse<const P: usize>(scatter: [[f64; P]; P]) -> ([[f64; P]; P], usize) {
    let mut m = scatter;
    let mut swept = [false; P];
    for p in 0..P {
        let pivot = m[p][p];
        if pivot.is_nan() || pivot <= COLLINEAR * scatter[p][p] {
            continue;
        }
        swept[p] = true;
        let row = m[p];
        for q in (0..P).filter(|q| *q != p) {
            let factor = m[q][p] / pivot;
            for r in (0..P).filter(|r| *r != p) {
                m[q][r] -= factor * row[r];
            }
            m[q][p] = -factor;
        }
        (0..P).filter(|r| *r != p).for_each(|r| m[p][r] = row[r] / pivot);
        m[p][p] = 1.0 / pivot;
    }
    // A sweep leaves M⁻¹ on the swept rows and columns.
    let kept = |p: usize, q: usize| if swept[p] && swept[q] { m[p][q] } else { 0.0 };
    let inverse = std::array::from_fn(|p| std::array::from_fn(|q| kept(p, q)));
    (inverse, swept.iter().filter(|swept| **swept).count())
}
