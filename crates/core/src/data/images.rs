//! Pictures, cropped to the model's aspect and resized to its size.
//!
//! They are prepared as PIL and torchvision do it, with which most networks were trained: colours become grey by PIL's
//! weights, transparency is dropped, and an orientation in the EXIF data is not applied (`PIL.Image.open` does not either).

use super::SampleShape;
use crate::error::{Error, Result};
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};
use std::io::Cursor;
use std::path::Path;

/// Longest side, and memory for decoding one picture: a small file must not fill the memory.
const MAX_SIDE: u32 = 32_768;
const MAX_DECODED: u64 = 1 << 30;

/// What pictures become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// 1 or 3.
    pub channels: usize,
    /// Rows of pixels.
    pub height: u32,
    /// Columns of pixels.
    pub width: u32,
}

/// Channels, height and width of a picture.
pub(super) fn own_shape(bytes: &[u8], path: &Path) -> Result<Vec<i64>> {
    let picture = open(bytes, path)?;
    let channels = if picture.color().has_color() { 3 } else { 1 };
    Ok(vec![channels, picture.height().into(), picture.width().into()])
}

/// The size that pictures are to have.
pub(super) fn size(want: &SampleShape) -> Result<Size> {
    let Some(sample) = &want.sample else {
        let problem = "pictures must be resized to the model's size, and the file does not say which";
        return Err(Error::mismatch(problem, "Say it, such as --shape 3,32,32."));
    };
    let side = |n: i64| u32::try_from(n).ok().filter(|n| (1..=MAX_SIDE).contains(n));
    match sample[..] {
        [channels @ (1 | 3), height, width] => match (side(height), side(width)) {
            (Some(height), Some(width)) => Ok(Size { channels: if channels == 1 { 1 } else { 3 }, height, width }),
            _ => Err(Error::mismatch(
                format!("pictures cannot be {height}×{width}"),
                format!("Sides are 1 to {MAX_SIDE}."),
            )),
        },
        _ => {
            let problem = format!(
                "the model takes samples of shape {sample:?}, and pictures have 1 or 3 channels, height and width"
            );
            Err(Error::mismatch(problem, "Give its data as a file of arrays."))
        }
    }
}

/// The largest centred part of the wanted aspect, resized with Lanczos's filter of radius 3; [C, H, W].
pub(super) fn decode(bytes: &[u8], path: &Path, size: Size) -> Result<Vec<u8>> {
    let Size { channels, height, width } = size;
    let picture = open(bytes, path)?;
    let (w, h) = (u64::from(picture.width()), u64::from(picture.height()));
    let (wanted_w, wanted_h) = (u64::from(width), u64::from(height));
    let crop_w = w.min((h * wanted_w).div_ceil(wanted_h)) as u32;
    let crop_h = h.min((w * wanted_h).div_ceil(wanted_w)) as u32;
    let (left, top) = ((picture.width() - crop_w) / 2, (picture.height() - crop_h) / 2);
    let mut picture = picture.crop_imm(left, top, crop_w, crop_h);
    if (crop_w, crop_h) != (width, height) {
        picture = picture.resize_exact(width, height, FilterType::Lanczos3);
    }
    let interleaved = match (channels, picture.color().has_color()) {
        (1, false) => picture.into_luma8().into_raw(),
        (1, true) => picture.into_rgb8().pixels().map(|pixel| grey(pixel.0)).collect(),
        _ => picture.into_rgb8().into_raw(),
    };
    Ok((0..channels).flat_map(|c| interleaved.iter().skip(c).step_by(channels).copied()).collect())
}

/// PIL's `convert("L")`: ITU-R BT.601 in fixed point (`src/libImaging/Convert.c`).
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    ((19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue) + 0x8000) >> 16) as u8
}

fn open(bytes: &[u8], path: &Path) -> Result<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED);
    let bad = |problem: String| Error::file(path, problem, "Remove or replace it.");
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|e| Error::io(path, "reading", &e))?;
    // This decoder fills up with grey what is missing.
    if reader.format() == Some(ImageFormat::Jpeg) && !is_whole_jpeg(bytes) {
        return Err(bad("it is cut short: it has no end".into()));
    }
    reader.limits(limits);
    reader.decode().map_err(|e| bad(format!("it cannot be read as a picture ({e})")))
}

/// Whether the segments of a JPEG file (ITU-T T.81, B.1) lead to its end.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        // Behind the data of a scan: the next marker that is neither a stuffed byte nor a restart.
        let marker = rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff));
        let Some(marker) = marker else { return false };
        let length = match rest.get(marker + 1..marker + 4) {
            _ if rest.get(marker + 1) == Some(&0xd9) => return true,
            Some(&[_, high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => return false,
        };
        at += marker + 2 + length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PIL 11: `Image.new("RGB", (1, 1), colour).convert("L")`.
    #[test]
    fn colours_become_grey_as_pil_has_it() {
        for (colour, expected) in [
            ([0, 255, 0], 150),
            ([255, 0, 0], 76),
            ([0, 0, 255], 29),
            ([255, 255, 255], 255),
            ([10, 20, 30], 18),
            ([1, 1, 1], 1),
        ] {
            assert_eq!(grey(colour), expected, "{colour:?}");
        }
    }
}
