//! Whether numbers are close to those expected.
//!
//! `f64::max` returns the other argument where one is NaN, so a maximum folded with it passes where everything is NaN.
//! Here both sides must have one shape, hold at least one number, and hold finite numbers only. A tolerance comes with
//! the reason for its size, which a failure shows beside the index and both values.
#![allow(dead_code)]

use std::fmt::Display;

/// Numbers in a shape.
pub trait Numbers {
    fn numbers(&self) -> Vec<f64>;

    fn shape(&self) -> Vec<i64>;
}

impl<T: Copy + Into<f64>> Numbers for [T] {
    fn numbers(&self) -> Vec<f64> {
        self.iter().map(|&value| value.into()).collect()
    }

    fn shape(&self) -> Vec<i64> {
        vec![self.len() as i64]
    }
}

impl<T: Copy + Into<f64>> Numbers for Vec<T> {
    fn numbers(&self) -> Vec<f64> {
        self.as_slice().numbers()
    }

    fn shape(&self) -> Vec<i64> {
        self.as_slice().shape()
    }
}

impl<T: Copy + Into<f64>, const N: usize> Numbers for [T; N] {
    fn numbers(&self) -> Vec<f64> {
        self.as_slice().numbers()
    }

    fn shape(&self) -> Vec<i64> {
        self.as_slice().shape()
    }
}

#[derive(Debug, Clone, Copy)]
enum Scale {
    One,
    LargestExpected,
    EachExpected,
}

/// How large |Δ| may be, and why not smaller.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    size: f64,
    scale: Scale,
    reason: &'static str,
}

impl Tolerance {
    /// |Δ| ≤ `size`.
    pub fn absolute(size: f64, reason: &'static str) -> Self {
        Tolerance { size, scale: Scale::One, reason }
    }

    /// |Δ| ≤ `size` · max |expected|. Expected numbers that are all 0 have no scale, and are a failure.
    pub fn of_largest(size: f64, reason: &'static str) -> Self {
        Tolerance { size, scale: Scale::LargestExpected, reason }
    }

    /// |Δᵢ| ≤ `size` · |expectedᵢ|.
    pub fn of_each(size: f64, reason: &'static str) -> Self {
        Tolerance { size, scale: Scale::EachExpected, reason }
    }
}

/// Both sides' numbers.
fn pairs<A: Numbers + ?Sized, B: Numbers + ?Sized>(found: &A, expected: &B) -> Result<Vec<(f64, f64)>, String> {
    if found.shape() != expected.shape() {
        return Err(format!("the shape is {:?}, not {:?}", found.shape(), expected.shape()));
    }
    let pairs: Vec<(f64, f64)> = found.numbers().into_iter().zip(expected.numbers()).collect();
    if let Some(i) = pairs.iter().position(|(a, b)| !a.is_finite() || !b.is_finite()) {
        return Err(format!("at index {i}: {} where {} is expected; both must be finite", pairs[i].0, pairs[i].1));
    }
    if pairs.is_empty() { Err("there are no numbers".into()) } else { Ok(pairs) }
}

/// Whether `found` is within the tolerance of `expected`; the error says where it is furthest off.
pub fn compare<A, B>(found: &A, expected: &B, tolerance: Tolerance) -> Result<(), String>
where
    A: Numbers + ?Sized,
    B: Numbers + ?Sized,
{
    let pairs = pairs(found, expected)?;
    let largest = largest(pairs.iter().map(|(_, b)| b.abs()));
    let allowed = |b: f64| match tolerance.scale {
        Scale::One => tolerance.size,
        Scale::LargestExpected => tolerance.size * largest,
        Scale::EachExpected => tolerance.size * b.abs(),
    };
    if matches!(tolerance.scale, Scale::LargestExpected) && largest == 0.0 {
        return Err("all expected numbers are 0".into());
    }
    let excess = |(a, b): (f64, f64)| (a - b).abs() - allowed(b);
    let (i, (a, b)) =
        (0..).zip(pairs).max_by(|(_, p), (_, q)| excess(*p).total_cmp(&excess(*q))).ok_or("there are no numbers")?;
    if (a - b).abs() <= allowed(b) {
        return Ok(());
    }
    let (difference, allowed, reason) = ((a - b).abs(), allowed(b), tolerance.reason);
    Err(format!("at index {i}: {a:e}, not {b:e}: |Δ| is {difference:.2e}, and at most {allowed:.2e} ({reason})"))
}

/// Fails unless `found` is within the tolerance of `expected`.
#[track_caller]
pub fn assert_close<A, B>(what: impl Display, found: &A, expected: &B, tolerance: Tolerance)
where
    A: Numbers + ?Sized,
    B: Numbers + ?Sized,
{
    if let Err(why) = compare(found, expected, tolerance) {
        panic!("{what}: {why}");
    }
}

/// max |Δ|, for errors that are compared with each other or must be large; fails on what is not finite.
#[track_caller]
pub fn distance<A: Numbers + ?Sized, B: Numbers + ?Sized>(found: &A, expected: &B) -> f64 {
    match pairs(found, expected) {
        Ok(pairs) => largest(pairs.into_iter().map(|(a, b)| (a - b).abs())),
        Err(why) => panic!("{why}"),
    }
}

/// The largest of some numbers, at least one and all finite.
#[track_caller]
pub fn largest(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let numbers: Vec<f64> = numbers.into_iter().collect();
    if let Some(i) = numbers.iter().position(|number| !number.is_finite()) {
        panic!("at index {i}: {}; all must be finite", numbers[i]);
    }
    numbers.into_iter().max_by(f64::total_cmp).unwrap_or_else(|| panic!("there are no numbers"))
}
