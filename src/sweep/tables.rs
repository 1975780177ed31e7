//! Observations as tables: every seed, and over seeds.

use super::collect::Observation;
use crate::error::Result;
use crate::report::{Cell, Table};
use crate::stats::statistics;

/// Columns that tell observations apart, but for the seed.
const KEYS: [(&str, &str); 7] = [
    ("setting", "name of the setting"),
    ("model", "name of the model"),
    ("source", "the command that gave the number"),
    ("quantity", "what it is, as the command names it"),
    ("sampler", "sampler with its parameters"),
    ("spacing", "spacing of the sampler's steps"),
    ("nfe", "network evaluations per sample"),
];

/// One row per number and seed; curves are left out.
pub fn results_table(observations: &[Observation]) -> Table {
    let columns: Vec<(&str, &str)> = KEYS.into_iter().chain([("seed", "seed"), ("value", "the number")]).collect();
    let mut table = Table::new("results", "Every number of every seed", &columns);
    for observation in observations.iter().filter(|observation| observation.timestep.is_none()) {
        let mut row = keys(observation);
        row.extend([Cell::number(observation.seed as f64), Cell::number(observation.value)]);
        table.rows.push(row);
    }
    table
}

/// Over seeds: means with Student intervals, and the ratio to the model `baseline`, paired by seed.
pub fn summary_table(observations: &[Observation], baseline: &str) -> Table {
    let about = format!("geometric mean over seeds of the ratio to {baseline} with the same seed");
    let columns: Vec<(&str, &str)> = KEYS
        .into_iter()
        .chain([
            ("seeds", "number of seeds"),
            ("mean", "mean over seeds"),
            ("ci_low", "lower end of its 95 % interval (Student)"),
            ("ci_high", "upper end of its 95 % interval (Student)"),
            ("ratio", &about),
            ("ratio_ci_low", "lower end of its 95 % interval (Student, of logarithms)"),
            ("ratio_ci_high", "upper end of its 95 % interval (Student, of logarithms)"),
        ])
        .collect();
    let mut table = Table::new("summary", "Means over seeds, and ratios to the baseline", &columns);
    let numbers: Vec<&Observation> = observations.iter().filter(|one| one.timestep.is_none()).collect();
    for group in groups(&numbers) {
        let mut row = keys(group[0]);
        row.extend(over_seeds(&group));
        let base: Vec<&Observation> =
            numbers.iter().copied().filter(|one| is_baseline(one, group[0], baseline)).collect();
        row.extend(if group[0].model == baseline { vec![Cell::Missing(()); 3] } else { ratio(&base, &group) });
        table.rows.push(row);
    }
    table
}

/// Curves over seeds: one row per setting, model, quantity and timestep.
pub fn curves_table(observations: &[Observation]) -> Table {
    let columns = [
        ("setting", "name of the setting"),
        ("model", "name of the model"),
        ("quantity", "secant: K(t, t+1); derivative: D(t); perturbed x or t: change of the predicted x₀"),
        ("size", "of the perturbation: standard deviation per element of x, or steps of t"),
        ("timestep", "t in steps"),
        ("noise_steps", "t + 1, the steps of noise from the clean sample on"),
        ("seeds", "number of seeds"),
        ("mean", "mean over seeds of a seed's mean"),
        ("ci_low", "lower end of its 95 % interval over seeds (Student)"),
        ("ci_high", "upper end of its 95 % interval over seeds (Student)"),
    ];
    let mut table = Table::new("curves", "Curves over timesteps, means over seeds", &columns);
    let points: Vec<&Observation> = observations.iter().filter(|one| one.timestep.is_some()).collect();
    for group in groups(&points) {
        let first = group[0];
        let mut row = vec![setting(first), Cell::text(&first.model), Cell::text(&first.quantity)];
        row.extend([
            Cell::optional(first.size),
            Cell::optional(first.timestep),
            Cell::optional(first.timestep.map(|t| t + 1.0)),
        ]);
        row.extend(over_seeds(&group));
        table.rows.push(row);
    }
    table
}

/// Ratios to the baseline in words, for the quantities in `headlines`: a line per model, setting and sampler.
///
/// # Errors
///
/// The table is no [`summary_table`].
pub fn reading(summary: &Table, baseline: &str, headlines: &[String]) -> Result<Vec<String>> {
    let columns = ["setting", "model", "quantity", "sampler", "nfe", "seeds", "ratio", "ratio_ci_low", "ratio_ci_high"];
    let columns: Vec<usize> = columns.iter().map(|name| summary.column(name)).collect::<Result<_>>()?;
    let [setting, model, quantity, sampler, nfe, seeds, ratio, low, high] = columns[..] else { return Ok(Vec::new()) };
    let several = summary.rows.iter().any(|row| row[setting] != summary.rows[0][setting]);
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for headline in headlines {
        for row in summary.rows.iter().filter(|row| row[quantity].as_text() == Some(headline)) {
            let Some(value) = row[ratio].as_number() else { continue };
            let word = |column: usize| row[column].as_text().map(str::to_string);
            let place = [word(setting).filter(|_| several), word(sampler)].into_iter().flatten();
            let place = place.fold(headline.clone(), |so_far, word| so_far + ", " + &word);
            let seeds = row[seeds].as_number().unwrap_or(0.0);
            let head = format!("{place}: {} over {baseline}, {seeds} seeds:", word(model).unwrap_or_default());
            let interval = match (row[low].as_number(), row[high].as_number()) {
                (Some(low), Some(high)) => format!(" [{low:.3}, {high:.3}]"),
                _ => String::new(),
            };
            let at = row[nfe].as_number().map(|nfe| format!(" at {nfe} evaluations")).unwrap_or_default();
            let found = format!("{value:.3}{interval}{at}");
            match lines.iter_mut().find(|line| line.0 == head) {
                Some(line) => line.1.push(found),
                None => lines.push((head, vec![found])),
            }
        }
    }
    Ok(lines.into_iter().map(|(head, found)| format!("{head} {}.", found.join(", "))).collect())
}

/// A plan without settings has one without a name.
fn setting(one: &Observation) -> Cell {
    if one.setting.is_empty() { Cell::Missing(()) } else { Cell::text(&one.setting) }
}

fn keys(one: &Observation) -> Vec<Cell> {
    let word = |word: &Option<String>| word.as_ref().map_or(Cell::Missing(()), Cell::text);
    vec![
        setting(one),
        Cell::text(&one.model),
        Cell::text(&one.source),
        Cell::text(&one.quantity),
        word(&one.sampler),
        word(&one.spacing),
        Cell::optional(one.nfe),
    ]
}

/// Those that differ by their seed only, in the order of their first ones.
fn groups<'a>(all: &[&'a Observation]) -> Vec<Vec<&'a Observation>> {
    let mut order: Vec<Vec<&Observation>> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for &one in all {
        let key = (&one.setting, &one.model, &one.source, &one.quantity, &one.sampler, &one.spacing);
        let key = (key, one.nfe.map(f64::to_bits), one.timestep.map(f64::to_bits), one.size.map(f64::to_bits));
        let place = *places.entry(key).or_insert(order.len());
        match order.get_mut(place) {
            Some(group) => group.push(one),
            None => order.push(vec![one]),
        }
    }
    order
}

/// Number of seeds, mean, interval.
fn over_seeds(group: &[&Observation]) -> [Cell; 4] {
    let s = statistics(&group.iter().map(|one| one.value).collect::<Vec<f64>>());
    let (low, high) = (s.interval.map(|i| i.0), s.interval.map(|i| i.1));
    [Cell::number(s.samples as f64), Cell::optional(s.mean), Cell::optional(low), Cell::optional(high)]
}

fn is_baseline(one: &Observation, like: &Observation, baseline: &str) -> bool {
    let place = |one: &Observation| {
        (
            one.setting.clone(),
            one.source.clone(),
            one.quantity.clone(),
            one.sampler.clone(),
            one.spacing.clone(),
            one.nfe,
        )
    };
    one.model == baseline && place(one) == place(like)
}

/// exp of the mean of ln(candidate/baseline) over seeds that both have, with its interval.
fn ratio(baseline: &[&Observation], group: &[&Observation]) -> Vec<Cell> {
    let of_seed = |seed: u64| baseline.iter().find(|one| one.seed == seed).map(|one| one.value);
    let pair = |one: &&Observation| Some(one.value / of_seed(one.seed)?).filter(|ratio| *ratio > 0.0).map(f64::ln);
    let s = statistics(&group.iter().filter_map(pair).collect::<Vec<f64>>());
    let cell = |logarithm: Option<f64>| Cell::optional(logarithm.map(f64::exp));
    vec![cell(s.mean), cell(s.interval.map(|i| i.0)), cell(s.interval.map(|i| i.1))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(model: &str, seed: u64, nfe: Option<f64>, timestep: Option<f64>, value: f64) -> Observation {
        Observation {
            setting: "linear".into(),
            model: model.into(),
            source: "evaluate".into(),
            quantity: "frechet".into(),
            sampler: Some("ddim".into()),
            spacing: None,
            nfe,
            timestep,
            size: None,
            seed,
            value,
        }
    }

    #[test]
    fn seeds_are_averaged_and_paired() {
        let mut all = Vec::new();
        for (seed, base) in [(0, 2.0), (1, 4.0), (2, 8.0)] {
            all.push(one("DDPM", seed, Some(10.0), None, base));
            all.push(one("E-TSDM", seed, Some(10.0), None, base / 2.0));
        }
        all.push(one("E-TSDM", 0, Some(20.0), None, 1.0));
        let table = summary_table(&all, "DDPM");
        let number = |row: usize, name: &str| table.rows[row][table.column(name).unwrap()].as_number();
        assert_eq!((table.rows.len(), number(0, "seeds"), number(0, "ratio")), (3, Some(3.0), None));
        assert!((number(0, "mean").unwrap() - 14.0 / 3.0).abs() < 1e-12);
        // Every pair has the ratio 1/2, so the interval has no width.
        for name in ["ratio", "ratio_ci_low", "ratio_ci_high"] {
            assert!((number(1, name).unwrap() - 0.5).abs() < 1e-12);
        }
        let said = reading(&table, "DDPM", &["frechet".to_string()]).unwrap();
        assert_eq!(said, ["frechet, ddim: E-TSDM over DDPM, 3 seeds: 0.500 [0.500, 0.500] at 10 evaluations."]);
        // No baseline at 20 evaluations.
        assert_eq!((number(2, "mean"), number(2, "ci_low"), number(2, "ratio")), (Some(1.0), None, None));
        assert_eq!(results_table(&all).rows.len(), 7);
    }

    #[test]
    fn curves_have_a_table_of_their_own() {
        let all = [one("DDPM", 0, None, Some(3.0), 1.0), one("DDPM", 1, None, Some(3.0), 3.0)];
        let table = curves_table(&all);
        assert_eq!((table.rows.len(), results_table(&all).rows.len()), (1, 0));
        assert_eq!(table.rows[0][table.column("mean").unwrap()].as_number(), Some(2.0));
    }
}
