//! After the curves: how far the ideal denoiser of a finite data set knows which of its points x_t came from.
//!
//! Of the samples that the curves are of, at the same timesteps: the posterior weight of x_t's own point, and ∂ε/∂t over what
//! it is where the point is known. With x = α x₀ + σ ε held, ε = (x − α x₀)/σ and ∂ε/∂t = −(σ̇ ε + α̇ x₀)/σ.

use super::{Plan, Store, Unit, Watch};
use crate::denoiser::Denoiser;
use crate::device::scale_rows;
use crate::draws::{Draw, Draws};
use crate::error::{Doing, Result};
use crate::estimator::{Norm, row_norms};
use crate::measure::{SampleRule, Subject};
use crate::report::{ModelReport, OwnWeight, Report};
use crate::stats::statistics;
use crate::time::Timestep;
use serde_json::json;
use tch::Tensor;

const KIND: &str = "memorisation";

/// Samples per timestep at most: a weight lies between 0 and 1.
const MOST: u64 = 64;

/// Adds it to all models of a report that have it; `false` if the watcher stopped it.
pub(super) fn add(
    report: &mut Report,
    subjects: &[Subject],
    (plan, draws): (&Plan, &Draws),
    mut store: Option<&mut Store>,
    watch: &dyn Watch,
) -> Result<bool> {
    let places = places(report, subjects, plan);
    if let Some(store) = store.as_deref_mut().filter(|_| !places.is_empty()) {
        store.expect(KIND, places.iter().map(|place| report.models[*place].label.clone()).collect())?;
    }
    for place in places {
        let subject = &subjects[place];
        let Some(denoiser) = subject.response.as_denoiser() else { continue };
        let label = &report.models[place].label;
        let own = subject.source.clone().map(|source| Draws { source, ..draws.clone() });
        let draws = own.as_ref().unwrap_or(draws);
        if store.as_mut().is_some_and(|store| store.leaves(KIND, label)) {
            continue;
        }
        let found = measure(label, denoiser, draws, (report, plan), store.as_deref_mut(), watch)?;
        let Some(found) = found else { return Ok(false) };
        report.models[place].own_weights = found;
    }
    Ok(true)
}

/// Whether any model of a report has it.
pub(super) fn is_there(report: &Report, subjects: &[Subject], plan: &Plan) -> bool {
    !places(report, subjects, plan).is_empty()
}

/// The models that have it, by their places.
fn places(report: &Report, subjects: &[Subject], plan: &Plan) -> Vec<usize> {
    let has = |(subject, model): (&Subject, &ModelReport)| {
        let applies = |denoiser| applies(denoiser, model.model.sha256.as_deref(), plan);
        subject.response.as_denoiser().is_some_and(|denoiser| subject.source.is_some() || applies(denoiser))
    };
    let pairs = subjects.iter().zip(&report.models).enumerate();
    pairs.filter(|(_, pair)| has(*pair)).map(|(place, _)| place).collect()
}

/// Whether these samples are rows of the data whose ideal denoiser a model is.
fn applies(denoiser: &dyn Denoiser, sha256: Option<&str>, plan: &Plan) -> bool {
    let drawn = plan.data.get("sha256").and_then(|hash| hash.as_str());
    denoiser.is_of_rows() && drawn.is_some() && drawn == sha256
}

/// The rows of one model, or those in the store; `None` if the watcher stopped it.
fn measure(
    label: &str,
    denoiser: &dyn Denoiser,
    draws: &Draws,
    (report, plan): (&Report, &Plan),
    store: Option<&mut Store>,
    watch: &dyn Watch,
) -> Result<Option<Vec<OwnWeight>>> {
    if let Some(stored) = store.as_ref().and_then(|store| store.get(KIND, label)) {
        return stored.said("found").map(Some);
    }
    let curves = report.models.iter().filter(|model| model.label == label).flat_map(|model| model.curves.first());
    let timesteps: Vec<Timestep> = curves.flat_map(|curve| curve.points.iter().map(|point| point.timestep)).collect();
    let samples = match plan.samples {
        SampleRule::Fixed { samples } => samples.min(MOST),
        SampleRule::RelativeError { .. } => MOST,
    };
    watch.begin(timesteps.len() as u64, "timesteps of own weights");
    let _no_grad = tch::no_grad_guard();
    let mut found = Vec::with_capacity(timesteps.len());
    for t in timesteps {
        found.push(at(denoiser, draws, t, samples, plan.batch)?);
        watch.advance();
        if !watch.goes_on() {
            return Ok(None);
        }
    }
    watch.end();
    if let Some(store) = store {
        store.add(Unit::new(KIND, label, json!({ "found": found })));
        store.keep()?;
    }
    Ok(Some(found))
}

/// One timestep.
fn at(denoiser: &dyn Denoiser, draws: &Draws, t: Timestep, samples: u64, batch: u64) -> Result<OwnWeight> {
    let doing = "weighing the points of the data";
    let (mut weights, mut rates, mut known) = (Vec::new(), 0.0, 0.0);
    let level = denoiser.schedule().level(t);
    for first in (0..samples).step_by(batch.max(1) as usize) {
        let here: Vec<Draw> = (first..(first + batch.max(1)).min(samples)).map(|sample| Draw { t, sample }).collect();
        let rows = draws.rows(&here)?;
        let pairs = draws.to_device(&rows, denoiser.device(), denoiser.kind())?;
        let times = vec![t; here.len()];
        let state = pairs.state(&rows, denoiser, &times)?;
        let origins = rows.columns.rows.as_deref().unwrap_or_default();
        let (own, rate) = denoiser.own_weights(&state, origins, &times)?;
        weights.extend(Vec::<f64>::try_from(own).doing(doing)?);
        rates += square(&rate)?;
        // (σ̇ ε + α̇ x₀)/σ
        let scaled = |tensor: &Tensor, by: f64| scale_rows(tensor, &vec![by / level.sigma; here.len()]);
        known += square(&scaled(&pairs.noise, level.d_sigma)?.f_add(&scaled(&pairs.x0, level.d_alpha)?).doing(doing)?)?;
    }
    let found = statistics(&weights);
    let within = |bound: f64| bound.clamp(0.0, 1.0);
    Ok(OwnWeight {
        timestep: t,
        samples: found.samples,
        mean: found.mean.unwrap_or(f64::NAN),
        ci_low: found.interval.map(|interval| within(interval.0)),
        ci_high: found.interval.map(|interval| within(interval.1)),
        known_directions: Some(rates / known).filter(|part| part.is_finite()),
    })
}

/// Σ ‖row‖².
fn square(rows: &Tensor) -> Result<f64> {
    let norms = row_norms(Norm::L2, rows)?;
    norms.f_dot(&norms).and_then(|sum| sum.f_double_value(&[])).doing("adding squares")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean_data::Rows;
    use crate::ideal::{Finite, IdealDenoiser};
    use crate::report::Memorisation;
    use crate::schedule;
    use crate::timestep_map::Identity;
    use ndarray::Array2;
    use std::sync::Arc;
    use tch::Device;

    fn finite(values: &[f32], dim: usize, name: &str) -> (IdealDenoiser, Draws) {
        let rows = Array2::from_shape_vec((values.len() / dim, dim), values.to_vec()).unwrap();
        let data = Tensor::from_slice(values).reshape([-1, dim as i64]);
        let denoiser = IdealDenoiser {
            distribution: Box::new(Finite::new(&data, Device::Cpu).unwrap().with_chunk_rows(3)),
            process: schedule::parse(name).unwrap().into(),
            map: Arc::new(Identity),
            sample_shape: vec![dim as i64],
            device: Device::Cpu,
        };
        let source = Arc::new(Rows::new(Arc::new(rows), None));
        (denoiser, Draws::new(source, 5, vec![dim as i64]))
    }

    /// Two points ±a: the own weight is 1/(1 + e^{−2α a x/σ²}) of x with the sign of its point, x ~ N(αa, σ²).
    #[test]
    fn of_two_points_the_weight_is_a_logistic_function() {
        let (denoiser, draws) = finite(&[0.5, -0.5], 1, "trigflow");
        for t in [100.0, 400.0, 800.0] {
            let (alpha, sigma) = (denoiser.schedule().alpha(t), denoiser.schedule().sigma(t));
            let (mut wanted, mut total, step) = (0.0, 0.0, 1e-3);
            for i in -8000..8000 {
                let z = f64::from(i) * step;
                let density = (-z * z / 2.0).exp();
                total += density;
                wanted += density / (1.0 + (-2.0 * alpha * 0.5 * (alpha * 0.5 + sigma * z) / (sigma * sigma)).exp());
            }
            let found = at(&denoiser, &draws, t, 4000, 512).unwrap();
            let (low, high) = (found.ci_low.unwrap(), found.ci_high.unwrap());
            // An interval of 95 %, three times as wide.
            assert!((found.mean - wanted / total).abs() < 1.5 * (high - low), "{t}: {found:?} {}", wanted / total);
        }
    }

    /// Points at the quantiles of N(0, 0.25): σ at a mean weight of ½ falls as 1/n.
    #[test]
    fn the_place_of_memorisation_falls_with_the_number_of_points() {
        let mut places = Vec::new();
        for n in [16, 64] {
            let quantile = |i: usize| 0.5 * normal_quantile((i as f64 + 0.5) / n as f64) as f32;
            let values: Vec<f32> = (0..n).map(quantile).collect();
            let (denoiser, draws) = finite(&values, 1, "trigflow:timesteps=4000");
            let rows: Vec<OwnWeight> = [4, 8, 16, 24, 32, 40, 48, 80, 120, 160, 200, 240, 320]
                .iter()
                .map(|t| at(&denoiser, &draws, f64::from(*t), 2000, 500).unwrap())
                .collect();
            let half = Memorisation::new(&rows).unwrap().own_weight_half_at.unwrap();
            places.push(denoiser.schedule().sigma(half));
        }
        // 16 points: σ = 0.071, 64: 0.0177, each with about 1 % of sampling error and of straight lines between timesteps.
        assert!((places[0] / 0.071 - 1.0).abs() < 0.05 && (places[1] / 0.0177 - 1.0).abs() < 0.05, "{places:?}");
    }

    /// Where every x_t knows its point, ρ = 1; without signal nothing is known of it: ∂ε/∂t is that of one Gaussian.
    #[test]
    fn near_the_data_all_directions_are_known() {
        let (denoiser, draws) = finite(&[0.9, 0.1, -0.8, 0.3, 0.2, -0.7], 2, "trigflow");
        let near = at(&denoiser, &draws, 3.0, 200, 64).unwrap();
        assert!((near.mean - 1.0).abs() < 1e-9 && (near.known_directions.unwrap() - 1.0).abs() < 1e-9, "{near:?}");
        let far = at(&denoiser, &draws, 990.0, 200, 64).unwrap();
        assert!((far.mean - 1.0 / 3.0).abs() < 0.01 && far.known_directions.unwrap() < 0.9, "{far:?}");
    }

    /// Φ⁻¹ by bisection of Φ, which is integrated by the trapezoidal rule.
    fn normal_quantile(p: f64) -> f64 {
        let below = |x: f64| {
            let steps = 2000;
            let width = (x + 9.0) / f64::from(steps);
            let density = |i: i32| (-(-9.0 + width * f64::from(i)).powi(2) / 2.0).exp();
            let inner: f64 = (1..steps).map(density).sum();
            (inner + 0.5 * (density(0) + density(steps))) * width / (2.0 * std::f64::consts::PI).sqrt()
        };
        let (mut low, mut high) = (-5.0, 5.0);
        for _ in 0..50 {
            let middle = 0.5 * (low + high);
            if below(middle) < p { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }
}
