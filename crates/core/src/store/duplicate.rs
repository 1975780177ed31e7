//! Units that were done twice: by a task that was started again, or beside one that was thought dead. Equal bits are one
//! unit; numbers of like magnitude differ by rounding, and the first by name of its part counts; others are an error.

use super::Unit;
use crate::tensor_file::{Array, Dtype};
use serde_json::Value;

/// The largest difference, relative to the largest number beside it, that is rounding: between devices float32 sums differ
/// by some 1e-6, and differences of them over one timestep by some 1e-5.
pub(super) const ROUNDING: f64 = 1e-4;

/// What may differ between two runs of the same thing.
const TIMES: [&str; 5] = ["seconds", "wall_seconds", "smaller_batch", "batch", "began"];

/// Set in [`Unit::about`] where the last entry of each of its `rows` is a time.
pub const TIMED_ROWS: &str = "timed_rows";

/// How far two accounts of one unit differ, relative to their largest numbers; 0 for equal bits, ∞ where they are not of the
/// same shape or kind.
pub(super) fn distance(a: &Unit, b: &Unit) -> f64 {
    if a.arrays.len() != b.arrays.len() {
        return f64::INFINITY;
    }
    let arrays = a.arrays.iter().zip(&b.arrays);
    let of_arrays = arrays.map(|((a_name, a), (b_name, b))| match a_name == b_name && a.shape() == b.shape() {
        true => of_arrays(a, b),
        false => f64::INFINITY,
    });
    of_arrays.fold(of_values(&without_times(&a.about), &without_times(&b.about)), f64::max)
}

/// An account without the times of its rows.
fn without_times(about: &Value) -> Value {
    let mut about = about.clone();
    if about.get(TIMED_ROWS).is_some_and(|timed| timed == true) {
        let rows = about.get_mut("rows").and_then(Value::as_array_mut).into_iter().flatten();
        rows.filter_map(Value::as_array_mut).for_each(|row| drop(row.pop()));
    }
    about
}

fn of_arrays(a: &Array, b: &Array) -> f64 {
    if a.dtype() != b.dtype() {
        return f64::INFINITY;
    }
    if a.bytes() == b.bytes() {
        return 0.0;
    }
    let (a, b) = (numbers(a), numbers(b));
    let largest = a.iter().chain(&b).filter(|x| x.is_finite()).fold(0.0, |most: f64, x| most.max(x.abs()));
    a.iter().zip(&b).map(|(a, b)| between(*a, *b, largest)).fold(0.0, f64::max)
}

fn numbers(array: &Array) -> Vec<f64> {
    match array.dtype() {
        Dtype::F64 => array.bytes().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
        _ => array.bytes().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect(),
    }
}

fn between(a: f64, b: f64, scale: f64) -> f64 {
    if a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) {
        return 0.0;
    }
    let distance = (a - b).abs() / scale.max(f64::MIN_POSITIVE);
    if distance.is_nan() { f64::INFINITY } else { distance }
}

/// The same of counts, words and rows.
fn of_values(a: &Value, b: &Value) -> f64 {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let compared = |key: &&String| !TIMES.contains(&key.as_str());
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).filter(compared);
            keys.map(|key| match (a.get(key), b.get(key)) {
                (Some(a), Some(b)) => of_values(a, b),
                _ => f64::INFINITY,
            })
            .fold(0.0, f64::max)
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).map(|(a, b)| of_values(a, b)).fold(0.0, f64::max)
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            between(a, b, a.abs().max(b.abs()))
        }
        (a, b) => {
            if a == b {
                0.0
            } else {
                f64::INFINITY
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{array, array_f32};
    use super::*;
    use serde_json::json;

    fn unit(numbers: &[f64], about: Value) -> Unit {
        Unit::new("points", "0", about).with("norms", array(&[numbers.len()], numbers).unwrap())
    }

    #[test]
    fn equal_bits_and_other_times_are_no_difference() {
        let (a, b) = (json!({"count": 3, "wall_seconds": 1.0}), json!({"count": 3, "wall_seconds": 2.0}));
        assert_eq!(distance(&unit(&[1.0, f64::NAN], a), &unit(&[1.0, f64::NAN], b)), 0.0);
    }

    #[test]
    fn rounding_is_told_by_its_size_from_other_numbers() {
        let of = |a: &[f64], b: &[f64]| distance(&unit(a, json!({})), &unit(b, json!({})));
        let small = of(&[100.0, 1e-9], &[100.0001, 2e-9]);
        assert!(small > 0.0 && small < ROUNDING, "{small}");
        assert!(of(&[1.0], &[1.01]) > ROUNDING && of(&[1.0], &[f64::NAN]) > ROUNDING);
        assert_eq!(of(&[1.0], &[1.0, 2.0]), f64::INFINITY);
        assert_eq!(distance(&unit(&[1.0], json!({"count": 3})), &unit(&[1.0], json!({}))), f64::INFINITY);
        let single = Unit::new("points", "0", json!({})).with("norms", array_f32(&[1], &[1.0]).unwrap());
        assert_eq!(distance(&unit(&[1.0], json!({})), &single), f64::INFINITY, "another dtype");
    }

    #[test]
    fn rows_of_tables_are_compared_by_their_numbers() {
        let row = |fid: f64, seconds: f64| json!({"rows": [["fid", fid, seconds]], "timed_rows": true});
        let of = |a: Value, b: Value| distance(&unit(&[], a), &unit(&[], b));
        assert_eq!(of(row(1.0, 1.0), row(1.0, 2.0)), 0.0);
        assert!(of(row(1.0, 1.0), row(1.00001, 1.0)) < ROUNDING);
        assert!(of(row(1.0, 1.0), row(2.0, 1.0)) > ROUNDING);
    }
}
