//! Every schedule against closed forms: values as DDPM code has them, derivatives against central differences.

use super::*;

fn schedule(text: &str) -> std::sync::Arc<dyn NoiseSchedule> {
    parse(text).unwrap()
}

const BUILT_IN: [&str; 12] = [
    "linear",
    "quadratic",
    "scaled-linear",
    "cosine",
    "shifted-cosine:shift=0.25",
    "sigmoid",
    "sigmoid-beta",
    "trigflow",
    "flow",
    "flow:shift=3",
    "linear-zero-terminal-snr",
    "cosine-zero-terminal-snr",
];

/// Values of numpy's cumprod over the betas of DDPM, improved DDPM and latent diffusion code.
#[test]
fn alpha_bar_matches_the_discrete_product() {
    let expected = [
        ("linear", [0.9999, 0.9997800920720721, 0.8951415908975365, 4.035829765375676e-05]),
        ("quadratic", [0.9999, 0.9997973619004856, 0.9711761214194629, 0.0007334124595808159]),
        ("scaled-linear", [0.99915, 0.9982960278384514, 0.8942234775865594, 0.004660098513077238]),
        ("cosine", [0.999958715775178, 0.9999125759273678, 0.9715756818078386, 2.4287669070348567e-09]),
        ("linear-zero-terminal-snr", [0.9999, 0.9997793254331531, 0.8944904371550819, 0.0]),
    ];
    for (name, values) in expected {
        for (t, value) in [0.0, 1.0, 100.0, 999.0].into_iter().zip(values) {
            // 1000 products of float64 lose a few hundred roundings of 1e-16.
            let error = (schedule(name).alpha_bar(t) - value).abs();
            assert!(error <= 1e-12 * value + 1e-16, "{name} at {t}: off by {error:e}");
        }
    }
}

#[test]
fn cosine_betas_are_not_truncated_to_integers() {
    let cosine = schedule("cosine");
    let distinct: std::collections::BTreeSet<u64> = (0..1000).map(|t| cosine.alpha_bar(t as f64).to_bits()).collect();
    assert_eq!(distinct.len(), 1000);
}

/// Built-in schedules that have no clean sample at t = −1, or no variance of 1.
const CONTINUOUS: [&str; 6] = ["vp", "vp:timesteps=4000", "sub-vp", "ve", "edm", "edm:rho=3"];

#[test]
fn derivatives_match_central_differences_everywhere() {
    for name in BUILT_IN.into_iter().chain(CONTINUOUS) {
        let s = schedule(name);
        for t in [0.31, 1.5, 17.25, 99.5, 400.7, 990.25] {
            let h = 1e-4;
            let central = |f: &dyn Fn(f64) -> f64| (f(t + h) - f(t - h)) / (2.0 * h);
            let pairs = [
                ("alpha", s.d_alpha_dt(t), central(&|t| s.alpha(t))),
                ("sigma", s.d_sigma_dt(t), central(&|t| s.sigma(t))),
                ("alpha_bar", s.d_alpha_bar_dt(t), central(&|t| s.alpha_bar(t))),
                ("log_snr", s.d_log_snr_dt(t), central(&|t| s.log_snr(t))),
            ];
            for (quantity, exact, difference) in pairs {
                // Rounding of 1e-16/h = 1e-12 per value, truncation h² = 1e-8 relative to the local curvature.
                let tolerance = 1e-6 * exact.abs() + 2e-11;
                assert!((exact - difference).abs() < tolerance, "{name} d {quantity} at {t}: {exact} {difference}");
            }
        }
    }
}

#[test]
fn interpolation_is_monotone_and_smooth_across_indices() {
    for name in BUILT_IN.into_iter().chain(CONTINUOUS) {
        let s = schedule(name);
        let fine: Vec<f64> = (0..=9_990).map(|i| s.alpha_bar(i as f64 / 10.0)).collect();
        assert!(fine.windows(2).all(|pair| pair[1] < pair[0]), "{name} is not decreasing");
        for t in [1.0, 50.0, 500.0] {
            let jump = (s.d_alpha_dt(t - 1e-9) - s.d_alpha_dt(t + 1e-9)).abs();
            assert!(jump <= 1e-6 * s.d_alpha_dt(t).abs(), "{name}: slope jumps by {jump:e} at {t}");
        }
    }
}

#[test]
fn the_clean_sample_is_at_minus_one_and_variance_is_preserved() {
    for name in BUILT_IN {
        let s = schedule(name);
        assert!((s.alpha(-1.0) - 1.0).abs() < 1e-15 && s.sigma(-1.0).abs() < 1e-15, "{name}");
        for t in [0.0, 0.5, 100.0, 999.0].into_iter().filter(|_| !name.starts_with("flow")) {
            assert!((s.alpha(t).powi(2) + s.sigma(t).powi(2) - 1.0).abs() < 1e-14, "{name} at {t}");
        }
    }
}

/// With α² + σ² = 1 and dα/dt ≠ 0 at the clean end, σ ~ √(t + 1): the singularity that the tool is about.
#[test]
fn sigma_grows_like_a_square_root_for_linear_and_linearly_for_trigflow_and_flow() {
    let exponent = |name: &str| {
        let s = schedule(name);
        (s.sigma(-1.0 + 1e-4) / s.sigma(-1.0 + 1e-6)).ln() / 100f64.ln()
    };
    assert!((exponent("linear") - 0.5).abs() < 1e-3);
    assert!((exponent("trigflow") - 1.0).abs() < 1e-6);
    assert!((exponent("flow") - 1.0).abs() < 1e-6);
}

#[test]
fn shifted_cosine_shifts_log_snr() {
    let (plain, shifted) = (schedule("shifted-cosine:shift=1"), schedule("shifted-cosine:shift=0.25"));
    for t in [0.0, 300.0, 900.0] {
        assert!((shifted.log_snr(t) - plain.log_snr(t) - 2.0 * 0.25f64.ln()).abs() < 1e-12);
    }
}

/// α/σ = (1 − u)/(s u).
#[test]
fn shifted_flow_shifts_log_snr() {
    let (plain, shifted) = (schedule("flow"), schedule("flow:shift=3"));
    for t in [0.0, 300.0, 900.0] {
        assert!((shifted.log_snr(t) - plain.log_snr(t) + 2.0 * 3f64.ln()).abs() < 1e-12);
    }
}

#[test]
fn files_hold_betas_or_alpha_bar() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("betas.json");
    std::fs::write(&path, "[0.1, 0.2,\n 0.5]").unwrap();
    let from_betas = schedule(&format!("betas:file={}", path.display()));
    let expected = [0.9, 0.9 * 0.8, 0.9 * 0.8 * 0.5];
    std::fs::write(&path, expected.map(|value| value.to_string()).join("\n")).unwrap();
    let from_alpha_bar = schedule(&format!("alpha-bar:file={}", path.display()));
    for (t, value) in expected.into_iter().enumerate() {
        assert!((from_betas.alpha_bar(t as f64) - value).abs() < 1e-15);
        assert!((from_alpha_bar.alpha_bar(t as f64) - value).abs() < 1e-15);
    }
}

#[test]
fn nonsense_is_refused_with_a_reason() {
    let bad = [
        "linaer",
        "linear:beta-end=2",
        "linear:beta-start=0",
        "linear:beta=1",
        "linear:timesteps=1",
        "linear:timesteps=99999999999",
        "cosine:s=nan",
        "shifted-cosine:shift=0",
        "flow-zero-terminal-snr",
        "flow:shift=0",
        "betas",
        "betas:file=/nowhere/betas.json",
    ];
    for text in bad {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.len() > 40, "{text}: {message}");
    }
}
