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
