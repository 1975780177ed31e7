//! Made-up reports for tests of the renderers: the shapes of real curves, and the odd cases.

use super::*;

use crate::attribution::PartKind;

/// A plain model over the timesteps 0…998 with all the curve's features: decay, oscillation, intervals.
pub fn ddpm() -> Report {
    report(vec![model("DDPM", Vec::new(), secant((0..999).map(f64::from), 0.02, &[]))])
}

/// A plain model and one that shares 5 sub-intervals of [0, 100).
pub fn shared_pair() -> Report {
    let mut both = ddpm();
    both.command = "compare".into();
    let boundaries = [0.0, 20.0, 40.0, 60.0, 80.0, 100.0];
    let shared = secant((0..999).map(f64::from), 0.019, &boundaries);
    both.models.push(model("E-TSDM", boundaries.to_vec(), shared));
    let ratio = |(b, c): (&Point, &Point)| ComparisonRow {
        model: "E-TSDM".into(),
        timestep: b.timestep,
        t_next: b.t_next,
        quantity: Quantity::Secant,
        of: Of::Epsilon,
        block: None,
        baseline: b.mean,
        candidate: c.mean,
        ratio: b.mean.zip(c.mean).map(|(b, c)| c / b),
        ratio_ci_low: b.mean.zip(c.mean).map(|(b, c)| 0.95 * c / b),
        ratio_ci_high: b.mean.zip(c.mean).map(|(b, c)| 1.05 * c / b),
    };
    both.comparison = both.models[0].curves[0].points.iter().zip(&both.models[1].curves[0].points).map(ratio).collect();
    both
}

/// A model that knows σ and no steps, measured per log-SNR: α = 1, σ = 0.002·40000^(t/999).
pub fn exploding() -> Report {
    let mut report = report(vec![model("EDM", Vec::new(), secant((0..999).map(f64::from), 0.02, &[]))]);
    per_log_snr(&mut report.models[0]);
    for point in &mut report.models[0].curves[0].points {
        let sigma = 0.002 * 40_000f64.powf(point.timestep / 999.0);
        (point.alpha, point.sigma, point.log_snr) = (Some(1.0), Some(sigma), Some(-2.0 * sigma.ln()));
    }
    report
}

/// Calls a model's curve one per log-SNR.
pub fn per_log_snr(model: &mut ModelReport) {
    let curve = &mut model.curves[0];
    (curve.axis, curve.unit) = (Axis::LogSnr, Axis::LogSnr.unit().into());
}

/// Secant and derivative of one model on `auto` timesteps: every step near 0, sparse later.
pub fn both_quantities() -> Report {
    let timesteps = || (0..100).chain((100..999).step_by(25)).map(f64::from);
    let mut model = model("DDPM", Vec::new(), secant(timesteps(), 0.02, &[]));
    let mut derivative = secant(timesteps(), 0.023, &[]);
    (derivative.quantity, derivative.dt) = (Quantity::Derivative, None);
    derivative.points.iter_mut().for_each(|p| p.t_next = None);
    model.curves.push(derivative);
    report(vec![model])
}

/// Its derivative told apart by ten sites at t = 0, 1, 8 and 99: `site 0` has a share of 0.9 at all of them, `site 1` one of −0.1, and
/// eight others 0.025 each.
pub fn attributed() -> Report {
    let mut report = both_quantities();
    let model = &mut report.models[0];
    let derivative = model.curves[1].clone();
    model.summary.push(summary(&derivative));
    let share = |site: usize| -> f64 { [0.9, -0.1].get(site).copied().unwrap_or(0.025) };
    let row = |t: f64, site: usize| PartRow {
        timestep: t,
        kind: PartKind::Site,
        part: format!("site {site}"),
        norm: Some(share(site).abs() / (t + 1.0)),
        share: Some(share(site)),
        share_ci_low: Some(share(site) - 0.01),
        share_ci_high: Some(share(site) + 0.01),
    };
    let rows = [0.0, 1.0, 8.0, 99.0].into_iter().flat_map(|t| (0..10).map(move |site| row(t, site))).collect();
    let unit = derivative.unit;
    model.attribution = Some(Attribution { samples: 16, unit, rows, function_evaluations: 880, wall_seconds: 1.0 });
    report
}

/// `count` models on a sparse grid, the even ones with zeros.
pub fn several(count: usize) -> Report {
    let grid = || (0..100).step_by(3).chain((100..999).step_by(60)).map(f64::from);
    let one = |i: usize| {
        let mut curve = secant(grid(), 0.02 * 1.7f64.powi(i as i32), &[]);
        if i % 2 == 1 {
            curve.points.iter_mut().filter(|p| p.timestep < 30.0).for_each(|p| p.mean = Some(0.0));
        }
        model(&format!("model {}", i + 1), Vec::new(), curve)
    };
    report((0..count).map(one).collect())
}

/// A report with one curve of these means at t = 0, 1, 2, …
pub fn with_means(means: &[Option<f64>]) -> Report {
    let mut curve = secant((0..means.len()).map(|t| t as f64), 1.0, &[]);
    for (point, mean) in curve.points.iter_mut().zip(means) {
        *point = Point { timestep: point.timestep, t_next: point.t_next, mean: *mean, ..Point::default() };
    }
    report(vec![model("m", Vec::new(), curve)])
}

/// A complete report of these models.
pub fn report(models: Vec<ModelReport>) -> Report {
    let provenance = Provenance {
        plan: serde_json::Value::Null,
        versions: BTreeMap::new(),
        device: "cpu".into(),
        threads: 2,
        began: "2026-01-01T00:00:00Z".into(),
        wall_seconds: 1.0,
        parts: Vec::new(),
    };
    let command = "measure".into();
    Report {
        schema_version: SCHEMA_VERSION,
        complete: true,
        command,
        provenance,
        models,
        comparison: Vec::new(),
        resolution: None,
        rounding: None,
        reading: Vec::new(),
        warnings: Vec::new(),
    }
}

/// A model with one curve and the summary that goes with it.
pub fn model(label: &str, boundaries: Vec<f64>, curve: Curve) -> ModelReport {
    let summary = vec![summary(&curve)];
    let model = ModelDescription {
        lora: Vec::new(),
        source: format!("{label}.pt"),
        sha256: None,
        format: "torchscript".into(),
        architecture: "UNet2DModel".into(),
        parameters: 700_000,
        sample_shape: vec![1, 28, 28],
        prediction: "epsilon".into(),
        schedule: "linear".into(),
        timesteps: 1000,
        conditioning: "step".into(),
        asked: None,
        clock: None,
        basis: None,
        boundaries,
        dtype: "f32".into(),
        derivative: None,
    };
    ModelReport {
        label: label.into(),
        model,
        curves: vec![curve],
        spent: Spent::default(),
        own_weights: Vec::new(),
        summary,
        attribution: None,
    }
}

/// K ≈ scale/√(t+1) · (1 + 0.3 cos t); with boundaries, 0 inside the sub-intervals and jumps at their ends.
pub fn secant(timesteps: impl Iterator<Item = f64>, scale: f64, boundaries: &[f64]) -> Curve {
    let plain = |t: f64| scale / (t + 1.0).sqrt() * (1.0 + 0.3 * t.cos());
    let point = |t: f64| {
        let shared = boundaries.windows(2).find(|ends| ends[0] <= t && t < ends[1]);
        let mean = match shared {
            Some(ends) if t + 1.0 >= ends[1] => 12.0 * scale / (ends[0] + 4.0).sqrt(),
            Some(_) => 0.0,
            None => plain(t),
        };
        let alpha_bar = (-1e-4 * (t + 1.0) - 1e-5 * (t + 1.0).powi(2)).exp();
        Point {
            timestep: t,
            t_next: Some(t + 1.0),
            alpha: Some(alpha_bar.sqrt()),
            sigma: Some((1.0 - alpha_bar).sqrt()),
            log_snr: Some((alpha_bar / (1.0 - alpha_bar)).ln()),
            samples: 256,
            mean: Some(mean),
            std_error: Some(0.025 * mean),
            ci_low: Some(0.95 * mean),
            ci_high: Some(1.05 * mean),
            p05: Some(0.6 * mean),
            p50: Some(0.98 * mean),
            p95: Some(1.5 * mean),
            max: Some(2.1 * mean),
            off_in_state: None,
            p999: None,
            max_row: None,
            skewness: None,
            mean_square: None,
            non_finite: 0,
            unconverged: 0,
        }
    };
    Curve {
        quantity: Quantity::Secant,
        of: Of::Epsilon,
        block: None,
        estimator: Method::MonteCarlo,
        norm: Norm::L2,
        axis: Axis::Step,
        unit: "1/step".into(),
        dt: Some(1.0),
        points: timesteps.map(point).collect(),
    }
}

fn summary(curve: &Curve) -> Summary {
    let means = |near: bool| {
        let of_it = curve.points.iter().filter(move |p| (p.timestep < 100.0) == near);
        of_it.filter_map(|p| p.mean.map(|m| (p.timestep, m))).collect::<Vec<_>>()
    };
    let average = |v: &[(f64, f64)]| (!v.is_empty()).then(|| v.iter().map(|p| p.1).sum::<f64>() / v.len() as f64);
    let top = |v: &[(f64, f64)]| v.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    let (near, rest) = (means(true), means(false));
    let mut sorted: Vec<f64> = rest.iter().map(|p| p.1).collect();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied();
    let near_zero = NearZero {
        from: 0.0,
        until: 100.0,
        mean: average(&near),
        max: top(&near).map(|p| p.1),
        argmax: top(&near).map(|p| p.0),
        total_variation: Some(near.iter().map(|p| p.1).sum()),
        total_variation_exact: true,
        unmeasured_jumps: Vec::new(),
    };
    let peak_ratio = near_zero.max.zip(median).map(|(peak, median)| peak / median);
    let rest = Rest { mean: average(&rest), max: top(&rest).map(|p| p.1) };
    Summary {
        quantity: curve.quantity,
        of: curve.of,
        block: None,
        near_zero,
        rest,
        total_variation_all: None,
        terminal: None,
        memorisation: None,
        uniformization: None,
        calibration: None,
        singularity: None,
        peak_ratio,
        function_evaluations: 512,
        wall_seconds: 1.0,
    }
}

/// A table of sample quality with its two charts.
pub fn quality() -> TidyReport {
    let columns = [
        ("model", "checkpoint"),
        ("sampler", "sampler"),
        ("nfe", "network evaluations per sample"),
        ("frechet", "Fréchet distance"),
        ("frechet_ci_low", "lower end of its 95 % interval"),
        ("frechet_ci_high", "upper end of its 95 % interval"),
    ];
    let mut table = Table::new("quality", "Sample quality", &columns);
    for (model, better) in [("DDPM", 1.0), ("E-TSDM", 0.7)] {
        for (sampler, slower) in [("ddim", 1.0), ("dpm-solver-2", 0.6)] {
            for nfe in [5.0, 10.0, 20.0, 50.0, 100.0] {
                let frechet = 4.0 + 400.0 * better * slower / nfe;
                let cell = |share: f64| Cell::number(frechet * share);
                let row =
                    vec![Cell::text(model), Cell::text(sampler), Cell::number(nfe), cell(1.0), cell(0.9), cell(1.1)];
                table.rows.push(row);
            }
        }
    }
    let axis = |column: &str, label: &str, log| ChartAxis { column: column.into(), label: label.into(), log };
    let lines = Chart {
        name: "quality-over-nfe".into(),
        title: "Sample quality over network evaluations".into(),
        table: "quality".into(),
        only: Vec::new(),
        x: axis("nfe", "network evaluations (NFE)", true),
        y: axis("frechet", "Fréchet distance", true),
        interval: Some(("frechet_ci_low".into(), "frechet_ci_high".into())),
        series: Some("sampler".into()),
        panels: Some("model".into()),
    };
    let dots = Chart {
        name: "quality-by-sampler".into(),
        title: "Sample quality by sampler at 10 evaluations".into(),
        only: vec![("nfe".into(), Cell::number(10.0))],
        x: axis("sampler", "sampler", false),
        y: axis("frechet", "Fréchet distance", false),
        series: Some("model".into()),
        panels: None,
        ..lines.clone()
    };
    tidy(vec![table], vec![lines, dots])
}

/// A complete report of these tables and charts.
pub fn tidy(tables: Vec<Table>, charts: Vec<Chart>) -> TidyReport {
    TidyReport {
        schema_version: SCHEMA_VERSION,
        complete: true,
        command: "evaluate".into(),
        title: "Sample quality".into(),
        provenance: report(Vec::new()).provenance,
        tables,
        charts,
        reading: vec!["E-TSDM is better at every NFE.".into()],
        warnings: Vec::new(),
    }
}
