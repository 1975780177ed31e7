use super::*;
use crate::report::drawing::text_boxes;
use crate::report::synthetic::{quality, tidy};
use crate::report::{Cell, ChartAxis, FigureFormat, Table};

fn axis(column: &str, label: &str, log: bool) -> ChartAxis {
    ChartAxis { column: column.into(), label: label.into(), log }
}

/// Fréchet distance over NFE, a line per sampler and a panel per model.
fn lines() -> Chart {
    quality().charts.remove(0)
}

/// Fréchet distance by sampler, a dot per model.
fn dots() -> Chart {
    quality().charts.remove(1)
}

fn single_column(name: &str, values: &[(Cell, Cell)]) -> TidyReport {
    let mut table = Table::new("t", "T", &[("x", "x"), ("y", "y")]);
    table.rows = values.iter().map(|(x, y)| vec![x.clone(), y.clone()]).collect();
    let chart = Chart {
        name: name.into(),
        title: name.into(),
        table: "t".into(),
        only: Vec::new(),
        x: axis("x", "x", false),
        y: axis("y", "y", true),
        interval: None,
        series: None,
        panels: None,
    };
    tidy(vec![table], vec![chart])
}

fn numbers(values: impl IntoIterator<Item = (f64, f64)>) -> Vec<(Cell, Cell)> {
    values.into_iter().map(|(x, y)| (Cell::number(x), Cell::number(y))).collect()
}

/// Every chart that must draw something sane.
fn gallery() -> Vec<(&'static str, TidyReport)> {
    let with = |change: &dyn Fn(&mut Chart)| {
        let mut report = quality();
        report.charts.truncate(1);
        change(&mut report.charts[0]);
        report
    };
    let only_dots = |change: &dyn Fn(&mut Chart)| {
        let mut report = quality();
        report.charts.remove(0);
        change(&mut report.charts[0]);
        report
    };
    let dense = (0..200).map(|t| (f64::from(t), 0.02 / (f64::from(t) + 1.0).sqrt()));
    let words = |count: usize, long: &str| -> Vec<(Cell, Cell)> {
        (0..count).map(|i| (Cell::text(format!("{long} {i}")), Cell::number(1.0 + i as f64))).collect()
    };
    vec![
        ("lines", with(&|_| {})),
        ("linear", with(&|c| (c.x.log, c.y.log) = (false, false))),
        ("one-panel", with(&|c| (c.panels, c.only) = (None, vec![("model".into(), Cell::text("E-TSDM"))]))),
        ("repeated-x", with(&|c| (c.panels, c.series) = (None, None))),
        ("sampler-panels", with(&|c| (c.panels, c.series) = (Some("sampler".into()), Some("model".into())))),
        ("dots", only_dots(&|_| {})),
        ("dots-in-panels", only_dots(&|c| c.panels = Some("nfe".into()))),
        ("long-label", only_dots(&|c| c.y.label = "a label that is far too long to stand beside a frame ".repeat(2))),
        ("dense", single_column("dense", &numbers(dense))),
        (
            "jumps",
            single_column("jumps", &numbers((0..200).map(|t| (f64::from(t), if t % 20 == 19 { 2.0 } else { 0.0 })))),
        ),
        ("zeros", single_column("zeros", &numbers([(0.0, 0.0), (1.0, 2.0), (2.0, 0.0), (3.0, 0.5)]))),
        ("negative", single_column("negative", &numbers([(0.0, -1.0), (1.0, -2.0)]))),
        ("one-point", single_column("one-point", &numbers([(3.0, 0.25)]))),
        ("one-zero", single_column("one-zero", &numbers([(0.0, 0.0)]))),
        ("many-words", single_column("many-words", &words(16, "intervals"))),
        ("long-words", single_column("long-words", &words(5, "a-very-long-name-without-spaces/or-a-path"))),
    ]
}

/// Draws the gallery; into a folder to look at, if `LIPSCOPE_FIGURE_GALLERY` names one.
#[test]
fn the_gallery_is_drawn() {
    let dir = std::env::var_os("LIPSCOPE_FIGURE_GALLERY");
    for (name, report) in gallery() {
        let figure = chart(&report, &report.charts[0]).unwrap_or_else(|e| panic!("{name}: {e}"));
        for format in FigureFormat::ALL {
            let artifact = figure.artifact(format).unwrap();
            assert!(artifact.bytes.len() > 1000, "{name}");
            if let Some(dir) = &dir {
                let file = format!("chart-{name}.{}", format.extension());
                std::fs::write(std::path::Path::new(dir).join(file), artifact.bytes).unwrap();
            }
        }
    }
}

#[test]
fn no_text_overlaps_another_or_leaves_the_page() {
    for (name, report) in gallery() {
        let figure = chart(&report, &report.charts[0]).unwrap();
        let (width, height) = (figure.tree().size().width(), figure.tree().size().height());
        let boxes = text_boxes(figure.tree().root());
        assert!(boxes.len() > 3, "{name}");
        for (i, (text, a)) in boxes.iter().enumerate() {
            let inside = a.left() >= 0.0 && a.top() >= 0.0 && a.right() <= width && a.bottom() <= height;
            assert!(inside, "{name}: {text} leaves");
            for (other, b) in &boxes[i + 1..] {
                let apart =
                    a.right() <= b.left() || b.right() <= a.left() || a.bottom() <= b.top() || b.bottom() <= a.top();
                assert!(apart, "{name}: `{}` overlaps `{}`", text.trim(), other.trim());
            }
        }
    }
}

#[test]
fn every_row_is_drawn_once() {
    let report = quality();
    let plot = describe(&report, &lines()).unwrap();
    assert_eq!(plot.spots().count(), report.tables[0].rows.len());
    assert_eq!(plot.series.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["ddim", "dpm-solver-2"]);
    assert_eq!(plot.panels.iter().map(|p| p.caption.as_str()).collect::<Vec<_>>(), ["DDPM", "E-TSDM"]);
    let row = &report.tables[0].rows[0];
    let spot = plot.panels[0].traces[0].spots[0];
    assert_eq!((Some(spot.x), spot.y), (row[2].as_number(), row[3].as_number()));
    assert_eq!(spot.interval, row[4].as_number().zip(row[5].as_number()));
}

#[test]
fn only_rows_that_are_asked_for_are_drawn() {
    let report = quality();
    let plot = describe(&report, &dots()).unwrap();
    assert_eq!(plot.categories, ["ddim", "dpm-solver-2"]);
    assert_eq!(plot.spots().count(), 4);
}

#[test]
fn a_missing_value_breaks_the_line() {
    let mut rows = numbers([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]);
    rows[1].1 = Cell::Missing(());
    let report = single_column("gap", &rows);
    let plot = describe(&report, &report.charts[0]).unwrap();
    assert_eq!(plot.spots().map(|s| s.y).collect::<Vec<_>>(), [Some(1.0), None, Some(3.0)]);
}

#[test]
fn rows_without_a_place_make_no_panel_and_words_without_a_value_no_place() {
    let mut table = Table::new("t", "T", &[("x", "x"), ("y", "y"), ("panel", "panel")]);
    let row = |x: Cell, y: Cell, panel: Cell| vec![x, y, panel];
    let one = Cell::number(1.0);
    table.rows = vec![
        row(Cell::Missing(()), one.clone(), Cell::Missing(())),
        row(Cell::text("base"), Cell::Missing(()), Cell::text("none")),
        row(Cell::text("other"), one.clone(), Cell::text("ddim")),
    ];
    let chart = Chart { panels: Some("panel".into()), ..single_column("c", &[]).charts.remove(0) };
    let report = tidy(vec![table], vec![chart.clone()]);
    let plot = describe(&report, &chart).unwrap();
    assert_eq!((plot.categories.as_slice(), plot.panels.len()), (["other".to_string()].as_slice(), 1));
    assert_eq!(plot.panels[0].caption, "ddim");
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let report = quality();
    let refused = |change: &dyn Fn(&mut Chart)| {
        let mut asked = lines();
        change(&mut asked);
        chart(&report, &asked).unwrap_err().to_string()
    };
    assert!(refused(&|c| c.table = "speed".into()).contains("the table `speed`, which is not there"));
    assert!(refused(&|c| c.y.column = "fid".into()).contains("no column `fid`"));
    assert!(refused(&|c| c.y.column = "model".into()).contains("holds the word `DDPM`"));
    assert!(refused(&|c| c.only = vec![("nfe".into(), Cell::number(7.0))]).contains("nothing to draw"));
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    for format in [FigureFormat::Svg, FigureFormat::Png] {
        let draw = || chart(&quality(), &lines()).unwrap().artifact(format).unwrap();
        assert!(draw() == draw(), "{format:?}");
    }
}
