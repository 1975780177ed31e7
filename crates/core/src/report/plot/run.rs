//! From the points of a trace to what can be drawn: lines, stems at jumps, and stretches that have no place on the axis.

use super::Spot;

/// A value with its interval, or a place interpolated at the edge of a panel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mean {
    /// Place on the x axis.
    pub x: f64,
    /// A value that the axis can show.
    pub value: f64,
    /// 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// `false` at the edge of a panel.
    pub measured: bool,
}

/// A stretch of one trace.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Run {
    /// Values, joined by a line.
    Line(Vec<Mean>),
    /// A jump: one value that rises from zeros.
    Stem(Mean),
    /// Places of values that a logarithmic axis cannot show.
    Off(Vec<f64>),
}

impl Run {
    /// The part within `lo…hi`; a line is cut where it crosses the edge of a logarithmic axis.
    pub fn within(&self, (lo, hi): (f64, f64)) -> Option<Run> {
        let inside = |x: f64| (lo..=hi).contains(&x);
        match self {
            Run::Stem(mean) => inside(mean.x).then(|| self.clone()),
            Run::Off(all) => {
                let seen: Vec<f64> = all.iter().copied().filter(|x| inside(*x)).collect();
                (!seen.is_empty()).then_some(Run::Off(seen))
            }
            Run::Line(means) => {
                let seen = cut(means, lo, hi);
                (!seen.is_empty()).then_some(Run::Line(seen))
            }
        }
    }

    /// The values that the axis can show.
    pub fn means(&self) -> &[Mean] {
        match self {
            Run::Line(means) => means,
            Run::Stem(mean) => std::slice::from_ref(mean),
            Run::Off(_) => &[],
        }
    }

    /// The places that were measured.
    pub fn places(&self) -> Vec<f64> {
        match self {
            Run::Off(all) => all.clone(),
            other => other.means().iter().filter(|m| m.measured).map(|m| m.x).collect(),
        }
    }
}

/// The runs of points by ascending x; a missing value breaks them.
pub(super) fn runs(spots: &[Spot], log: bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut joined = false;
    for spot in spots {
        let Some(value) = spot.y else {
            joined = false;
            continue;
        };
        let off = log && value <= 0.0;
        let stem = log && !off && spot.jump;
        let mean = Mean { x: spot.x, value, interval: spot.interval, measured: true };
        match runs.last_mut() {
            Some(Run::Off(all)) if joined && off => all.push(spot.x),
            Some(Run::Line(all)) if joined && !off && !stem => all.push(mean),
            _ if off => runs.push(Run::Off(vec![spot.x])),
            _ if stem => runs.push(Run::Stem(mean)),
            _ => runs.push(Run::Line(vec![mean])),
        }
        joined = true;
    }
    runs
}

fn cut(means: &[Mean], lo: f64, hi: f64) -> Vec<Mean> {
    let mut seen = Vec::new();
    for (i, mean) in means.iter().enumerate() {
        if let Some(before) = i.checked_sub(1).map(|j| &means[j]) {
            let crossed = [lo, hi].into_iter().filter(|edge| before.x < *edge && *edge < mean.x);
            seen.extend(crossed.map(|edge| between(before, mean, edge)));
        }
        if (lo..=hi).contains(&mean.x) {
            seen.push(*mean);
        }
    }
    seen
}

/// The place at `x` on the line from `a` to `b` as a logarithmic axis shows it.
fn between(a: &Mean, b: &Mean, x: f64) -> Mean {
    let share = (x - a.x) / (b.x - a.x);
    let mix = |x: f64, y: f64| (x.ln() * (1.0 - share) + y.ln() * share).exp();
    let interval = match (a.interval, b.interval) {
        (Some(p), Some(q)) if p.0 > 0.0 && q.0 > 0.0 => Some((mix(p.0, q.0), mix(p.1, q.1))),
        _ => None,
    };
    Mean { x, value: mix(a.value, b.value), interval, measured: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{figure, synthetic};

    fn all(report: &crate::report::Report) -> Vec<Vec<Run>> {
        figure::describe(report).unwrap().panels[0].traces.iter().map(|trace| runs(&trace.spots, true)).collect()
    }

    #[test]
    fn shared_intervals_are_zeros_between_stems() {
        let all = all(&synthetic::shared_pair());
        let kind = |run: &Run| match run {
            Run::Off(_) => '0',
            Run::Stem(_) => 'j',
            Run::Line(_) => '-',
        };
        let kinds: String = all[1].iter().map(kind).collect();
        assert_eq!(kinds, "0j0j0j0j0j-");
        assert_eq!(all[1][1].places(), [19.0]);
        assert_eq!(all[0].len(), 1);
    }

    #[test]
    fn no_point_is_dropped() {
        let report = synthetic::shared_pair();
        for (runs, model) in all(&report).iter().zip(&report.models) {
            let drawn: Vec<f64> = runs.iter().flat_map(Run::places).collect();
            let measured: Vec<f64> = model.curves[0].points.iter().map(|p| p.timestep).collect();
            assert_eq!(drawn, measured);
        }
    }

    #[test]
    fn a_missing_value_breaks_the_line() {
        let mut report = synthetic::ddpm();
        report.models[0].curves[0].points[5].mean = None;
        assert_eq!(all(&report)[0].len(), 2);
    }

    #[test]
    fn lines_are_cut_at_the_edge() {
        let at = |x: f64, value: f64| Mean { x, value, interval: None, measured: true };
        let run = Run::Line(vec![at(0.0, 1.0), at(10.0, 100.0)]).within((5.0, 20.0)).unwrap();
        assert_eq!(run.means().len(), 2);
        assert!((run.means()[0].value - 10.0).abs() < 1e-9);
        assert!(!run.means()[0].measured);
    }
}
