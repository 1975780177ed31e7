//! The little linear algebra of k × k matrices, k ≤ 4, that a linear Gaussian process needs, in float64.
//!
//! Covariances are kept as factors M with Σ = M Mᵀ and never formed: the position's variance is smaller than the
//! velocity's by up to 16 digits near the data, and a difference of products would lose them.

use ndarray::{Array1, Array2, ArrayView1, Axis, concatenate, s};

/// Terms of the exponential series; with a norm of at most ½ the next one is below 1e-19.
const TERMS: u32 = 16;
/// Abscissae and weights of the Gauss-Legendre rule of eight points on [−1, 1], the positive half.
const LEGENDRE: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_5),
    (0.960_289_856_497_536_2, 0.101_228_536_290_376_3),
];

/// The largest sum of magnitudes in a row, ‖a‖_∞.
pub(super) fn norm(a: &Array2<f64>) -> f64 {
    a.rows().into_iter().map(|row| row.iter().map(|x| x.abs()).sum::<f64>()).fold(0.0, f64::max)
}

/// e^{a}, of a matrix with ‖a‖ ≤ ½: Σ aⁿ/n!.
fn series(a: &Array2<f64>) -> Array2<f64> {
    // Horner: I + a (I + a/2 (I + a/3 (…))).
    let one = Array2::eye(a.nrows());
    (1..=TERMS).rev().fold(one.clone(), |sum, n| &one + &(a.dot(&sum) / f64::from(n)))
}

/// e^{aB}, and L with L Lᵀ = ∫₀^B e^{as} f fᵀ e^{aᵀs} ds, for f [k, m].
///
/// Over a step h with ‖a‖h ≤ ½ the integral is a sum of eight products with positive weights; a step of 2h is
/// L₂ₕ L₂ₕᵀ = (e^{ah} L_h)(e^{ah} L_h)ᵀ + L_h L_hᵀ.
pub(super) fn flow(a: &Array2<f64>, f: &Array2<f64>, b: f64) -> (Array2<f64>, Array2<f64>) {
    let doublings = (2.0 * norm(a) * b).log2().ceil().max(0.0) as i32;
    let h = b / 2f64.powi(doublings);
    let node = |(place, weight): (f64, f64)| {
        let half = h / 2.0;
        series(&(a * (half * (1.0 + place)))).dot(f) * (weight * half).sqrt()
    };
    let nodes: Vec<Array2<f64>> = LEGENDRE.iter().flat_map(|&(x, w)| [(-x, w), (x, w)]).map(node).collect();
    let mut factor = triangular(&beside(&nodes));
    let mut exponential = series(&(a * h));
    for _ in 0..doublings {
        factor = triangular(&beside(&[exponential.dot(&factor), factor]));
        exponential = exponential.dot(&exponential);
    }
    (exponential, factor)
}

/// Matrices of k rows side by side.
pub(super) fn beside(parts: &[Array2<f64>]) -> Array2<f64> {
    let views: Vec<_> = parts.iter().map(Array2::view).collect();
    // Nothing is laid beside something of another height.
    concatenate(Axis(1), &views).unwrap_or_default()
}

/// The lower triangular L with L Lᵀ = m mᵀ and no entry below 0 on its diagonal, for m [k, n].
///
/// Gram-Schmidt over the rows, each orthogonalised twice: the error of a row is relative to that row, however small it is
/// beside the others.
pub(super) fn triangular(m: &Array2<f64>) -> Array2<f64> {
    let k = m.nrows();
    let mut l = Array2::zeros((k, k));
    let mut directions: Vec<Array1<f64>> = Vec::with_capacity(k);
    for i in 0..k {
        let mut row = m.row(i).to_owned();
        for _ in 0..2 {
            for (j, direction) in directions.iter().enumerate() {
                let part = direction.dot(&row);
                l[[i, j]] += part;
                row.scaled_add(-part, direction);
            }
        }
        let length = row.dot(&row).sqrt();
        l[[i, i]] = length;
        directions.push(if length > 0.0 { row / length } else { row });
    }
    l
}

/// l⁻¹ m, for a lower triangular l.
pub(super) fn solve(l: &Array2<f64>, m: &Array2<f64>) -> Array2<f64> {
    let mut x = m.clone();
    for i in 0..l.nrows() {
        for j in 0..i {
            let (above, mut row) = x.multi_slice_mut((s![j, ..], s![i, ..]));
            row.scaled_add(-l[[i, j]], &above);
        }
        x.row_mut(i).mapv_inplace(|entry| entry / l[[i, i]]);
    }
    x
}

/// l⁻¹ of a lower triangular l.
pub(super) fn inverse(l: &Array2<f64>) -> Array2<f64> {
    solve(l, &Array2::eye(l.nrows()))
}

/// L̇ of L Lᵀ = Σ: L times the lower half, the diagonal halved, of L⁻¹ Σ̇ L⁻ᵀ, which is `whitened`.
pub(super) fn triangular_rate(l: &Array2<f64>, whitened: &Array2<f64>) -> Array2<f64> {
    let half = Array2::from_shape_fn(whitened.dim(), |(i, j)| match i.cmp(&j) {
        std::cmp::Ordering::Greater => whitened[[i, j]],
        std::cmp::Ordering::Equal => whitened[[i, j]] / 2.0,
        std::cmp::Ordering::Less => 0.0,
    });
    l.dot(&half)
}

/// f with f fᵀ = a, of a symmetric a; `None` where an eigenvalue is below −1e-9 of the largest entry.
pub(super) fn root(a: &Array2<f64>) -> Option<Array2<f64>> {
    let k = a.nrows();
    let scale = a.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    let (mut left, mut columns) = (a.clone(), Vec::new());
    // Cholesky's rule, the largest diagonal first: what is left of a semi-definite matrix has no diagonal below 0.
    for _ in 0..k {
        let pivot = (0..k).max_by(|&i, &j| left[[i, i]].total_cmp(&left[[j, j]]))?;
        let top = left[[pivot, pivot]];
        if top <= 1e-12 * scale {
            break;
        }
        let column = &left.column(pivot) / top.sqrt();
        left = left - outer(column.view(), column.view());
        columns.push(column.insert_axis(Axis(1)));
    }
    columns.push(Array2::zeros((k, 1)));
    left.iter().all(|x| x.abs() <= 1e-9 * scale).then(|| beside(&columns))
}

fn outer(a: ArrayView1<f64>, b: ArrayView1<f64>) -> Array2<f64> {
    Array2::from_shape_fn((a.len(), b.len()), |(i, j)| a[i] * b[j])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn off(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
        (a - b).iter().fold(0.0, |most, x| if x.is_nan() { f64::NAN } else { most.max(x.abs()) })
    }

    #[test]
    fn a_rotation_turns_by_its_angle() {
        for angle in [1e-3, 0.7, 30.0] {
            let (exponential, _) = flow(&array![[0.0, 1.0], [-1.0, 0.0]], &Array2::eye(2), angle);
            let expected = array![[angle.cos(), angle.sin()], [-angle.sin(), angle.cos()]];
            // Each doubling doubles the rounding of the last.
            assert!(off(&exponential, &expected) < 1e-16 * (1.0 + 8.0 * angle), "{angle}");
        }
    }

    /// Brownian motion and its integral: variances B and B³/3, covariance B²/2, 24 digits apart at B = 1e-8.
    #[test]
    fn small_variances_keep_their_digits() {
        for b in [1e-8f64, 1e-3, 2.0, 70.0] {
            let (_, l) = flow(&array![[0.0, 1.0], [0.0, 0.0]], &array![[0.0], [1.0]], b);
            let expected = [(b.powi(3) / 3.0).sqrt(), (3.0 * b).sqrt() / 2.0, b.sqrt() / 2.0];
            for (got, expected) in [l[[0, 0]], l[[1, 0]], l[[1, 1]]].into_iter().zip(expected) {
                assert!((got / expected - 1.0).abs() < 1e-13, "{b}: {got} {expected}");
            }
        }
    }

    #[test]
    fn roots_exist_of_what_is_semi_definite() {
        let semi = array![[4.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 9.0]];
        let f = root(&semi).unwrap();
        assert!(off(&f.dot(&f.t()), &semi) < 1e-15);
        let none = root(&Array2::zeros((2, 2))).unwrap();
        assert_eq!(off(&none.dot(&none.t()), &Array2::zeros((2, 2))), 0.0);
        assert!(root(&array![[1.0, 2.0], [2.0, 1.0]]).is_none());
        assert!(root(&array![[0.0, 1.0], [1.0, 0.0]]).is_none());
    }

    #[test]
    fn triangular_systems_are_solved() {
        let l = array![[2.0, 0.0], [-3.0, 0.5]];
        assert!(off(&l.dot(&inverse(&l)), &Array2::eye(2)) < 1e-15);
    }
}
