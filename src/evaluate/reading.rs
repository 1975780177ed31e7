//! What the rows of the table of qualities come to, in words.

use super::row::{DATA, Row, is_distance};

/// The best of all, the best and worst ratio to the baseline, and what the data itself reaches.
pub(super) fn reading(metric: &str, rows: &[Row], baseline: &str) -> Option<String> {
    let mean = |row: &Row| row[8].as_number();
    let mine = || rows.iter().filter(|row| row[4].as_text() == Some(metric) && mean(row).is_some());
    let models = || mine().filter(|row| row[0].as_text() != Some(DATA));
    let order = |a: &&Row, b: &&Row| mean(a).unwrap_or(f64::NAN).total_cmp(&mean(b).unwrap_or(f64::NAN));
    let best = if is_distance(metric) { models().min_by(order) } else { models().max_by(order) }?;
    let mut sentences = vec![format!("{metric}: best {} {} with {}", name(best), way(best), value(best))];
    let ratio = |row: &Row| row[11].as_number();
    let by_ratio = |a: &&Row, b: &&Row| ratio(a).unwrap_or(f64::NAN).total_cmp(&ratio(b).unwrap_or(f64::NAN));
    let compared = || models().filter(|row| ratio(row).is_some());
    if let (Some(low), Some(high)) = (compared().min_by(by_ratio), compared().max_by(by_ratio)) {
        let one = |row: &Row| format!("×{} {} for {} {}", number(ratio(row)), interval(row, 12), name(row), way(row));
        let ends = if low == high { one(low) } else { format!("from {} to {}", one(low), one(high)) };
        sentences.push(format!("over {baseline} {ends}"));
    }
    if let Some(data) = mine().find(|row| row[0].as_text() == Some(DATA)) {
        sentences.push(format!("the data against itself reaches {}", value(data)));
    }
    Some(format!("{}.", sentences.join("; ")))
}

pub(super) fn name(row: &Row) -> &str {
    row[0].as_text().unwrap_or_default()
}

pub(super) fn way(row: &Row) -> String {
    match (row[1].as_text(), row[3].as_number()) {
        (Some(sampler), Some(nfe)) => format!("({sampler} at {nfe})"),
        _ => String::from("(ready samples)"),
    }
}

fn value(row: &Row) -> String {
    format!("{} {}", number(row[8].as_number()), interval(row, 9)).trim_end().to_string()
}

pub(super) fn interval(row: &Row, at: usize) -> String {
    match (row[at].as_number(), row[at + 1].as_number()) {
        (Some(low), Some(high)) => format!("[{}, {}]", number(Some(low)), number(Some(high))),
        _ => String::new(),
    }
}

/// Three significant digits.
pub(super) fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "–".into() };
    if value == 0.0 {
        return "0".into();
    }
    if (1e-3..1e5).contains(&value.abs()) {
        let digits = 2 - value.abs().log10().floor() as i32;
        return format!("{value:.*}", digits.clamp(0, 6) as usize);
    }
    format!("{value:.2e}")
}
