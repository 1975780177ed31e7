use super::*;
use crate::report::FigureFormat;
use crate::report::drawing::text_boxes;
use crate::report::synthetic::*;

fn texts(figure: &Figure) -> Vec<(String, resvg::usvg::Rect)> {
    text_boxes(figure.tree().root())
}

/// Every report that must draw something sane.
fn gallery() -> Vec<(&'static str, Report)> {
    let mut unfinished = shared_pair();
    unfinished.complete = false;
    for model in &mut unfinished.models {
        model.summary.clear();
        model.curves[0].points.truncate(37);
    }
    let mut long = several(4);
    long.models[1].label =
        "/data/experiments/2026/cifar10-unet-etsdm-n5-until100-seed0-ema0.9999/step-400000.safetensors".into();
    long.models[2].label =
        "模型 with\nnewline & <tags> \"quoted\" and, commas — ε_θ(x, t) long enough to need a second row".into();
    let mut empty_curve = shared_pair();
    empty_curve.models[1].curves[0].points.clear();
    let mut different_boundaries = shared_pair();
    different_boundaries.models[0].model.boundaries = vec![0.0, 50.0, 100.0];
    let mut whole_intervals = several(2);
    for point in whole_intervals.models.iter_mut().flat_map(|m| &mut m.curves[0].points) {
        point.ci_low = Some(-1.0);
        point.ci_high = Some(1e9);
    }
    let mut unlabelled = several(2);
    unlabelled.models[0].label.clear();
    let mut late = ddpm();
    late.models[0].curves[0].points.retain(|p| p.timestep >= 300.0);
    let near_only = report(vec![model("DDPM", Vec::new(), secant((0..60).map(f64::from), 0.02, &[]))]);
    vec![
        ("ddpm", ddpm()),
        ("pair", shared_pair()),
        ("both", both_quantities()),
        ("noise-level", exploding()),
        ("noise-level-pair", overlaid()),
        ("three", several(3)),
        ("six", several(6)),
        ("unfinished", unfinished),
        ("long-labels", long),
        ("empty-curve", empty_curve),
        ("different-boundaries", different_boundaries),
        ("wide-intervals", whole_intervals),
        ("late", late),
        ("near-only", near_only),
        ("one-point", with_means(&[Some(0.3)])),
        ("one-zero", with_means(&[Some(0.0)])),
        ("zeros", with_means(&[Some(0.0); 200])),
        ("constant", with_means(&[Some(0.0123); 200])),
        ("gaps", with_means(&[Some(1.0), None, Some(3.0), None, None, Some(f64::NAN), Some(0.0), Some(2.0)])),
        ("smallest", with_means(&[Some(5e-324); 3])),
        ("largest", with_means(&[Some(f64::MAX); 3])),
        ("unlabelled", unlabelled),
        ("eight", several(8)),
        ("extreme", with_means(&[Some(5e-324), Some(1e-17), Some(1.0), Some(f64::MAX)])),
    ]
}

/// A model over σ beside one over steps, both per log-SNR.
fn overlaid() -> Report {
    let mut both = exploding();
    both.models.push(ddpm().models.remove(0));
    per_log_snr(&mut both.models[1]);
    both
}

#[test]
fn models_of_sigma_stand_over_the_noise_level() {
    let plot = describe(&exploding()).unwrap();
    assert!(plot.x.log && plot.x.label().starts_with("noise level σ "), "{:?}", plot.x);
    let spot = |plot: &Plot, i: usize| plot.panels[0].traces[0].spots[i];
    // The ends of the schedule, and the geometric mean between them.
    let close = |got: f64, sigma: f64| assert!((got / sigma - 1.0).abs() < 1e-12, "{got} {sigma}");
    close(spot(&plot, 0).x, 0.002);
    close(spot(&plot, 333).x, 0.002 * 40_000f64.cbrt());
    // Both panels end at the data; the second shows the window near t = 0 and 15 % beyond.
    let windows: Vec<(f64, f64)> = plot.panels.iter().map(|panel| panel.window.unwrap()).collect();
    close(windows[0].0, 0.002);
    close(windows[1].0, 0.002);
    close(windows[1].1, 0.002 * 40_000f64.powf(115.0 / 999.0));
    assert_eq!(plot.panels[1].caption, "(b) towards the data, σ → 0");
}

#[test]
fn models_of_steps_stand_over_sigma_only_beside_models_of_sigma() {
    let plot = describe(&overlaid()).unwrap();
    assert!(plot.x.log && plot.x.label().starts_with("noise level σ/α "), "{:?}", plot.x);
    let (first, point) = (plot.panels[0].traces[1].spots[0].x, &ddpm().models[0].curves[0].points[0]);
    assert_eq!(first, point.sigma.unwrap() / point.alpha.unwrap());
    // A model of steps alone stands over its steps in whatever unit, and so does one of σ that was measured per step.
    let mut alone = ddpm();
    per_log_snr(&mut alone.models[0]);
    let mut per_step = exploding();
    per_step.models[0].curves[0].axis = crate::time::Axis::Step;
    for report in [alone, per_step] {
        let plot = describe(&report).unwrap();
        assert_eq!((plot.x.label(), plot.x.log), ("timestep t", false));
        assert_eq!(plot.panels[0].traces[0].spots[7].x, 7.0);
    }
}

#[test]
fn boundaries_stand_between_the_points_around_them() {
    let mut report = exploding();
    report.models[0].model.boundaries = vec![0.0, 10.5, 998.5];
    let found = series::boundaries(&report.models[0], Horizontal::NoiseLevel);
    // Nothing was measured beyond 998.
    assert_eq!(found.len(), 2);
    assert!((found[1] / (0.002 * 40_000f64.powf(10.5 / 999.0)) - 1.0).abs() < 1e-12, "{found:?}");
}

#[test]
fn a_time_from_noise_to_data_is_said_to_be_counted_from_the_data() {
    let mut report = ddpm();
    report.models[0].model.conditioning = "1-unit".into();
    assert_eq!(describe(&report).unwrap().x.label(), "timestep t, counted from the data");
}

#[test]
fn every_report_draws_in_every_format() {
    let dir = std::env::var_os("LIPSCOPE_FIGURE_GALLERY");
    for (name, report) in gallery() {
        let figure = figure(&report).unwrap_or_else(|e| panic!("{name}: {e}"));
        for format in FigureFormat::ALL {
            let artifact = figure.artifact(format).unwrap();
            assert!(artifact.bytes.len() > 1000, "{name}");
            if let Some(dir) = &dir {
                std::fs::write(
                    std::path::Path::new(dir).join(format!("{name}.{}", format.extension())),
                    artifact.bytes,
                )
                .unwrap();
            }
        }
    }
}

#[test]
fn no_text_overlaps_another_or_leaves_the_page() {
    for (name, report) in gallery() {
        let figure = figure(&report).unwrap();
        let (width, height) = (figure.tree().size().width(), figure.tree().size().height());
        let boxes = texts(&figure);
        assert!(boxes.len() > 3, "{name}");
        for (i, (text, a)) in boxes.iter().enumerate() {
            assert!(
                a.left() >= 0.0 && a.top() >= 0.0 && a.right() <= width && a.bottom() <= height,
                "{name}: {text} leaves"
            );
            for (other, b) in &boxes[i + 1..] {
                let apart =
                    a.right() <= b.left() || b.right() <= a.left() || a.bottom() <= b.top() || b.bottom() <= a.top();
                assert!(apart, "{name}: `{}` overlaps `{}`", text.trim(), other.trim());
            }
        }
    }
}

#[test]
fn formats_are_what_they_claim_to_be() {
    let figure = figure(&shared_pair()).unwrap();
    let png = figure.artifact(FigureFormat::Png).unwrap();
    assert_eq!(png.file_name, "lipschitz.png");
    let decoder = resvg::tiny_skia::Pixmap::decode_png(&png.bytes).unwrap();
    assert_eq!(decoder.width(), 1050, "3.5 inches at 300 dpi");
    assert!(figure.artifact(FigureFormat::Pdf).unwrap().bytes.starts_with(b"%PDF-1."));
    let svg = String::from_utf8(figure.artifact(FigureFormat::Svg).unwrap().bytes).unwrap();
    assert!(!svg.contains("<text") && !svg.contains("font-family"), "text needs a system font");
    assert!(svg.contains("<title>Lipschitz estimate"));
    let read_again = resvg::usvg::Tree::from_str(&svg, &resvg::usvg::Options::default()).unwrap();
    assert!((read_again.size().width() - 336.0).abs() < 0.5, "3.5 inches at 96 dpi");
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    // svg2pdf numbers its resources in the order of a hash map: the same page, but not the same bytes.
    for format in [FigureFormat::Svg, FigureFormat::Png] {
        let draw = || figure(&shared_pair()).unwrap().artifact(format).unwrap();
        assert!(draw() == draw(), "{format:?}");
    }
}

#[test]
fn quantities_and_zeros_are_named() {
    let words = |report: &Report| texts(&figure(report).unwrap()).into_iter().map(|t| t.0).collect::<String>();
    let both = words(&both_quantities());
    assert!(both.contains("DDPM: K") && both.contains("DDPM: D") && both.contains("D(t) = E‖∂ε/∂t‖₂"), "{both}");
    let pair = words(&shared_pair());
    assert!(pair.contains("shared sub-interval") && pair.contains("95 % CI") && pair.contains("(b) near t = 0"));
    assert!(words(&with_means(&[Some(0.0); 9])).contains("exactly 0"));
}

#[test]
fn nothing_to_draw_is_an_error() {
    for report in [report(Vec::new()), with_means(&[]), with_means(&[None, None])] {
        assert!(figure(&report).unwrap_err().to_string().contains("nothing to draw"));
    }
}
