//! ∫ R dσ over a curve of R: the expected number of steps of a uniformization sampler whose bound is R (van Dijk,
//! Queueing Systems 1992; for reverse jump processes Chen and Ying, arXiv 2402.08095).

/// ∫ R dσ over points (σ, R) by ascending σ, with a power law R ∝ σ^p between neighbours: a rate that blows up as 1/σ then
/// is integrated exactly on any grid. Straight lines where a rate or a σ is 0.
pub fn integral(curve: &[(f64, f64)]) -> f64 {
    let part = |pair: &[(f64, f64)]| {
        let ((a, from), (b, to)) = (pair[0], pair[1]);
        if a <= 0.0 || from <= 0.0 || to <= 0.0 || a == b {
            return 0.5 * (from + to) * (b - a);
        }
        let stretch = (b / a).ln();
        // With y = ln(σ/a) the integrand is a·R_a e^{qy}, q = 1 + p.
        let growth = stretch + (to / from).ln();
        let mean = if growth.abs() < 1e-9 { 1.0 + 0.5 * growth } else { growth.exp_m1() / growth };
        a * from * stretch * mean
    };
    curve.windows(2).map(part).sum()
}
