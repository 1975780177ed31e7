//! `curve.csv`, `comparison.csv` and `rounding.csv`: one row per model, quantity and timestep, for anything that reads
//! tables.
//!
//! A missing value is an empty cell. Floats are written with the shortest digits that read back to the same bits.

use super::{Artifact, ComparisonRow, Curve, MeanSquare, ModelReport, Point, Report, Rounding, RoundingRow};
use crate::error::{Error, Result};
use polars::prelude::{Column, CsvWriter, DataFrame, NamedFrom, PolarsError, SerWriter, Series};

/// The column of the blocks, the last: empty for an output that is one.
pub(crate) const BLOCK: &str = "block";

/// `curve.csv`: every point of every curve.
///
/// # Errors
/// [`Error::Mismatch`] when polars refuses the table, which would be a fault of this program.
pub fn curve_csv(report: &Report) -> Result<Artifact> {
    write("curve.csv", &mut curve_frame(report)?)
}

/// What stands in `curve.csv`.
pub(super) fn curve_frame(report: &Report) -> Result<DataFrame> {
    let rows = curve_rows(report);
    let text = |name: &str, of: fn(&CurveRow) -> String| column(name, rows.iter().map(of).collect::<Vec<String>>());
    let float =
        |name: &str, of: fn(&Point) -> Option<f64>| floats(name, rows.iter().map(|row| of(&row.point)).collect());
    let count =
        |name: &str, of: fn(&Point) -> u64| column(name, rows.iter().map(|row| of(&row.point)).collect::<Vec<u64>>());
    let columns = vec![
        text("model", |row| row.model.label.clone()),
        text("quantity", |row| row.quantity.clone()),
        text("estimator", |row| row.curve.estimator.name().to_string()),
        steps("timestep", rows.iter().map(|row| Some(row.point.timestep)).collect()),
        steps("t_next", rows.iter().map(|row| row.point.t_next).collect()),
        float("alpha", |p| p.alpha),
        float("sigma", |p| p.sigma),
        float("log_snr", |p| p.log_snr),
        count("samples", |p| p.samples),
        float("mean", |p| p.mean),
        float("std_error", |p| p.std_error),
        float("ci_low", |p| p.ci_low),
        float("ci_high", |p| p.ci_high),
        float("p05", |p| p.p05),
        float("p50", |p| p.p50),
        float("p95", |p| p.p95),
        float("max", |p| p.max),
        count("non_finite", |p| p.non_finite),
        column(BLOCK, rows.iter().map(|row| row.curve.block.clone()).collect::<Vec<Option<String>>>()),
    ];
    frame("curve.csv", columns)
}

/// A row of `curve.csv`.
struct CurveRow<'a> {
    model: &'a ModelReport,
    curve: &'a Curve,
    quantity: String,
    point: Point,
}

/// Every point of every curve; behind a curve of sizes its mean squares, and these per element.
fn curve_rows(report: &Report) -> Vec<CurveRow<'_>> {
    let mut rows = Vec::new();
    for (model, curve) in report.models.iter().flat_map(|model| model.curves.iter().map(move |curve| (model, curve))) {
        let mut add = |quantity: String, of: &dyn Fn(&Point) -> Option<Point>| {
            let points = curve.points.iter().filter_map(of);
            rows.extend(points.map(|point| CurveRow { model, curve, quantity: quantity.clone(), point }));
        };
        add(curve.quantity.listed(curve.of), &|point| Some(point.clone()));
        let of = if curve.of.is_epsilon() { String::new() } else { format!(" of {}", curve.of) };
        add(format!("mean-square{of}"), &|point| squared(point, |_| 1.0));
        add(format!("mean-square-per-element{of}"), &|point| squared(point, |square| square.per_element / square.mean));
    }
    rows
}

/// The square of a size, times a factor; the quantiles stand with the size. `None` where there is no square.
fn squared(point: &Point, factor: impl Fn(&MeanSquare) -> f64) -> Option<Point> {
    let square = point.mean_square?;
    let factor = factor(&square);
    let times = |value: Option<f64>| value.map(|value| value * factor);
    Some(Point {
        mean: Some(square.mean * factor),
        std_error: times(square.std_error),
        ci_low: times(square.ci_low),
        ci_high: times(square.ci_high),
        p05: None,
        p50: None,
        p95: None,
        max: None,
        ..point.clone()
    })
}

/// `comparison.csv`: candidates against the baseline, with paired ratios.
///
/// # Errors
/// As [`curve_csv`].
pub fn comparison_csv(report: &Report) -> Result<Artifact> {
    write("comparison.csv", &mut comparison_frame(report)?)
}

/// What stands in `comparison.csv`.
pub(super) fn comparison_frame(report: &Report) -> Result<DataFrame> {
    let rows = &report.comparison;
    let text =
        |name: &str, of: fn(&ComparisonRow) -> String| column(name, rows.iter().map(of).collect::<Vec<String>>());
    let float = |name: &str, of: fn(&ComparisonRow) -> Option<f64>| floats(name, rows.iter().map(of).collect());
    let columns = vec![
        text("model", |r| r.model.clone()),
        steps("timestep", rows.iter().map(|r| Some(r.timestep)).collect()),
        steps("t_next", rows.iter().map(|r| r.t_next).collect()),
        text("quantity", |r| r.quantity.listed(r.of)),
        float("baseline", |r| r.baseline),
        float("candidate", |r| r.candidate),
        float("ratio", |r| r.ratio),
        float("ratio_ci_low", |r| r.ratio_ci_low),
        float("ratio_ci_high", |r| r.ratio_ci_high),
        column(BLOCK, rows.iter().map(|r| r.block.clone()).collect::<Vec<Option<String>>>()),
    ];
    frame("comparison.csv", columns)
}

/// `rounding.csv`: how much is rounding, by the dtypes of network and time embedding.
///
/// # Errors
/// As [`curve_csv`].
pub fn rounding_csv(rounding: &Rounding) -> Result<Artifact> {
    write("rounding.csv", &mut rounding_frame(rounding)?)
}

/// What stands in `rounding.csv`.
pub(super) fn rounding_frame(rounding: &Rounding) -> Result<DataFrame> {
    let rows = &rounding.rows;
    let text = |name: &str, of: fn(&RoundingRow) -> &str| {
        column(name, rows.iter().map(|row| of(row).to_string()).collect::<Vec<String>>())
    };
    let float = |name: &str, of: fn(&RoundingRow) -> Option<f64>| floats(name, rows.iter().map(of).collect());
    let columns = vec![
        column("model", vec![rounding.model.clone(); rows.len()]),
        text("quantity", |r| r.quantity.name()),
        text("network_dtype", |r| &r.network_dtype),
        text("time_embedding_dtype", |r| &r.time_embedding_dtype),
        steps("timestep", rows.iter().map(|r| Some(r.timestep)).collect()),
        column("samples", rows.iter().map(|r| r.samples).collect::<Vec<u64>>()),
        float("median_relative_error", |r| r.median_relative_error),
        float("max_relative_error", |r| r.max_relative_error),
        float("mean_norm_relative_error", |r| r.mean_norm_relative_error),
    ];
    frame("rounding.csv", columns)
}

pub(super) fn column<T>(name: &str, values: Vec<T>) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    Series::new(name.into(), values).into()
}

/// What is NaN or infinite is counted in `non_finite`, and here it is missing.
pub(super) fn floats(name: &str, values: Vec<Option<f64>>) -> Column {
    let finite: Vec<Option<f64>> = values.into_iter().map(|v| v.filter(|v| v.is_finite())).collect();
    Series::new(name.into(), finite).into()
}

/// Timesteps: whole numbers as such, unless one of them is not whole.
pub(super) fn steps(name: &str, values: Vec<Option<f64>>) -> Column {
    // Up to 2⁵³ every whole float is an integer without loss.
    let whole = |v: &f64| v.fract() == 0.0 && v.abs() < 9.0e15;
    if values.iter().flatten().all(whole) {
        let integers: Vec<Option<i64>> = values.into_iter().map(|v| v.map(|v| v as i64)).collect();
        return Series::new(name.into(), integers).into();
    }
    floats(name, values)
}

/// A CSV file with a header.
pub(super) fn write(file_name: &str, frame: &mut DataFrame) -> Result<Artifact> {
    let mut bytes = Vec::new();
    CsvWriter::new(&mut bytes).include_header(true).finish(frame).map_err(|e| failed(file_name, &e))?;
    Ok(Artifact::new(file_name, bytes))
}

/// Columns side by side, for `file_name`.
pub(super) fn frame(file_name: &str, columns: Vec<Column>) -> Result<DataFrame> {
    DataFrame::new_infer_height(columns).map_err(|e| failed(file_name, &e))
}

pub(super) fn failed(file_name: &str, e: &PolarsError) -> Error {
    let problem = format!("{file_name} cannot be written ({e})");
    Error::mismatch(problem, "Please report this together with report.json.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    /// A plain RFC 4180 reader, so that the test does not trust the writer's own library.
    fn parse(artifact: &Artifact) -> Vec<Vec<String>> {
        let text = String::from_utf8(artifact.bytes.clone()).unwrap();
        let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut cell)),
                '\n' if !quoted => {
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                c => cell.push(c),
            }
        }
        rows
    }

    #[test]
    fn the_header_is_the_contract() {
        let header = |a: Artifact| String::from_utf8(a.bytes).unwrap().lines().next().unwrap().to_string();
        let empty = synthetic::report(Vec::new());
        for report in [&empty, &synthetic::shared_pair()] {
            assert_eq!(
                header(curve_csv(report).unwrap()),
                "model,quantity,estimator,timestep,t_next,alpha,sigma,log_snr,samples,mean,std_error,ci_low,ci_high,p05,p50,p95,max,non_finite,block"
            );
            assert_eq!(
                header(comparison_csv(report).unwrap()),
                "model,timestep,t_next,quantity,baseline,candidate,ratio,ratio_ci_low,ratio_ci_high,block"
            );
        }
    }

    #[test]
    fn floats_come_back_bit_for_bit() {
        let values =
            [1e-17, 7.696775122738098e-03, 5e-324, f64::MAX, 0.1 + 0.2, 1.0, 0.0, 1e16, 123456789.12345679, 1e-5];
        let report = synthetic::with_means(&values.map(Some));
        let rows = parse(&curve_csv(&report).unwrap());
        for (row, value) in rows[1..].iter().zip(values) {
            let read: f64 = row[9].parse().unwrap();
            assert_eq!(read.to_bits(), value.to_bits(), "{} is not {value:e}", row[9]);
        }
    }

    #[test]
    fn every_point_of_a_real_curve_comes_back() {
        let report = synthetic::shared_pair();
        let rows = parse(&curve_csv(&report).unwrap());
        let points: Vec<&Point> = report.models.iter().flat_map(|m| &m.curves[0].points).collect();
        assert_eq!(rows.len(), points.len() + 1);
        for (row, point) in rows[1..].iter().zip(points) {
            assert_eq!(row[3], point.timestep.to_string());
            assert_eq!(row[9].parse::<f64>().ok(), point.mean);
            assert_eq!(row[7].parse::<f64>().ok(), point.log_snr);
        }
    }

    #[test]
    fn missing_values_are_empty_and_labels_quoted() {
        let mut report = synthetic::with_means(&[None, Some(f64::NAN)]);
        report.models[0].label = "a, \"b\"\nc".into();
        let rows = parse(&curve_csv(&report).unwrap());
        assert_eq!(rows.len(), 3);
        for (t, row) in rows[1..].iter().enumerate() {
            assert_eq!(row.len(), 19);
            assert_eq!(row[0], "a, \"b\"\nc");
            assert_eq!(row[3], t.to_string());
            assert!(row[9..=16].iter().all(String::is_empty), "{row:?}");
            assert_eq!((row[17].as_str(), row[18].as_str()), ("0", ""));
        }
    }

    #[test]
    fn steps_may_be_fractions_and_derivatives_have_no_next() {
        let mut report = synthetic::with_means(&[Some(1.0); 2]);
        let points = &mut report.models[0].curves[0].points;
        (points[1].timestep, points[0].t_next, points[1].t_next) = (0.25, None, None);
        let rows = parse(&curve_csv(&report).unwrap());
        assert_eq!((rows[2][3].as_str(), rows[2][4].as_str()), ("0.25", ""));
    }

    #[test]
    fn a_ratio_over_zero_is_empty() {
        let mut report = synthetic::shared_pair();
        report.comparison[0].ratio = None;
        let rows = parse(&comparison_csv(&report).unwrap());
        assert_eq!(rows.len(), report.comparison.len() + 1);
        assert_eq!((rows[1][0].as_str(), rows[1][6].as_str()), ("E-TSDM", ""));
        assert_eq!(rows[2][1], "1");
    }
}
