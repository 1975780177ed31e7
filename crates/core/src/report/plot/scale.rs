//! From values to points on paper, and where the ticks stand.

/// A straight or logarithmic axis: values `lo…hi` onto places `from…to`.
#[derive(Debug, Clone, Copy)]
pub(in crate::report) struct Scale {
    /// Value at `from`.
    pub lo: f64,
    /// Value at `to`.
    pub hi: f64,
    /// Place of `lo` in points.
    pub from: f64,
    /// Place of `hi` in points.
    pub to: f64,
    /// Whether equal ratios are equally long.
    pub log: bool,
}

impl Scale {
    /// Where `value` stands; a value outside stands at the nearer end.
    pub fn at(&self, value: f64) -> f64 {
        let value = value.clamp(self.lo, self.hi);
        let share = if self.log {
            (value.ln() - self.lo.ln()) / (self.hi.ln() - self.lo.ln())
        } else {
            (value - self.lo) / (self.hi - self.lo)
        };
        self.from + share * (self.to - self.from)
    }
}

/// Labelled and unlabelled ticks.
#[derive(Debug, Default)]
pub(in crate::report) struct Ticks {
    /// Value and label.
    pub major: Vec<(f64, String)>,
    /// Values without a label.
    pub minor: Vec<f64>,
}

/// Round numbers on a straight axis, at most about `count`.
pub(in crate::report) fn linear_ticks(lo: f64, hi: f64, count: usize) -> Ticks {
    let step = round_step((hi - lo) / count.max(1) as f64);
    let first = (lo / step - 1e-9).ceil() as i64;
    let last = (hi / step + 1e-9).floor() as i64;
    let label = number_format(step, lo.abs().max(hi.abs()), false);
    let major = (first..=last).map(|k| k as f64 * step).map(|v| (v, label(v))).collect();
    Ticks { major, minor: Vec::new() }
}

/// The smallest of 1, 2, 5 × 10ᵏ that is at least `step`.
fn round_step(step: f64) -> f64 {
    let decade = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0].map(|m| m * decade).into_iter().find(|s| *s >= step * (1.0 - 1e-9)).unwrap_or(10.0 * decade)
}

/// Powers of ten; over less than two decades 1-2-5 steps; over a fraction of one, round numbers.
pub(in crate::report) fn log_ticks(lo: f64, hi: f64) -> Ticks {
    let (first, last) = (lo.log10().ceil() as i32, hi.log10().floor() as i32);
    if hi.log10() - lo.log10() >= 2.0 {
        return decade_ticks(lo, hi, first, last);
    }
    let inside = |mantissas: &[f64]| -> Vec<f64> {
        let all = (first - 1..=last).flat_map(|k| mantissas.iter().map(move |m| power(*m, k)));
        all.filter(|v| (lo..=hi).contains(v)).collect()
    };
    let steps = inside(&[1.0, 2.0, 5.0]);
    if steps.len() < 3 {
        return linear_ticks(lo, hi, 5);
    }
    let label = number_format(lo, hi, true);
    let minor = inside(&[2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    Ticks { major: steps.into_iter().map(|v| (v, label(v))).collect(), minor }
}

fn decade_ticks(lo: f64, hi: f64, first: i32, last: i32) -> Ticks {
    let every = (last - first) / 6 + 1;
    let major = (first..=last).filter(|k| k.rem_euclid(every) == 0).map(|k| (power(1.0, k), superscript_power(k)));
    let mantissas: &[i32] = match last - first {
        0..=6 => &[2, 3, 4, 5, 6, 7, 8, 9],
        7..=30 => &[1],
        _ => &[],
    };
    let minor = (first - 1..=last).flat_map(|k| mantissas.iter().map(move |m| power(f64::from(*m), k)));
    Ticks { major: major.collect(), minor: minor.filter(|v| (lo..=hi).contains(v)).collect() }
}

/// m × 10ᵏ as the nearest float, which `m * 10f64.powi(k)` is not always.
fn power(mantissa: f64, exponent: i32) -> f64 {
    format!("{mantissa}e{exponent}").parse().unwrap_or(f64::NAN)
}

/// `10⁻³`.
fn superscript_power(exponent: i32) -> String {
    let raise = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '0' => '⁰',
        digit => char::from_u32('⁰' as u32 + digit as u32 - '0' as u32).unwrap_or(digit),
    };
    format!("10{}", exponent.to_string().chars().map(raise).collect::<String>())
}

/// How all labels of one axis are printed: resolution `step`, largest value `largest`, with or without zeros at the end.
fn number_format(step: f64, largest: f64, trim: bool) -> impl Fn(f64) -> String {
    let finest = step.log10().floor() as i32;
    let coarsest = if largest > 0.0 { largest.log10().floor() as i32 } else { finest };
    move |value| {
        if finest >= -4 && coarsest < 6 {
            let text = format!("{value:.*}", (-finest).max(0) as usize);
            return if trim { trim_zeros(text) } else { text };
        }
        if value == 0.0 {
            return "0".into();
        }
        let exponent = value.abs().log10().floor() as i32;
        let digits = (exponent - finest).clamp(0, 6) as usize;
        let scientific = format!("{value:.digits$e}");
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let power = superscript_power(exponent.parse().unwrap_or(0));
        let mantissa = if trim { trim_zeros(mantissa.to_string()) } else { mantissa.to_string() };
        if mantissa == "1" { power } else { format!("{mantissa}×{power}") }
    }
}

/// Drops zeros behind the decimal point.
fn trim_zeros(text: String) -> String {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// A value with its interval.
pub(in crate::report) type Ranged = (f64, Option<(f64, f64)>);

/// The range of a logarithmic axis: all values, which are positive, and intervals as far as they do not dwarf them.
pub(in crate::report) fn log_range(values: impl Iterator<Item = Ranged>) -> Option<(f64, f64)> {
    let (mut lo, mut hi) = (f64::INFINITY, 0.0_f64);
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    for (value, interval) in values {
        (lo, hi) = (lo.min(value), hi.max(value));
        if let Some((ci_low, ci_high)) = interval {
            (low, high) = (low.min(ci_low), high.max(ci_high));
        }
    }
    if hi == 0.0 {
        return None;
    }
    // A lower end at or below 0 has no place on the axis, and one far below the values would flatten them.
    let lo = if low > lo / 3.0 { lo.min(low) } else { lo / if low < lo { 3.0 } else { 1.0 } };
    let hi = hi.max(high.min(hi * 3.0));
    let room = (0.06 * (hi / lo).ln()).max(if hi / lo < 1.02 { 0.1 } else { 0.01 }).exp();
    // Below the smallest normal float logarithms lose their digits.
    let lo = (lo / room).max(f64::MIN_POSITIVE);
    Some((lo, (hi * room).min(f64::MAX).max(1.01 * lo)))
}

/// The range of a straight axis: all values with their intervals, from 0 where that is near.
pub(in crate::report) fn linear_range(values: impl Iterator<Item = Ranged>) -> Option<(f64, f64)> {
    let ends = values.flat_map(|(value, interval)| {
        let (low, high) = interval.unwrap_or((value, value));
        [value, low, high]
    });
    let (lo, hi) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    if lo > hi {
        return None;
    }
    let room = if hi > lo { 0.06 * (hi - lo) } else { 0.1 * if hi == 0.0 { 1.0 } else { hi.abs() } };
    let from = if lo >= 0.0 && lo < 0.35 * hi { 0.0 } else { lo - room };
    Some((from, hi + room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_the_values_and_sane_intervals() {
        assert_eq!(log_range([].into_iter()), None);
        let (lo, hi) = log_range([(2.0, None)].into_iter()).unwrap();
        assert!(lo < 1.9 && hi > 2.1);
        let (lo, hi) = log_range([(1.0, Some((-5.0, 100.0)))].into_iter()).unwrap();
        assert!(lo > 0.1 && hi < 10.0);
        let (lo, hi) = log_range([(1.0, Some((0.9, 1.1))), (10.0, None)].into_iter()).unwrap();
        assert!(lo < 0.9 && hi > 10.0 && lo > 0.5 && hi < 20.0);
        assert_eq!(linear_range([].into_iter()), None);
        let (lo, hi) = linear_range([(1.0, Some((0.5, 2.0))), (10.0, None)].into_iter()).unwrap();
        assert!(lo == 0.0 && hi > 10.0 && hi < 11.0);
        let (lo, hi) = linear_range([(-1.0, None), (1.0, None)].into_iter()).unwrap();
        assert!(lo < -1.0 && hi > 1.0);
        let (lo, hi) = linear_range([(0.0, None)].into_iter()).unwrap();
        assert!(lo < hi);
    }

    fn labels(ticks: &Ticks) -> Vec<&str> {
        ticks.major.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn decades_get_powers_of_ten() {
        assert_eq!(labels(&log_ticks(3e-5, 2e-2)), ["10⁻⁴", "10⁻³", "10⁻²"]);
        assert!(labels(&log_ticks(1e-17, 1e3)).len() <= 8);
        assert!(labels(&log_ticks(1e-300, 1e300)).len() <= 8);
    }

    #[test]
    fn less_than_two_decades_get_steps() {
        assert_eq!(labels(&log_ticks(0.0009, 0.025)), ["0.001", "0.002", "0.005", "0.01", "0.02"]);
        assert_eq!(labels(&log_ticks(9e-7, 6e-6)), ["10⁻⁶", "2×10⁻⁶", "5×10⁻⁶"]);
    }

    #[test]
    fn a_narrow_range_gets_distinct_round_numbers() {
        for (lo, hi) in [(0.01234, 0.01237), (4.0, 4.5), (1.1e-12, 1.2e-12), (123456.0, 123460.0)] {
            let ticks = log_ticks(lo, hi);
            let mut seen = labels(&ticks);
            assert!((3..=7).contains(&seen.len()), "{seen:?}");
            seen.dedup();
            assert_eq!(seen.len(), ticks.major.len(), "{seen:?}");
            assert!(ticks.major.iter().all(|(v, _)| (lo * (1.0 - 1e-12)..=hi * (1.0 + 1e-12)).contains(v)));
        }
    }

    #[test]
    fn timesteps_are_whole() {
        assert_eq!(labels(&linear_ticks(0.0, 999.0, 6)), ["0", "200", "400", "600", "800"]);
        assert_eq!(labels(&linear_ticks(0.0, 115.0, 6)), ["0", "20", "40", "60", "80", "100"]);
    }

    #[test]
    fn places_are_proportional() {
        let scale = Scale { lo: 1e-4, hi: 1e-2, from: 100.0, to: 0.0, log: true };
        assert!((scale.at(1e-3) - 50.0).abs() < 1e-9);
        assert_eq!(scale.at(0.0), 100.0);
    }
}
