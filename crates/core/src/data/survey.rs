//! What is known of a set on disk before it is used: its fingerprint, its moments, and whether its values look right.
//!
//! A set of at most [`WHOLE`] bytes or [`FEW`] samples is read whole once, and everything is that of the same set in memory,
//! bit for bit. A larger one is known by its listing (names and sizes) and by [`SOME`] of its samples.

use super::Indexed;
use super::samples::{check_range, range};
use crate::error::Result;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Bytes of float32 numbers up to which a set is read whole, whatever is held in memory.
pub const WHOLE: u64 = 4 << 30;
/// Samples up to which it is.
const FEW: usize = 4096;
/// Evenly spaced samples that stand for a larger set.
const SOME: usize = 256;

/// What is known of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// SHA-256 of all numbers as [`super::Samples`] has it; or of the listing and the numbers of some samples.
    pub sha256: String,
    /// What the hash covers, where it is not all numbers.
    pub covers: Option<String>,
    /// Means of x and x² over all numbers of the set, where it was read whole.
    pub moments: Option<[f64; 2]>,
}

impl Indexed {
    /// Surveys the set, and adds to its warnings.
    ///
    /// # Errors
    /// A sample that is read is broken, or holds what no other may.
    pub fn survey(&mut self) -> Result<Survey> {
        let whole = self.bytes() <= WHOLE || self.len() <= FEW;
        let mut pass = Pass { hash: Sha256::new(), sums: [0.0; 2], range: (f64::INFINITY, f64::NEG_INFINITY) };
        if !whole {
            self.listing(&mut |part| pass.hash.update(part))?;
        }
        let count = if whole { self.len() } else { SOME };
        let rows = |i: usize| super::spaced(i, self.len(), count);
        let width = self.width();
        let group = self.group();
        let mut numbers = vec![0.0f32; group.min(count) * width];
        for first in (0..count).step_by(group) {
            let here = (count - first).min(group);
            let numbers = &mut numbers[..here * width];
            let read = numbers.par_chunks_mut(width).enumerate().map(|(i, out)| self.surveyed(rows(first + i), out));
            let ranges: Vec<(f64, f64)> = read.collect::<Result<_>>()?;
            pass.add(numbers, &ranges);
        }
        if let Some(dtype) = self.type_that_scales() {
            check_range(dtype, pass.range, &mut self.warnings)?;
        }
        let n = (count * width).max(1) as f64;
        Ok(Survey {
            sha256: pass.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
            covers: (!whole).then(|| format!("names and sizes, and the numbers of {SOME} samples")),
            moments: whole.then(|| pass.sums.map(|sum| sum / n)),
        })
    }

    /// Reads one sample; the range of its stored values.
    fn surveyed(&self, row: usize, out: &mut [f32]) -> Result<(f64, f64)> {
        let stored = self.stored_values(row)?;
        self.convert(&stored, out);
        self.check_finite(row, out)?;
        Ok(self.type_that_scales().map_or((0.0, 0.0), |_| range(&stored)))
    }
}

/// What is gathered, in the order of the samples.
struct Pass {
    hash: Sha256,
    /// Of x and x².
    sums: [f64; 2],
    range: (f64, f64),
}

impl Pass {
    fn add(&mut self, numbers: &[f32], ranges: &[(f64, f64)]) {
        for part in numbers.chunks(1 << 14) {
            let bytes: Vec<u8> = part.iter().flat_map(|x| x.to_le_bytes()).collect();
            self.hash.update(&bytes);
        }
        for x in numbers.iter().map(|x| f64::from(*x)) {
            self.sums[0] += x;
            self.sums[1] += x * x;
        }
        for (min, max) in ranges {
            self.range = (self.range.0.min(*min), self.range.1.max(*max));
        }
    }
}
