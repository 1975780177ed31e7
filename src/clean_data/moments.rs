//! First and second moments of data, from which its divergence from noise is bounded without a model.

use super::Whole;
use crate::data::{Indexed, MixtureParameters, Spread};
use crate::error::{Doing, Error, Result};
use crate::terminal::DataMoments;
use ndarray::{Array2, ArrayView2, Axis};
use tch::{Kind, Tensor};

/// Sides of a matrix whose eigenvalues are computed, and elements of the data for it.
const MOST_SIDE: usize = 1024;
const MOST_ELEMENTS: usize = 1 << 25;

/// The moments of all of the data; beyond what memory and patience allow, of its elements one by one.
pub fn moments(whole: &Whole) -> Result<DataMoments> {
    match whole {
        Whole::Rows(rows) => of_rows(rows.view()),
        Whole::Indexed(rows) => of_indexed(rows),
        Whole::Density(density) => of_density(density),
    }
}

fn of_rows(rows: ArrayView2<f32>) -> Result<DataMoments> {
    let (count, dim) = rows.dim();
    let n = count.max(1) as f64;
    let mean: Vec<f64> = rows.axis_iter(Axis(1)).map(|c| c.iter().map(|x| f64::from(*x)).sum::<f64>() / n).collect();
    let mean_square = mean.iter().map(|m| m * m).sum();
    if count.min(dim) > MOST_SIDE || count * dim > MOST_ELEMENTS {
        let columns = rows.axis_iter(Axis(1)).zip(&mean);
        let variances = columns.map(|(c, m)| c.iter().map(|x| (f64::from(*x) - m).powi(2)).sum::<f64>() / n).collect();
        return Ok(DataMoments { mean_square, variances });
    }
    let mut centred: Array2<f64> = rows.mapv(f64::from);
    centred.rows_mut().into_iter().for_each(|mut row| row.iter_mut().zip(&mean).for_each(|(x, m)| *x -= m));
    // Xᵀ X and X Xᵀ have the same eigenvalues but for zeros.
    let product = if dim <= count { centred.t().dot(&centred) } else { centred.dot(&centred.t()) } / n;
    Ok(DataMoments { mean_square, variances: eigenvalues(&product, dim)? })
}

/// The same of a set on disk, in two passes.
fn of_indexed(rows: &Indexed) -> Result<DataMoments> {
    let (count, dim) = (rows.len(), rows.width());
    if count.min(dim) <= MOST_SIDE && count * dim <= MOST_ELEMENTS {
        let mut all = Vec::with_capacity(count * dim);
        rows.pass(&mut |numbers| {
            all.extend_from_slice(numbers);
            Ok(())
        })?;
        return match ArrayView2::from_shape((count, dim), &all) {
            Ok(all) => of_rows(all),
            Err(e) => Err(Error::mismatch(format!("samples do not stack ({e})"), "Report this.")),
        };
    }
    let n = count.max(1) as f64;
    let sum = |of: &dyn Fn(usize, f64) -> f64| -> Result<Vec<f64>> {
        let mut sums = vec![0.0; dim];
        rows.pass(&mut |numbers| {
            for row in numbers.chunks_exact(dim.max(1)) {
                sums.iter_mut().zip(row).enumerate().for_each(|(i, (sum, x))| *sum += of(i, f64::from(*x)));
            }
            Ok(())
        })?;
        Ok(sums.into_iter().map(|sum| sum / n).collect())
    };
    let mean = sum(&|_, x| x)?;
    let variances = sum(&|i, x| (x - mean[i]).powi(2))?;
    Ok(DataMoments { mean_square: mean.iter().map(|m| m * m).sum(), variances })
}

fn of_density(density: &MixtureParameters) -> Result<DataMoments> {
    let (total, dim) = (density.weights.sum(), density.means.ncols());
    let weights = density.weights.mapv(|weight| weight / total);
    let mean = weights.dot(&density.means);
    let mut covariance = Array2::<f64>::zeros((dim, dim));
    for (k, (weight, centre)) in weights.iter().zip(density.means.rows()).enumerate() {
        let away = &centre - &mean;
        for i in 0..dim {
            for j in 0..dim {
                let own = match &density.spread {
                    Spread::Diagonal(std) if i == j => std[[k, i]].powi(2),
                    Spread::Diagonal(_) => 0.0,
                    Spread::Full(covariances) => covariances[[k, i, j]],
                };
                covariance[[i, j]] += weight * (own + away[i] * away[j]);
            }
        }
    }
    let mean_square = mean.iter().map(|m| m * m).sum();
    let variances = if dim > MOST_SIDE { covariance.diag().to_vec() } else { eigenvalues(&covariance, dim)? };
    Ok(DataMoments { mean_square, variances })
}

/// Eigenvalues of a symmetric matrix, none below 0, filled up with zeros to `count`.
fn eigenvalues(matrix: &Array2<f64>, count: usize) -> Result<Vec<f64>> {
    let doing = "computing the eigenvalues of the data's covariance";
    let side = matrix.nrows() as i64;
    let flat: Vec<f64> = matrix.iter().copied().collect();
    let values =
        Tensor::f_from_slice(&flat).and_then(|m| m.f_view([side, side])?.f_linalg_eigvalsh("L")).doing(doing)?;
    let values = Vec::<f64>::try_from(values.f_to_kind(Kind::Double).doing(doing)?).doing(doing)?;
    let mut values: Vec<f64> = values.into_iter().map(|value| value.max(0.0)).collect();
    values.resize(count, 0.0);
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// Two points ±(1, 1): the covariance has the eigenvalues 2 and 0, also by the smaller of the two products.
    #[test]
    fn rows_have_the_moments_of_their_empirical_law() {
        let found = of_rows(array![[2.0f32, 1.0], [0.0, -1.0]].view()).unwrap();
        assert_eq!(found.mean_square, 1.0);
        let near = |values: &[f64], wanted: &[f64]| values.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(near(&found.variances, &[0.0, 2.0]), "{found:?}");
        let wide = of_rows(array![[2.0f32, 1.0, 5.0], [0.0, -1.0, 5.0]].view()).unwrap();
        assert_eq!((wide.variances.len(), wide.mean_square), (3, 26.0));
        assert!((wide.variances.iter().sum::<f64>() - 2.0).abs() < 1e-12, "{wide:?}");
    }

    /// E x = Σ w m and Cov x = Σ w (C + m mᵀ) − E x E xᵀ.
    #[test]
    fn a_mixture_has_the_covariance_of_its_components_and_of_their_means() {
        let density = MixtureParameters {
            weights: array![3.0, 1.0],
            means: array![[1.0, 0.0], [-3.0, 0.0]],
            spread: Spread::Diagonal(array![[0.5, 0.2], [0.5, 0.4]]),
        };
        let found = of_density(&density).unwrap();
        assert!(found.mean_square.abs() < 1e-15);
        let wanted = [0.75 * 0.04 + 0.25 * 0.16, 0.25 + 3.0];
        assert!(found.variances.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
    }
}
