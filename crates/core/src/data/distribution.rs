//! Gaussians and mixtures of Gaussians from a file of named arrays, in float64.

use crate::error::{Error, Result};
use crate::tensor_file::{self, NamedArrays};
use ndarray::{Array1, Array2, Array3, ArrayD, ArrayView2, Axis};
use std::path::Path;

/// How far K Gaussians over D axes spread.
#[derive(Debug, Clone, PartialEq)]
pub enum Spread {
    /// Standard deviation along every axis, [K, D], at least 0.
    Diagonal(Array2<f64>),
    /// Covariance matrices, [K, D, D]: symmetric and positive semi-definite.
    Full(Array3<f64>),
}

/// A Gaussian.
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianParameters {
    /// Mean, `[D]`.
    pub mean: Array1<f64>,
    /// Spread, with K = 1.
    pub spread: Spread,
}

/// A mixture of K Gaussians.
#[derive(Debug, Clone, PartialEq)]
pub struct MixtureParameters {
    /// Weights, `[K]`: positive, and divided by their sum.
    pub weights: Array1<f64>,
    /// Means, [K, D].
    pub means: Array2<f64>,
    /// Spread of every component.
    pub spread: Spread,
}

impl GaussianParameters {
    /// Reads `mean` `[D]`, and `std` (one number or `[D]`) or `cov` [D, D]. Means of images may keep their shape.
    pub fn read(path: &Path) -> Result<Self> {
        let file = Named { path, arrays: &tensor_file::read(path)? };
        let mean = file.get("mean")?.flatten().to_owned();
        let d = mean.len();
        let spread = file.spread("std", "cov", 1, d)?;
        Ok(Self { mean: mean.into_shape_with_order(d).map_err(|e| file.wrong(e.to_string()))?, spread })
    }
}

impl MixtureParameters {
    /// Reads `weights` `[K]`, `means` [K, D], and `stds` (one number, `[K]`, [K, 1] or [K, D]) or `covs` [K, D, D].
    pub fn read(path: &Path) -> Result<Self> {
        let file = Named { path, arrays: &tensor_file::read(path)? };
        let weights: Array1<f64> = file.get("weights")?.flatten().to_owned();
        let means = file.get("means")?;
        let k = weights.len();
        if means.ndim() < 2 || means.len_of(Axis(0)) != k || k == 0 || means.is_empty() {
            let problem = format!("its means have shape {:?} for {k} weights; [{k}, D] is due", means.shape());
            return Err(file.wrong(problem));
        }
        let sum = weights.sum();
        if let Some(w) = weights.iter().find(|&&w| w <= 0.0) {
            return Err(file.wrong(format!("its weights hold {w}, and must be positive")));
        }
        let d = means.len() / k;
        let means = means.into_shape_with_order((k, d)).map_err(|e| file.wrong(e.to_string()))?;
        let spread = file.spread("stds", "covs", k, d)?;
        Ok(Self { weights: weights / sum, means, spread })
    }
}

struct Named<'a> {
    path: &'a Path,
    arrays: &'a NamedArrays,
}

impl Named<'_> {
    fn wrong(&self, problem: String) -> Error {
        let next = "A Gaussian is mean [D] with std [D] or cov [D, D]; a mixture is weights [K], means [K, D] with stds \
                    [K] or [K, D], or covs [K, D, D].";
        Error::file(self.path, problem, next)
    }

    fn get(&self, name: &str) -> Result<ArrayD<f64>> {
        let array = self.arrays.get(name).ok_or_else(|| {
            self.wrong(format!("it has no array named {name} (it has {})", self.arrays.names().join(", ")))
        })?;
        let array = array.to_f64()?;
        let not_finite = array.iter().filter(|x| !x.is_finite()).count();
        if not_finite > 0 || array.is_empty() {
            return Err(self.wrong(format!(
                "its {name} of shape {:?} holds {not_finite} values that are not finite",
                array.shape()
            )));
        }
        Ok(array)
    }

    fn spread(&self, stds: &str, covs: &str, k: usize, d: usize) -> Result<Spread> {
        match (self.arrays.get(stds), self.arrays.get(covs)) {
            (Some(_), None) => self.diagonal(stds, k, d),
            (None, Some(_)) => self.full(covs, k, d),
            _ => Err(self.wrong(format!("it must have one of {stds} and {covs}"))),
        }
    }

    fn diagonal(&self, name: &str, k: usize, d: usize) -> Result<Spread> {
        let stds = self.get(name)?;
        if let Some(std) = stds.iter().find(|&&std| std < 0.0) {
            return Err(self.wrong(format!("its {name} hold {std}, and must be at least 0")));
        }
        let shape = stds.shape().to_vec();
        let rows = match stds.len() {
            1 => stds.into_shape_with_order((1, 1)),
            n if n == k && (k > 1 || d == 1) && shape.len() <= 2 && shape.first() == Some(&k) => {
                stds.into_shape_with_order((k, 1))
            }
            n if Some(n) == k.checked_mul(d) => stds.into_shape_with_order((k, d)),
            _ => return Err(self.wrong(format!("its {name} have shape {shape:?}; {k} × {d} are due"))),
        };
        let rows = rows.map_err(|e| self.wrong(e.to_string()))?;
        let full = rows.broadcast((k, d)).ok_or_else(|| self.wrong(format!("its {name} have shape {shape:?}")))?;
        Ok(Spread::Diagonal(full.to_owned()))
    }

    fn full(&self, name: &str, k: usize, d: usize) -> Result<Spread> {
        let covs = self.get(name)?;
        let shape = covs.shape().to_vec();
        let covs = covs
            .into_shape_with_order((k, d, d))
            .map_err(|_| self.wrong(format!("its {name} have shape {shape:?}; {k} × {d} × {d} are due")))?;
        if let Some(i) = covs.outer_iter().position(|cov| !is_covariance(cov)) {
            return Err(self.wrong(format!("matrix {i} of its {name} is not symmetric and positive semi-definite")));
        }
        Ok(Spread::Full(covs))
    }
}

/// Symmetric to rounding, and no pivot of its LDLᵀ factorisation below zero by more than rounding.
fn is_covariance(cov: ArrayView2<f64>) -> bool {
    let d = cov.nrows();
    let scale = cov.iter().fold(0.0f64, |max, x| max.max(x.abs()));
    let tolerance = 1e-10 * scale * d as f64;
    if cov.indexed_iter().any(|((i, j), x)| (x - cov[(j, i)]).abs() > tolerance) {
        return false;
    }
    let mut left = cov.to_owned();
    for p in 0..d {
        let pivot = left[(p, p)];
        let column = left.column(p).to_owned();
        if pivot < -tolerance {
            return false;
        }
        if pivot <= tolerance {
            // Semi-definite: a zero pivot has a zero column. Its entries are of order √(pivot · scale) at most.
            if column.iter().skip(p + 1).any(|x| x.abs() > (tolerance * scale).sqrt() * 2.0) {
                return false;
            }
            continue;
        }
        for i in p + 1..d {
            let factor = column[i] / pivot;
            for j in p + 1..d {
                left[(i, j)] -= factor * column[j];
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn covariances_are_told_from_other_matrices() {
        assert!(is_covariance(array![[2.0, 1.0], [1.0, 2.0]].view()));
        assert!(is_covariance(array![[1.0, 1.0], [1.0, 1.0]].view()));
        assert!(is_covariance(array![[0.0, 0.0], [0.0, 0.0]].view()));
        assert!(!is_covariance(array![[1.0, 2.0], [2.0, 1.0]].view()));
        assert!(!is_covariance(array![[0.0, 1.0], [1.0, 0.0]].view()));
        assert!(!is_covariance(array![[1.0, 0.5], [0.0, 1.0]].view()));
        assert!(!is_covariance(array![[-1.0]].view()));
    }

    /// A `.npz` with these arrays of float64, and what a reader makes of it.
    fn file(arrays: &[(&str, ArrayD<f64>)]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("parameters.npz");
        let mut npz = ndarray_npy::NpzWriter::new(std::fs::File::create(&path).unwrap());
        arrays.iter().for_each(|(name, array)| npz.add_array(*name, array).unwrap());
        npz.finish().unwrap();
        (dir, path)
    }

    #[test]
    fn gaussians_take_one_deviation_several_or_a_covariance() {
        let mean = array![1.0, -2.0].into_dyn();
        let read = |name, spread: ArrayD<f64>| {
            let (_dir, path) = file(&[("mean", mean.clone()), (name, spread)]);
            GaussianParameters::read(&path)
        };
        let one = read("std", ndarray::arr0(0.5).into_dyn()).unwrap();
        assert_eq!((one.mean, one.spread), (array![1.0, -2.0], Spread::Diagonal(array![[0.5, 0.5]])));
        assert_eq!(read("std", array![0.5, 0.25].into_dyn()).unwrap().spread, Spread::Diagonal(array![[0.5, 0.25]]));
        let cov = array![[2.0, 1.0], [1.0, 2.0]];
        let full = read("cov", cov.clone().into_dyn()).unwrap().spread;
        assert_eq!(full, Spread::Full(cov.insert_axis(Axis(0))));
        for (name, bad, says) in [
            ("std", array![0.5, -1.0].into_dyn(), "must be at least 0"),
            ("std", array![1.0, 1.0, 1.0].into_dyn(), "1 × 2 are due"),
            ("cov", array![[1.0, 2.0], [2.0, 1.0]].into_dyn(), "positive semi-definite"),
            ("cov", array![1.0, 2.0].into_dyn(), "1 × 2 × 2 are due"),
            ("std", array![f64::NAN, 1.0].into_dyn(), "not finite"),
            ("variance", array![1.0].into_dyn(), "one of std and cov"),
        ] {
            let error = read(name, bad).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn mixtures_normalise_their_weights_and_spread_deviations() {
        let weights = array![1.0, 3.0].into_dyn();
        let means = array![[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]].into_dyn();
        let read = |weights: &ArrayD<f64>, means: &ArrayD<f64>, name, spread: ArrayD<f64>| {
            let (_dir, path) = file(&[("weights", weights.clone()), ("means", means.clone()), (name, spread)]);
            MixtureParameters::read(&path)
        };
        let mixture = read(&weights, &means, "stds", array![0.1, 0.2].into_dyn()).unwrap();
        assert_eq!(mixture.weights, array![0.25, 0.75]);
        assert_eq!(mixture.spread, Spread::Diagonal(array![[0.1, 0.1, 0.1], [0.2, 0.2, 0.2]]));
        let each = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        assert_eq!(read(&weights, &means, "stds", each.clone().into_dyn()).unwrap().spread, Spread::Diagonal(each));
        let covs = Array3::from_shape_fn((2, 3, 3), |(k, i, j)| if i == j { 1.0 + k as f64 } else { 0.0 });
        assert_eq!(read(&weights, &means, "covs", covs.clone().into_dyn()).unwrap().spread, Spread::Full(covs));
        let stds = || array![0.1].into_dyn();
        for (error, says) in [
            (read(&array![1.0, 0.0].into_dyn(), &means, "stds", stds()), "must be positive"),
            (read(&array![1.0].into_dyn(), &means, "stds", stds()), "for 1 weights"),
            (read(&weights, &array![0.0, 1.0].into_dyn(), "stds", stds()), "for 2 weights"),
            (read(&weights, &means, "stds", array![0.1, 0.2, 0.3].into_dyn()), "2 × 3 are due"),
        ] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
