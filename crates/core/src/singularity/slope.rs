//! The log–log slope of a curve at its lower end.
//!
//! One straight line does not do: a curve that is level below some s and falls beyond has a steep line through it, and a
//! time embedding makes K oscillate. So ln K is fitted by many small models,
//!
//!   ln K = c + p ln s + g b(s) + a₁ cos ωs + a₂ sin ωs,
//!
//! where p is the slope towards 0 and b a bend: none, a kink max(0, ln s/s₀) or a smooth turn ½ ln(1 + (s/s₀)²), for
//! several places s₀; with or without an oscillation, for several ω. Every model is weighted by exp(−AICc/2) (Burnham and
//! Anderson, *Model Selection and Multimodel Inference*), with even odds for a bend and for an oscillation beforehand. The
//! interval of p is that of the mixture of all models' Student distributions, so that it is wide where bends or
//! oscillations could be there without showing.

use crate::least_squares::LeastSquares;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// ln s, b(s), cos ωs and sin ωs.
type Regressors = [f64; 4];

/// Relative deviations of a curve from every model that are not held against one: no curve is a power to the last digit.
const ROUGHNESS: f64 = 0.005;
/// Places of smooth turns.
const TURNS: usize = 8;
/// Places of kinks are so far apart, in ln s.
const APART: f64 = 0.12;
/// Oscillations in radians per step: the slowest, the distance to the next, and how many. A period must fit the range, and
/// hold two steps; 1 is the fastest sinusoid of the usual time embeddings.
const OMEGAS: (f64, f64, usize) = (0.4, 0.15, 15);
/// Fewer points do not tell an oscillation from a slope.
const OSCILLATING: usize = 12;
/// Models of less than this share of the best one's weight are left out.
const NEGLIGIBLE: f64 = 1e-4;
/// A slope is believed to lie within this of 0.
const STEEPEST: f64 = 50.0;

/// The slope at the lower end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LowerEnd {
    /// Median of the mixture.
    pub slope: f64,
    /// Its 95 % interval.
    pub interval: (f64, f64),
    /// How likely it is that the curve is flattening: less than half as steep at its first point as at its last.
    pub flattening: f64,
    /// Where it does, in the likeliest model.
    pub flattens: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
enum Bend {
    Kink(f64),
    Turn(f64),
}

impl Bend {
    fn value(self, s: f64) -> f64 {
        match self {
            Bend::Kink(at) => (s / at).ln().max(0.0),
            Bend::Turn(at) => 0.5 * (s / at).powi(2).ln_1p(),
        }
    }

    /// Its derivative by ln s.
    fn slope(self, s: f64) -> f64 {
        match self {
            Bend::Kink(at) => f64::from(u8::from(s > at)),
            Bend::Turn(at) => s * s / (s * s + at * at),
        }
    }

    /// Where its slope is a share of its slope at `last`.
    fn place(self, share: f64, last: f64) -> f64 {
        match self {
            Bend::Kink(at) => at,
            Bend::Turn(at) => {
                let slope = share * self.slope(last);
                at * (slope / (1.0 - slope)).max(0.0).sqrt()
            }
        }
    }
}

/// One model's fit.
struct Fitted {
    log_weight: f64,
    slope: f64,
    std_error: f64,
    degrees: f64,
    /// Where it flattens, if it does.
    flattening: Option<f64>,
}

/// The slope of ln K over ln s at the smallest s, of points (s, ln K) that ascend in s; `None` for fewer than three.
pub(super) fn lower_end(points: &[(f64, f64)]) -> Option<LowerEnd> {
    let bends = bends(points)?;
    let (slowest, apart, count) = OMEGAS;
    let count = if points.len() < OSCILLATING { 0 } else { count };
    let omegas: Vec<f64> = (0..count).map(|i| slowest + apart * i as f64).collect();
    let mut models = Vec::new();
    for bend in std::iter::once(None).chain(bends.iter().copied().map(Some)) {
        for omega in std::iter::once(None).chain(omegas.iter().copied().map(Some)) {
            let share = |there: bool, of: usize| if there { -(of as f64).ln() } else { 0.0 };
            let prior = share(bend.is_some(), bends.len()) + share(omega.is_some(), omegas.len());
            models.extend(fitted(points, bend, omega, prior));
        }
    }
    averaged(models)
}

/// Where a curve may bend: sharply from its second point to its last but one, and smoothly.
fn bends(points: &[(f64, f64)]) -> Option<Vec<Bend>> {
    let (first, last) = (points.first()?.0, points.last()?.0);
    let (second, last_but_one) = (points.get(1)?.0, points.get(points.len() - 2)?.0);
    let kinks = ((last_but_one / second).ln() / APART).max(0.0) as usize;
    let kinks = (0..=kinks).map(|i| Bend::Kink(second * (i as f64 * APART).exp()));
    // From half beyond the first point to twice the last: a turn that is not over yet.
    let (lowest, highest) = (1.5 * first, 2.0 * last);
    let turn = |i: usize| lowest * (highest / lowest).powf(i as f64 / (TURNS - 1) as f64);
    Some(kinks.chain((0..TURNS).map(|i| Bend::Turn(turn(i)))).collect())
}

/// One model's fit; `None` where the points do not determine it.
fn fitted(points: &[(f64, f64)], bend: Option<Bend>, omega: Option<f64>, prior: f64) -> Option<Fitted> {
    let regressors = |s: f64| -> Regressors {
        let (sin, cos) = omega.map_or((0.0, 0.0), |omega| (omega * s).sin_cos());
        [s.ln(), bend.map_or(0.0, |bend| bend.value(s)), cos, sin]
    };
    let rows: Vec<(f64, Regressors)> = points.iter().map(|&(s, value)| (value, regressors(s))).collect();
    let fit = LeastSquares::new(&rows);
    let wanted = 1 + usize::from(bend.is_some()) + 2 * usize::from(omega.is_some());
    let (n, parameters) = (rows.len() as f64, wanted as f64 + 2.0);
    if fit.rank < wanted || n - parameters - 1.0 <= 0.0 {
        return None;
    }
    let residual = fit.residual + n * ROUGHNESS * ROUGHNESS;
    let correction = parameters * (parameters + 1.0) / (n - parameters - 1.0);
    let degrees = n - wanted as f64 - 1.0;
    let (first, last) = (points.first()?.0, points.last()?.0);
    let slope_at = |s: f64| fit.slopes[0] + bend.map_or(0.0, |bend| fit.slopes[1] * bend.slope(s));
    let flattening = slope_at(last) < super::THRESHOLD && slope_at(first) > slope_at(last) / 2.0;
    // It flattens where it is half as steep as at the last point.
    let flattens = |bend: Bend| {
        let beyond = fit.slopes[1] * bend.slope(last);
        bend.place((slope_at(last) / 2.0 - fit.slopes[0]) / beyond, last)
    };
    Some(Fitted {
        log_weight: prior - n / 2.0 * (residual / n).ln() - parameters - correction,
        slope: slope_at(first),
        std_error: (residual / degrees * fit.inverse[0][0]).sqrt(),
        degrees,
        flattening: bend.filter(|_| flattening).map(flattens),
    })
}

/// The mixture of all models.
fn averaged(mut models: Vec<Fitted>) -> Option<LowerEnd> {
    models.sort_by(|a, b| b.log_weight.total_cmp(&a.log_weight));
    let best = models.first()?.log_weight;
    let weight = |model: &Fitted| (model.log_weight - best).exp();
    models.retain(|model| weight(model) > NEGLIGIBLE);
    let total: f64 = models.iter().map(weight).sum();
    let mut mixture = Vec::new();
    for model in &models {
        let distribution = StudentsT::new(model.slope, model.std_error, model.degrees).ok()?;
        mixture.push((weight(model) / total, distribution));
    }
    let below = |slope: f64| mixture.iter().map(|(weight, distribution)| weight * distribution.cdf(slope)).sum::<f64>();
    let quantile = |share: f64| {
        let (mut low, mut high) = (-STEEPEST, STEEPEST);
        for _ in 0..50 {
            let middle = (low + high) / 2.0;
            if below(middle) < share { low = middle } else { high = middle }
        }
        (low + high) / 2.0
    };
    let flat = || models.iter().filter(|model| model.flattening.is_some());
    Some(LowerEnd {
        slope: quantile(0.5),
        interval: (quantile(0.025), quantile(0.975)),
        flattening: flat().map(weight).sum::<f64>() / total,
        flattens: flat().next().and_then(|model| model.flattening),
    })
}
