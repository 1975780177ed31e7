//! The 1,797 embedded handwritten digits (UCI, CC BY 4.0; see `make_digits.py`): no download, and small enough for a test.

use super::Raw;
use super::scaling::Scaling;
use crate::error::{Error, Result};
use crate::tensor_file::{Array, Dtype};
use std::sync::Arc;

/// Pixels of 0 to 16, then labels; `make_digits.py` writes it.
static DIGITS: &[u8] = include_bytes!("digits.bin");
const COUNT: usize = 1797;
const SIDE: usize = 8;

/// All digits, [1797, 1, 8, 8].
pub(super) fn load() -> Result<Raw> {
    let (pixels, labels) = DIGITS.split_at(COUNT * SIDE * SIDE);
    let array = Array::new(vec![COUNT, 1, SIDE, SIDE], Dtype::U8, Arc::new(pixels.to_vec()));
    Ok(Raw {
        array: array.map_err(|e| Error::mismatch(e, "Please report this."))?,
        scaling: Some(Scaling::Range { low: 0.0, high: 16.0, what: "digits" }),
        labels: Some(labels.iter().map(|&label| label.into()).collect()),
        description: "the 1,797 embedded 8×8 handwritten digits (UCI, CC BY 4.0)".into(),
        warnings: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_scikit_learn() {
        let raw = load().unwrap();
        let pixels = raw.array.bytes();
        // sklearn.datasets.load_digits(): data[0], data.sum(), and how often each label occurs.
        assert_eq!(pixels[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
        assert_eq!(pixels.iter().map(|&p| u64::from(p)).sum::<u64>(), 561_718);
        let labels = raw.labels.unwrap();
        let counts: Vec<_> = (0..10).map(|digit| labels.iter().filter(|&&label| label == digit).count()).collect();
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }
}
