//! Kernels and ideal noise against 50 digits made another way (tests/fixtures/processes/make.py): Van Loan's exponential,
//! Cholesky of the formed matrix, numerical differentiation.

use super::*;
use crate::expectation::mean_norm;
use serde_json::Value;

const STEPS: f64 = 1000.0;

fn truth() -> Value {
    serde_json::from_str(include_str!("truth.json")).unwrap()
}

fn process(name: &str) -> Arc<LinearGaussian> {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str| {
        let path = folder.path().join("process.json");
        std::fs::write(&path, text).unwrap();
        format!("mdm:{}", path.display())
    };
    let text = match name {
        "cld" => "cld:eps=0".into(),
        "mdm" => file(r#"{"Q": [[0, -1], [1, 0]], "D": [[0, 0], [0, 2]]}"#),
        _ => file(r#"{"Q": [[0, -1, -1], [1, 0, -1], [1, 1, 0]], "D": [[0, 0, 0], [0, 2, 0], [0, 0, 2]]}"#),
    };
    match text.parse::<ProcessSpec>().unwrap() {
        ProcessSpec::LinearGaussian(process) => process,
        other => panic!("{other}"),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Numbers of vectors each by itself, those of matrices beside the largest of their row: off-diagonal ones may cancel.
fn close<'a>(what: &str, got: impl IntoIterator<Item = &'a f64>, expected: &Value, width: usize, tolerance: f64) {
    let (got, expected): (Vec<f64>, _) = (got.into_iter().copied().collect(), numbers(expected));
    assert_eq!(got.len(), expected.len(), "{what}");
    for (got, expected) in got.chunks(width).zip(expected.chunks(width)) {
        let largest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() <= tolerance * largest, "{what}: {got} {expected}");
        }
    }
}

/// D of each variable per unit of time, of `dim` elements N(0.3, 0.25).
fn derivative(process: &LinearGaussian, t: f64, dim: usize) -> Vec<f64> {
    let ideal = process.ideal(&process.kernel(t), t, 0.3, 0.25);
    norms(&ideal.rate(&ideal), dim).into_iter().map(|norm| norm * STEPS).collect()
}

fn norms(moments: &[(f64, f64)], dim: usize) -> Vec<f64> {
    moments.iter().map(|&(mean, variance)| mean_norm(&vec![mean; dim], &vec![variance; dim])).collect()
}

#[test]
fn kernels_and_ideal_noise_are_those_of_fifty_digits() {
    let truth = truth();
    let mut compared = 0;
    for (name, case) in truth["cases"].as_object().unwrap() {
        let process = process(name);
        for row in case["rows"].as_array().unwrap() {
            let u = row["u"].as_f64().unwrap();
            let t = u * STEPS - 1.0;
            let what = |of: &str| format!("{name} at u = {u}: {of}");
            let kernel = process.kernel(t);
            let k = process.variables();
            // Sums of positive terms of each entry's own size, but for the rounding of a dozen doublings.
            close(&what("E_x"), &kernel.mean, &row["mean_of_x0"], 1, 1e-11);
            close(&what("L"), &kernel.factor, &row["factor"], k, 1e-11);
            close(&what("Σ"), &kernel.covariance(), &row["covariance"], k, 1e-11);
            let ideal = process.ideal(&kernel, t, 0.3, 0.25);
            close(&what("m"), &ideal.mean, &row["mean"], 1, 1e-11);
            close(&what("ṁ"), &(&ideal.d_mean * STEPS), &row["d_mean"], 1, 1e-11);
            close(&what("C"), &ideal.gain, &row["gain"], k, 1e-11);
            close(&what("Ċ"), &(&ideal.d_gain * STEPS), &row["d_gain"], k, 1e-9);
            close(&what("D"), &derivative(&process, t, 1), &row["derivative"], 1, 1e-9);
            close(&what("D of three"), &derivative(&process, t, 3), &row["derivative_of_three"], 1, 1e-9);
            let next = process.ideal(&process.kernel(t + 1.0), t + 1.0, 0.3, 0.25);
            let secant: Vec<f64> = norms(&ideal.change(&next, &ideal), 1).iter().map(|norm| norm * STEPS).collect();
            // A difference of two gains.
            close(&what("K"), &secant, &row["secant"], 1, 1e-9);
            compared += 1;
        }
    }
    assert_eq!(compared, 21);
}

/// Exponents in u over the same times, by least squares on nine of them: the limit lies far below what a network sees.
#[test]
fn exponents_depend_on_the_range() {
    let truth = truth();
    for name in ["cld", "mdm", "malda"] {
        let process = process(name);
        for range in ["limit", "seen"] {
            let expected = &truth["cases"][name]["exponents"][range];
            let ends = numbers(&expected["u"]);
            let units: Vec<f64> = (0..9).map(|i| ends[0] * (ends[1] / ends[0]).powf(f64::from(i) / 8.0)).collect();
            let slope = |of: &dyn Fn(f64) -> f64| {
                let x: Vec<f64> = units.iter().map(|u| u.ln()).collect();
                let y: Vec<f64> = units.iter().map(|u| of(u * STEPS - 1.0).ln()).collect();
                let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
                let (mx, my) = (mean(&x), mean(&y));
                let products = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>();
                products / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>()
            };
            let found: Vec<f64> = (0..process.variables()).map(|i| slope(&|t| derivative(&process, t, 1)[i])).collect();
            for (found, expected) in found.iter().zip(numbers(&expected["derivative"])) {
                // t = 1000 u − 1 keeps 7 digits of the smallest u.
                assert!((found - expected).abs() < 1e-6, "{name} {range}: {found} {expected}");
            }
            let last = process.variables() - 1;
            let ell = slope(&|t| 1.0 / process.kernel(t).factor[[last, last]]);
            assert!((ell - expected["ell"].as_f64().unwrap()).abs() < 1e-6, "{name} {range}: {ell}");
        }
    }
}

/// Closed forms of CLD-SGM's code (sde_lib.py), with its numerical epsilon, where they do not cancel.
#[test]
fn cld_has_the_variances_of_its_code() {
    let ProcessSpec::LinearGaussian(process) = "cld".parse().unwrap() else { panic!() };
    // f = 2/√(m⁻¹), g = 1/f.
    let (f, g, gamma, m_inv) = (1.0f64, 1.0f64, 0.04, 4.0);
    for t in [199.0, 499.0, 999.0] {
        let b = process.elapsed(t).0;
        let (v0, shrunk) = (gamma / m_inv, (-4.0 * b * g).exp());
        let xx = 1.0 / shrunk - 1.0 - 4.0 * b * g - 8.0 * b * b * g * g + 16.0 * g.powi(4) * b * b * v0;
        let xv = 4.0 * g * g * b * v0 + 4.0 * g * b * b - 8.0 * g.powi(3) * b * b * v0;
        let vv =
            f * f * (1.0 / shrunk - 1.0) / 4.0 + f * b - 4.0 * g * b * v0 + 4.0 * g * g * b * b * v0 + v0 - 2.0 * b * b;
        let expected = [xx * shrunk + 1e-9, xv * shrunk, xv * shrunk, vv * shrunk + 1e-9];
        for (got, expected) in process.kernel(t).covariance().iter().zip(expected) {
            assert!((got - expected).abs() < 1e-12, "t = {t}: {got} {expected}");
        }
    }
}

/// Rates are those of differences, also with ν, and C of data without a spread is L⁻¹.
#[test]
fn rates_are_limits_of_differences() {
    for text in ["cld", "cld:mass=1,gamma=0,beta=9,eps=1e-4", "cld:gamma=2,eps=0,timesteps=10"] {
        let ProcessSpec::LinearGaussian(process) = text.parse().unwrap() else { panic!() };
        for t in [0.0, 3.0, 5.5] {
            let h = 1e-4;
            let (kernel, ahead, behind) = (process.kernel(t), process.kernel(t + h), process.kernel(t - h));
            let ideal = |kernel: &Kernel, t: f64| process.ideal(kernel, t, 0.3, 0.25);
            let (now, after, before) = (ideal(&kernel, t), ideal(&ahead, t + h), ideal(&behind, t - h));
            let pairs = [(&kernel.d_factor, &ahead.factor, &behind.factor), (&now.d_gain, &after.gain, &before.gain)];
            for (rate, ahead, behind) in pairs {
                let scale = rate.iter().fold(0.0f64, |most, x| most.max(x.abs()));
                let differences = (ahead - behind) / (2.0 * h);
                for (rate, difference) in rate.iter().zip(&differences) {
                    // Third derivatives times h², and rounding over h.
                    assert!((rate - difference).abs() < 1e-6 * scale, "{text} at {t}: {rate} {difference}");
                }
            }
            let point = process.ideal(&kernel, t, 0.3, 0.0);
            let inverse = inverse(&kernel.factor);
            let off = (&point.gain - &inverse).iter().fold(0.0f64, |most, x| most.max(x.abs()));
            assert!(off < 1e-9 * matrix::norm(&inverse), "{text} at {t}: {off}");
        }
    }
}

#[test]
fn axes_are_steps_and_units_alone() {
    let process = process("cld");
    assert_eq!(
        (process.coordinate(Axis::Unit, 499.0), process.coordinate_rate(Axis::Unit, 3.0)),
        (Some(0.5), Some(1e-3))
    );
    assert_eq!((process.coordinate(Axis::Step, 4.5), process.coordinate_rate(Axis::Step, 3.0)), (Some(4.5), Some(1.0)));
    for axis in [Axis::Sigma, Axis::LogSnr] {
        assert_eq!((process.coordinate(axis, 3.0), process.coordinate_rate(axis, 3.0)), (None, None));
    }
}

#[test]
fn what_is_no_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("process.json");
    for (text, problem) in [
        (r#"{"Q": [[0, -1], [1, 0]], "D": [[0, 0], [0, -2]]}"#, "negative eigenvalue"),
        (r#"{"Q": [[0, 1], [1, 0]], "D": [[0, 0], [0, 2]]}"#, "antisymmetric"),
        (r#"{"Q": [[0, -1], [1, 0]], "D": [[0, 1], [0, 2]]}"#, "symmetric"),
        (r#"{"Q": [[0, 0], [0, 0]], "D": [[0, 0], [0, 2]]}"#, "no noise reaches variable x"),
        (r#"{"Q": [[0, -1], [1]], "D": [[0, 0], [0, 2]]}"#, "square"),
        (r#"{"Q": [[0, -1], [1, 0]], "D": [[2]]}"#, "[k, k]"),
        (r#"{"Q": [[0]], "D": [[2]]}"#, "from 2 to 4"),
        (r#"{"Q": [[0, -1], [1, 0]], "D": [[0, 0], [0, 2]], "beta": 3}"#, "beta"),
        (r#"{"Q": [[0, -1], [1, 0]], "D": [[0, 0], [0, 2]], "beta_max": 0}"#, "beta_max"),
        (r#"{"Q": [[0, -1], [1, 0]], "D": [[0, 0], [0, 2]], "init_aux_var": -1}"#, "init_aux_var"),
        (r#"{"Q": [[0, -1e400], [1, 0]], "D": [[0, 0], [0, 2]]}"#, "number"),
        (r#"{"D": [[0, 0], [0, 2]]}"#, "Q"),
        ("[1, 2]", "process"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = format!("mdm:{}", path.display()).parse::<ProcessSpec>().unwrap_err().to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }
    for text in [
        "cld:mass=0",
        "cld:gamma=-1",
        "cld:beta=0",
        "cld:eps=-1e-9",
        "cld:timesteps=1",
        "cld:weight=2",
        "mdm",
        "mdm:nowhere.json",
    ] {
        assert!(text.parse::<ProcessSpec>().is_err(), "{text}");
    }
}

/// A file's name may hold commas; T comes after it.
#[test]
fn a_file_is_told_from_the_number_of_steps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a,b.json");
    std::fs::write(&path, r#"{"Q": [[0, -1], [1, 0]], "D": [[0, 0], [0, 2]], "stationary_aux_var": 1}"#).unwrap();
    for (text, steps) in
        [(format!("mdm:{}", path.display()), 1000), (format!("mdm:{},timesteps=50", path.display()), 50)]
    {
        assert_eq!(text.parse::<ProcessSpec>().unwrap().timesteps(), steps);
    }
}
