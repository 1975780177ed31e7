//! Against closed forms: for Gaussian data x̂₀ is affine in x.

use super::*;
use crate::ideal::{Gaussian, IdealDenoiser};
use crate::report::{Provenance, Table};
use crate::schedule;
use crate::timestep_map::{Identity, Sharing, TimestepMap};
use std::sync::Arc;

const VARIANCES: [f64; 2] = [0.25, 0.01];

fn denoiser(map: Arc<dyn TimestepMap>) -> IdealDenoiser {
    IdealDenoiser {
        distribution: Box::new(Gaussian::diagonal(&[0.0; 2], &VARIANCES, Device::Cpu)),
        process: schedule::parse("linear").unwrap().into(),
        map,
        sample_shape: vec![2],
        device: Device::Cpu,
    }
}

fn draws() -> Draws {
    let source = Gaussian::diagonal(&[0.0; 2], &VARIANCES, Device::Cpu).samples();
    Draws::new(Arc::new(source), 5, vec![2])
}

fn settings(batch: u64) -> Settings {
    Settings {
        timesteps: vec![0.0, 19.0, 50.0],
        sizes: vec![1e-3, 0.3],
        time_steps: vec![0.5, 5.0],
        samples: 20,
        batch,
        norm: Norm::L2,
    }
}

fn measured(denoisers: &[&dyn Denoiser], settings: &Settings) -> Vec<Changes> {
    let mut all = Vec::new();
    let mut take = |changes: Vec<Changes>| {
        all.extend(changes);
        Ok(())
    };
    assert_eq!(measure(denoisers, &draws(), settings, &|| true, &mut take).unwrap(), (true, settings.batch));
    all
}

/// (J, g) by coordinate: x̂₀ = J ∘ x with J = (1 − σ g)/α and ε* = g ∘ x, g = σ/(α²λ + σ²).
fn closed_form(t: f64) -> [(f64, f64); 2] {
    let level = schedule::parse("linear").unwrap().level(t);
    VARIANCES.map(|variance| {
        let g = level.sigma / (level.alpha * level.alpha * variance + level.sigma * level.sigma);
        ((1.0 - level.sigma * g) / level.alpha, g)
    })
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

#[test]
fn changes_match_the_jacobian_of_a_gaussian() {
    let plain = denoiser(Arc::new(Identity));
    for changes in measured(&[&plain], &settings(20)) {
        let t = changes.timestep;
        let wanted: Vec<Draw> = (0..20).map(|sample| Draw { t, sample }).collect();
        let (rows, z) = (draws().rows(&wanted).unwrap(), directions(&draws(), &wanted));
        let level = schedule::parse("linear").unwrap().level(t);
        let (here, there) = (closed_form(t), closed_form(t + changes.size));
        for i in 0..20 {
            let at = |values: &[f32], k: usize| f64::from(values[2 * i + k]);
            let expected = norm((0..2).map(|k| match changes.perturbed {
                Perturbed::X => here[k].0 * changes.size * at(&z, k),
                Perturbed::T => {
                    let x = level.alpha * at(&rows.x0, k) + level.sigma * at(&rows.noise, k);
                    level.sigma / level.alpha * (there[k].1 - here[k].1) * x
                }
            }));
            let size = match changes.perturbed {
                Perturbed::X => changes.size * norm((0..2).map(|k| at(&z, k))),
                Perturbed::T => changes.size,
            };
            // A difference of two numbers of order 1 in float64.
            let tolerance = 1e-14 + 1e-10 * expected;
            assert!((changes.changes[0][i] - expected).abs() < tolerance, "{changes:?} {expected}");
            assert!((changes.amplifications[0][i] - expected / size).abs() < tolerance / size);
        }
    }
}

#[test]
fn shared_timesteps_change_nothing_inside_and_jump_at_their_end() {
    let (plain, shared) = (denoiser(Arc::new(Identity)), denoiser(Arc::new(Sharing::uniform(5, 100).unwrap())));
    let all = measured(&[&plain, &shared], &settings(20));
    let find = |perturbed: Perturbed, t: f64, size: f64| {
        let fits = |c: &&Changes| (c.perturbed, c.timestep, c.size) == (perturbed, t, size);
        all.iter().find(fits).unwrap()
    };
    assert!(find(Perturbed::T, 0.0, 5.0).changes[1].iter().all(|norm| *norm == 0.0));
    assert!(find(Perturbed::T, 19.0, 0.5).changes[1].iter().all(|norm| *norm == 0.0));
    assert!(find(Perturbed::T, 19.0, 5.0).changes[1].iter().all(|norm| *norm > 0.0));
    // At the first timestep of a sub-interval sharing changes nothing.
    assert_eq!(find(Perturbed::X, 0.0, 0.3).changes[0], find(Perturbed::X, 0.0, 0.3).changes[1]);
    assert_ne!(find(Perturbed::X, 50.0, 0.3).changes[0], find(Perturbed::X, 50.0, 0.3).changes[1]);
}

#[test]
fn batches_change_nothing_and_stopping_is_clean() {
    let plain = denoiser(Arc::new(Identity));
    let whole = measured(&[&plain], &settings(20));
    for (a, b) in whole.iter().zip(&measured(&[&plain], &settings(3))) {
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-14 + 1e-10 * b);
        assert!(a.changes[0].len() == 20 && close(&a.changes[0], &b.changes[0]), "{a:?} {b:?}");
    }
    // Stopped in the second of three timesteps, of which each has seven batches.
    let (asked, mut finished) = (std::cell::Cell::new(0), 0);
    let goes_on = || asked.replace(asked.get() + 1) < 10;
    let mut count = |_| {
        finished += 1;
        Ok(())
    };
    assert!(!measure(&[&plain], &draws(), &settings(3), &goes_on, &mut count).unwrap().0);
    assert_eq!(finished, 1);
}

fn provenance() -> Provenance {
    Provenance {
        plan: serde_json::Value::Null,
        versions: Default::default(),
        device: "cpu".into(),
        threads: 1,
        began: String::new(),
        wall_seconds: 0.0,
        parts: Vec::new(),
    }
}

fn number(table: &Table, row: usize, column: &str) -> Option<f64> {
    table.rows[row][table.column(column).unwrap()].as_number()
}

#[test]
fn tables_hold_means_ratios_and_what_they_come_to() {
    let changes = |perturbed, t: f64, size: f64, scale: f64| {
        let plain: Vec<f64> = (1..=10).map(|i| scale * f64::from(i)).collect();
        let half: Vec<f64> = plain.iter().map(|change| change / 2.0).collect();
        let over = |values: &[f64]| values.iter().map(|change| change / size).collect::<Vec<f64>>();
        let amplifications = vec![over(&plain), over(&half)];
        Changes { perturbed, timestep: t, size, changes: vec![plain, half], amplifications }
    };
    let mut all = vec![
        changes(Perturbed::T, 7.0, 2.0, 1.0),
        changes(Perturbed::X, 9.0, 0.1, 0.1),
        changes(Perturbed::X, 3.0, 0.1, 0.2),
    ];
    all[0].changes[1][4] = f64::NAN;
    all[0].amplifications[1][4] = f64::NAN;
    let entries = [("A", false), ("B", true)].map(|(label, shares)| Entry { label: label.into(), shares });
    let report = tidy(&entries, &all, "l2", provenance(), Vec::new());
    let [summary, cells] = &report.tables[..] else { panic!() };
    assert_eq!((summary.rows.len(), cells.rows.len()), (4, 6));
    // Model A, x, t = 3 comes first: 0.2 times the mean of 1 … 10.
    assert_eq!((number(cells, 0, "timestep"), number(cells, 0, "ratio")), (Some(3.0), Some(1.0)));
    assert_eq!(number(cells, 0, "ratio_ci_low"), None);
    assert!((number(cells, 0, "mean").unwrap() - 1.1).abs() < 1e-12);
    assert!((number(cells, 0, "amplification").unwrap() - 11.0).abs() < 1e-12);
    assert!((number(cells, 3, "ratio").unwrap() - 0.5).abs() < 1e-12);
    assert_eq!(number(cells, 5, "samples"), Some(9.0));
    // (11 + 5.5)/2 for A, half of it for B.
    assert!((number(summary, 0, "mean").unwrap() - 8.25).abs() < 1e-12);
    assert!((number(summary, 1, "ratio_ci_high").unwrap() - 0.5).abs() < 1e-12);
    assert_eq!((number(summary, 0, "from"), number(summary, 0, "until")), (Some(3.0), Some(9.0)));
    assert!(report.reading[1].contains("0.500 [0.500, 0.500] of A's: 50 % less"), "{:?}", report.reading);
    assert!(report.reading[3].contains("by construction") && !report.reading[1].contains("by construction"));
    assert_eq!((report.warnings.len(), report.charts.len()), (1, 4));
}
