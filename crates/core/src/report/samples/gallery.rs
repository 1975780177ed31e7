//! Images side by side, in the order of their numbers, row by row.

use super::{STEM, SampleSet};
use crate::error::{Error, Result};
use crate::report::Artifact;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

/// Images in one picture at most: ten rows of ten.
const MOST: usize = 100;
/// Images in one row at most.
const COLUMNS: usize = 10;
/// Small images are enlarged by a whole factor until their longer side has so many pixels.
const SIDE: u32 = 64;
/// White pixels between images and around them.
const GAP: u32 = 4;
/// What stands for a number that is not finite.
const BAD: Rgb<u8> = Rgb([255, 0, 255]);

/// `samples.png`; −1 is black and 1 white.
pub(super) fn gallery(set: &SampleSet) -> Result<Artifact> {
    let [height, width] = [set.shape[1], set.shape[2]].map(|size| size as u32);
    let factor = SIDE.div_ceil(height.max(width)).max(1);
    let count = (set.values.len() / set.dim()).min(MOST);
    let columns = square(count);
    let rows = count.div_ceil(columns);
    let place = |index: usize, size: u32| GAP + index as u32 * (size * factor + GAP);
    let mut page = RgbImage::from_pixel(place(columns, width), place(rows, height), Rgb([255; 3]));
    for (i, sample) in set.values.chunks_exact(set.dim()).take(count).enumerate() {
        let (left, top) = (place(i % columns, width), place(i / columns, height));
        for (y, x) in (0..height * factor).flat_map(|y| (0..width * factor).map(move |x| (y, x))) {
            let at = (y / factor * width + x / factor) as usize;
            page.put_pixel(left + x, top + y, colour(sample, at, (height * width) as usize));
        }
    }
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(page)
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|e| Error::mismatch(format!("the picture cannot be written ({e})"), "Please report this."))?;
    Ok(Artifact::new(format!("{STEM}.png"), bytes.into_inner()))
}

/// Columns of a page that is about square.
fn square(count: usize) -> usize {
    ((count as f64).sqrt().ceil() as usize).clamp(1, COLUMNS)
}

/// The pixel `at` of an image of one or three channels with `area` pixels each.
fn colour(sample: &[f32], at: usize, area: usize) -> Rgb<u8> {
    let channel = |c: usize| sample[(c * area + at) % sample.len()];
    // One channel stands for all three.
    let values = [channel(0), channel(1), channel(2)];
    if values.iter().any(|value| !value.is_finite()) {
        return BAD;
    }
    Rgb(values.map(|value| ((value.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(set: &SampleSet) -> RgbImage {
        image::load_from_memory(&gallery(set).unwrap().bytes).unwrap().to_rgb8()
    }

    #[test]
    fn images_stand_row_by_row_and_are_enlarged_by_whole_factors() {
        // Five grey images of 32 × 32 in three columns and two rows, each twice as large.
        let values = (0..5).flat_map(|i| vec![-1.0 + 0.5 * i as f32; 32 * 32]).collect();
        let page = page(&SampleSet { values, shape: vec![1, 32, 32] });
        assert_eq!(page.dimensions(), (4 + 3 * 68, 4 + 2 * 68));
        let grey = |column: u32, row: u32| page.get_pixel(4 + 68 * column + 63, 4 + 68 * row).0[0];
        let found = [grey(0, 0), grey(1, 0), grey(2, 0), grey(0, 1), grey(1, 1), grey(2, 1)];
        assert_eq!(found, [0, 64, 128, 191, 255, 255]);
        assert_eq!(page.get_pixel(0, 0).0, [255; 3]);
    }

    #[test]
    fn channels_are_red_green_and_blue_and_what_is_not_finite_stands_out() {
        let values = vec![1.0, -1.0, -1.0, -3.0, f32::NAN, 0.0];
        let page = page(&SampleSet { values, shape: vec![3, 1, 2] });
        assert_eq!(page.dimensions(), (72, 40));
        assert_eq!((page.get_pixel(4, 4).0, page.get_pixel(40, 4).0), ([255, 0, 255], [0, 0, 128]));
        let page = self::page(&SampleSet { values: vec![1.0, -1.0, -1.0, -3.0, 0.5, 0.0], shape: vec![3, 1, 2] });
        assert_eq!(page.get_pixel(4, 4).0, [255, 0, 191]);
    }
}
