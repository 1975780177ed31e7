//! Suggested sub-intervals as a table for a file and as text for the terminal.

use super::table::{number, one_line, render};
use super::{Cell, Table};
use crate::suggest::{SPLITS, SharedIntervals, Suggestion};

/// All sub-intervals, of the suggestion first.
pub fn intervals_table(suggestion: &Suggestion) -> Table {
    let mut table = Table::new(
        "intervals",
        "Shared sub-intervals and what they cost",
        &[
            ("split", "how [0, t̃) was cut"),
            ("from", "first timestep, the condition of all"),
            ("until", "end, excluded"),
            ("error_bound", "sharing error of ε at any timestep, from above, per element"),
            ("mean_error_bound", "bound of its root mean square over the timesteps, per element"),
            (
                "x0_error_bound",
                "what it does to the predicted x₀, for a network that answers all with the last timestep's ε, per element",
            ),
            ("jump_bound", "estimate from above of the jump of ε at the end, per element"),
            ("typical_jump", "jump of ε at the end between plain means over the timesteps, per element"),
        ],
    );
    for shared in std::iter::once(&suggestion.suggested).chain(&suggestion.others) {
        table.rows.extend(shared.intervals.iter().map(|interval| {
            let numbers = [
                interval.from,
                interval.until,
                interval.error_bound,
                interval.mean_error_bound,
                interval.x0_error_bound,
                interval.jump_bound,
                interval.typical_jump,
            ];
            std::iter::once(Cell::text(shared.split.clone())).chain(numbers.map(Cell::number)).collect()
        }));
    }
    table
}

/// The suggestion in detail, and the largest numbers of all splits side by side.
pub fn suggestion_text(suggestion: &Suggestion, width: u16) -> String {
    let shared = &suggestion.suggested;
    let about = SPLITS.iter().find(|split| split.name == shared.split).map_or("", |split| split.about);
    let n = shared.intervals.len();
    let mut parts = vec![format!(
        "{}: {n} sub-interval{} of {about}, up to t = {}, {}\n{}",
        one_line(&suggestion.model),
        if n == 1 { "" } else { "s" },
        suggestion.until,
        suggestion.why_until,
        detail(shared, width)
    )];
    if let Some(paper) = suggestion.others.iter().find(|other| other.split == "paper") {
        parts.push(format!("the paper's split, for comparison\n{}", detail(paper, width)));
    }
    parts.push(side_by_side(suggestion, width));
    parts.push(
        "Per element: 1 is the size of the noise. ≤ is what a network may add to the one measured, once trained so, from above; \
         ≈ is between plain means over the sub-intervals."
            .into(),
    );
    parts.extend(suggestion.remedy.clone());
    parts.join("\n\n")
}

fn detail(shared: &SharedIntervals, width: u16) -> String {
    let row = |interval: &crate::suggest::Interval| {
        [
            format!("{}…{}", interval.from, interval.until - 1.0),
            number(Some(interval.error_bound)),
            number(Some(interval.mean_error_bound)),
            number(Some(interval.x0_error_bound)),
            number(Some(interval.typical_jump)),
            number(Some(interval.jump_bound)),
        ]
    };
    let rows: Vec<[String; 6]> = shared.intervals.iter().map(row).collect();
    render(&["t", "sharing error ≤", "its rms ≤", "x̂₀ error ≤", "jump at end ≈", "≤"], &rows, width)
}

fn side_by_side(suggestion: &Suggestion, width: u16) -> String {
    let row = |shared: &SharedIntervals| {
        let largest = |of: fn(&crate::suggest::Interval) -> f64| {
            number(Some(shared.intervals.iter().map(of).fold(0.0, f64::max)))
        };
        [
            shared.split.clone(),
            largest(|interval| interval.error_bound),
            largest(|interval| interval.typical_jump),
            largest(|interval| interval.x0_error_bound),
            shared.typed(),
        ]
    };
    let all = std::iter::once(&suggestion.suggested).chain(&suggestion.others);
    let rows: Vec<[String; 5]> = all.map(row).collect();
    let table = render(&["split", "sharing error ≤", "jump ≈", "x̂₀ error ≤", "boundaries"], &rows, width);
    format!("largest numbers by split\n{table}")
}
