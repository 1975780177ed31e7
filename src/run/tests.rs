//! Whole measurements of closed forms: what is measured, against the formulas of a Gaussian.

use super::{Measurement, Setup};
use crate::error::Error;
use crate::expectation::mean_norm;
use crate::report::Report;
use crate::schedule;
use lipscope_core::of::Of;
use lipscope_core::options::{DataOptions, MeasureOptions, Overrides};
use lipscope_core::quantity::{Norm, Quantities};
use lipscope_core::time::Axis;

fn options(data: &str, of: Of, quantity: Quantities, timesteps: &str) -> MeasureOptions {
    MeasureOptions {
        data: DataOptions { source: Some(data.parse().unwrap()), ..DataOptions::default() },
        of: Some(of),
        quantity,
        timesteps: timesteps.parse().unwrap(),
        ..MeasureOptions::default()
    }
}

fn overrides(schedule: &str) -> Overrides {
    Overrides { schedule: Some(schedule.parse().unwrap()), ..Overrides::default() }
}

fn theory(options: &MeasureOptions, schedule: &str) -> Result<Report, Error> {
    Measurement::of_ideal(None, options, &overrides(schedule), &Setup::default())?.run(None, &())
}

/// The same closed form, averaged over samples.
fn sampled(options: &MeasureOptions, schedule: &str) -> Report {
    let name = format!("ideal:{}", options.data.source.as_ref().unwrap());
    let measurement = Measurement::of_checkpoint(&name, None, options, &overrides(schedule), &Setup::default());
    measurement.unwrap().run(None, &()).unwrap()
}

/// x = σz for data without spread: of N(0, s²), ε = σx/v and s = −x/v with v = s² + σ², both straight lines.
#[test]
fn derivatives_per_sigma_are_those_of_a_gaussian_that_explodes() {
    for of in [Of::Epsilon, Of::Score] {
        let mut options = options("gaussian:std=0.3", of, Quantities::Derivative, "100..1000/150");
        options.axis = Some(Axis::Sigma);
        let report = theory(&options, "ve:sigma-min=0.005,sigma-max=1").unwrap();
        let curve = &report.models[0].curves[0];
        assert_eq!(curve.points.len(), 6);
        for point in &curve.points {
            let (square, sigma) = (0.09, point.sigma.unwrap());
            let v: f64 = square + sigma * sigma;
            let slope = if of == Of::Epsilon { (square - sigma * sigma).abs() } else { 2.0 * sigma };
            let wanted = slope / v.powf(1.5) * (2.0 / std::f64::consts::PI).sqrt();
            // The integral of E|y| is good to 1e-13.
            assert!((point.mean.unwrap() / wanted - 1.0).abs() < 1e-10, "{of} at {}", point.timestep);
        }
    }
}

/// E‖ε*‖, E‖x̂₀‖ and E‖r‖ of N(μ, s²) per element: ε* = σ(x − αμ)/v, x̂₀ = μ + αs²(x − αμ)/v, r = (x − αμ)/v − x.
#[test]
fn sizes_are_those_of_a_gaussian() {
    let (mean, square, dim) = (0.2, 0.25, 3);
    let schedule = schedule::parse("cosine").unwrap();
    for norm in [Norm::L2, Norm::Rms] {
        for of in [Of::Epsilon, Of::Score, Of::X0, Of::Excess] {
            let mut options = options("gaussian:mean=0.2,std=0.5,dim=3", of, Quantities::Size, "0,100,999");
            options.norm = norm;
            let report = theory(&options, "cosine").unwrap();
            let curve = &report.models[0].curves[0];
            for point in &curve.points {
                let (alpha, sigma) = (schedule.alpha(point.timestep), schedule.sigma(point.timestep));
                let v: f64 = alpha * alpha * square + sigma * sigma;
                let (centre, slope) = match of {
                    Of::Epsilon => (0.0, sigma / v),
                    Of::Score => (0.0, 1.0 / v),
                    Of::X0 => (mean, alpha * square / v),
                    _ => (alpha * mean, 1.0 / v - 1.0),
                };
                let spread = slope * slope * v;
                let root = if norm == Norm::Rms { f64::from(dim).sqrt() } else { 1.0 };
                let wanted = mean_norm(&[centre; 3], &[spread; 3]) / root;
                let found = point.mean_square.unwrap();
                // Where r is small it is the difference of numbers near 1/v.
                let tolerance = 1e-9 * (1.0 + 1.0 / (slope * slope));
                let near = |a: f64, b: f64| (a / b - 1.0).abs() < tolerance.min(1e-4);
                assert!(near(point.mean.unwrap(), wanted), "{of} {norm} {}: {:?} {wanted}", point.timestep, point.mean);
                assert!(near(found.per_element, centre * centre + spread), "{of} {}: {found:?}", point.timestep);
                assert!(near(found.mean, 3.0 * found.per_element));
            }
        }
    }
}

#[test]
fn samples_agree_with_the_closed_forms() {
    for of in [Of::Epsilon, Of::Score, Of::X0, Of::Excess] {
        for quantity in [Quantities::Both, Quantities::Size] {
            let mut options = options("gaussian:mean=0.2,std=0.5,dim=2", of, quantity, "3,200,700");
            options.samples = Some(400);
            let (exact, sampled) = (theory(&options, "linear").unwrap(), sampled(&options, "linear"));
            for (exact, sampled) in exact.models[0].curves.iter().zip(&sampled.models[0].curves) {
                assert_eq!((exact.of, sampled.of, &exact.unit), (of, of, &sampled.unit));
                for (a, b) in exact.points.iter().zip(&sampled.points) {
                    let what = format!("{} of {of} at {}", exact.quantity, a.timestep);
                    let off = (a.mean.unwrap() - b.mean.unwrap()).abs();
                    assert!(off < 4.0 * b.std_error.unwrap() + 1e-6 * a.mean.unwrap(), "{what}: {:?} {:?}", a.mean, b);
                    let Some((a, b)) = a.mean_square.zip(b.mean_square) else { continue };
                    let off = (a.mean - b.mean).abs();
                    assert!(off < 4.0 * b.std_error.unwrap() + 1e-6 * a.mean, "{what}, square: {a:?} {b:?}");
                }
            }
        }
    }
}

/// KL(N(αμ, v)‖N(0, 1)) = ½(δ − ln(1 + δ) + ᾱμ²) with δ = v − 1.
#[test]
fn the_terminal_summary_of_a_gaussian_is_its_divergence() {
    for (name, mean, std) in [("linear", 0.0, 0.5), ("cosine", 0.0, 0.5), ("scaled-linear", -0.4, 0.9)] {
        let schedule = schedule::parse(name).unwrap();
        let kl = |t: f64| {
            let alpha_bar = schedule.alpha_bar(t);
            let delta: f64 = alpha_bar * (std * std - 1.0);
            0.5 * (delta - delta.ln_1p() + alpha_bar * mean * mean)
        };
        let options = options(&format!("gaussian:mean={mean},std={std}"), Of::Excess, Quantities::Size, "auto");
        let report = theory(&options, name).unwrap();
        let found = report.models[0].summary[0].terminal.clone().unwrap();
        assert_eq!(found.timestep, 999.0);
        let (low, high) = (found.kl_lower.unwrap(), found.kl_upper.unwrap());
        // α² of the last step of `cosine` is 1e-9: of δ the difference to 1 leaves eight digits.
        assert!((low / kl(999.0) - 1.0).abs() < 1e-6, "{name}: {low} {}", kl(999.0));
        assert!(low <= found.kl_bound * (1.0 + 1e-6) && low <= high, "{found:?}");
        for (threshold, value) in [("1e-2", 1e-2), ("1e-3", 1e-3), ("1e-4", 1e-4)] {
            let wanted = (0..1000).map(f64::from).find(|t| kl(*t) <= value);
            let got = found.timestep_for[threshold];
            // Of a Gaussian the bound from below is KL.
            let (first, surely) = found.timestep_for_data[threshold];
            assert_eq!(first, wanted, "{name} {threshold}");
            assert!(surely.is_none_or(|surely| Some(surely) >= wanted), "{name} {threshold}");
            // Between timesteps that `auto` takes ln I is interpolated.
            let near = got.zip(wanted).is_none_or(|(got, wanted)| (got - wanted).abs() <= 2.0);
            assert!(near && got.is_some() == wanted.is_some(), "{name} {threshold}: {got:?} {wanted:?}");
        }
    }
}

/// Of a mixture KL lies between the bounds; the sampled ½ I is one of them.
#[test]
fn the_bounds_of_a_mixture_are_in_order() {
    let mut options = options("eight-gaussians", Of::Excess, Quantities::Size, "0..1000/37");
    options.samples = Some(200);
    let report = theory(&options, "linear").unwrap();
    let found = report.models[0].summary[0].terminal.clone().unwrap();
    let (low, high) = (found.kl_lower.unwrap(), found.kl_upper.unwrap());
    assert!(0.0 < low && low < high && found.kl_bound_ci.unwrap().1 > low, "{found:?}");
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    // Another process does not end at N(0, I).
    let report = theory(&options, "flow").unwrap();
    assert_eq!(report.models[0].summary[0].terminal, None);
    let said: Vec<String> = report.warnings.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|text| text.contains("variance-preserving")), "{said:?}");
}

#[test]
fn what_does_not_exist_is_refused_or_left_out() {
    let refused = |of, quantity, timesteps: &str, schedule: &str| {
        theory(&options("gaussian:dim=2", of, quantity, timesteps), schedule).unwrap_err().to_string()
    };
    let said = refused(Of::Score, Quantities::Path, "auto", "linear");
    assert!(said.contains("--quantity path with --of score"), "{said}");
    assert!(refused(Of::Guidance, Quantities::Size, "auto", "linear").contains("--of guidance with theory"));
    assert!(refused(Of::Output, Quantities::Size, "auto", "linear").contains("--of output with theory"));
    assert!(refused(Of::X0, Quantities::Size, "999", "trigflow").contains("α = 0"));
    let sizes = options("gaussian:dim=2", Of::X0, Quantities::Size, "990..1000");
    let report = theory(&sizes, "trigflow").unwrap();
    assert_eq!(report.models[0].curves[0].points.len(), 9);
    assert!(report.warnings[0].to_string().starts_with("1 timestep was left out: the x0"), "{:?}", report.warnings);
    let per_sigma = MeasureOptions { axis: Some(Axis::Sigma), ..sizes };
    assert!(theory(&per_sigma, "linear").unwrap_err().to_string().contains("no time axis"));
}

/// What is not asked for leaves no trace in a report or a plan.
#[test]
fn reports_of_epsilon_do_not_name_it() {
    let text = |of: Of| {
        let options = options("gaussian:dim=2", of, Quantities::Secant, "0,1,2");
        let measurement = Measurement::of_ideal(None, &options, &overrides("linear"), &Setup::default()).unwrap();
        let plan = measurement.plan().to_json().unwrap().to_string();
        (plan, serde_json::to_string(&measurement.run(None, &()).unwrap().models).unwrap())
    };
    let (plan, models) = text(Of::Epsilon);
    assert!(!plan.contains("\"of\"") && !models.contains("\"of\""));
    let (plan, models) = text(Of::Score);
    assert!(plan.contains("\"of\":\"score\"") && models.contains("\"of\":\"score\""));
}

/// Each number of samples has its own curve on its own x_t, which is that of a run of its own.
#[test]
fn several_limits_are_curves_of_their_own() {
    let run = |limit: &str| {
        let mut options = options("digits", Of::Epsilon, Quantities::Secant, "0,200,600");
        options.data.data_limit = Some(limit.parse().unwrap());
        options.samples = Some(12);
        theory(&options, "linear").unwrap()
    };
    let together = run("20,60");
    assert_eq!(
        together.models.iter().map(|model| &*model.label).collect::<Vec<_>>(),
        ["ideal digits, 20 samples", "ideal digits, 60 samples"]
    );
    assert!(together.comparison.is_empty() && together.provenance.plan["data"]["data_limit"] == "20,60");
    for (model, limit) in together.models.iter().zip(["20", "60"]) {
        // Twelve samples are too few for covariates, which a run alone would use.
        let alone = run(limit).models.remove(0);
        for (a, b) in model.curves[0].points.iter().zip(&alone.curves[0].points) {
            let (a, b) = (a.mean.unwrap(), b.mean.unwrap());
            assert!((a / b - 1.0).abs() < 1e-12, "{limit}: {a} {b}");
        }
        assert_eq!(model.own_weights, alone.own_weights);
        let found = model.summary[0].memorisation.unwrap();
        assert!((200.0..600.0).contains(&found.own_weight_half_at.unwrap()), "{found:?}");
    }
    // What is left of the data is that of its own data.
    let left = |limit: &str| {
        let mut options = options("digits", Of::Excess, Quantities::Size, "900,999");
        options.data.data_limit = Some(limit.parse().unwrap());
        options.samples = Some(4);
        let lower = |model: &crate::report::ModelReport| model.summary[0].terminal.clone().unwrap().kl_lower.unwrap();
        theory(&options, "linear").unwrap().models.iter().map(lower).collect::<Vec<f64>>()
    };
    assert_eq!(left("20,60"), [left("20"), left("60")].concat());
    let density = MeasureOptions {
        data: DataOptions {
            data_limit: Some("5,all".parse().unwrap()),
            ..options("gaussian:dim=2", Of::Epsilon, Quantities::Secant, "auto").data
        },
        ..MeasureOptions::default()
    };
    assert!(theory(&density, "linear").unwrap_err().to_string().contains("is a density"));
}
