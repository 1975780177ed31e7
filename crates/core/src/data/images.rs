//! `images:DIR`: a folder of pictures, cropped to the model's aspect and resized to its size.
//!
//! They are prepared as PIL and torchvision do it, with which most networks were trained: colours become grey by PIL's
//! weights, transparency is dropped, and an orientation in the EXIF data is not applied (`PIL.Image.open` does not either).
//! Files and folders whose names begin with a dot are none of the data set.

use super::{LoadOptions, Raw, SampleShape, chosen};
use crate::error::{Error, Result};
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};
use rayon::prelude::*;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// Endings of the files that are taken, in any case; what a file is, is then told by its content.
const ENDINGS: [&str; 7] = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"];
/// Longest side, and memory for decoding one picture: a small file must not fill the memory.
const MAX_SIDE: u32 = 32_768;
const MAX_DECODED: u64 = 1 << 30;
/// Nesting of folders that is followed.
const MAX_DEPTH: usize = 64;

/// Pictures [N, C, H, W]: those of all folders below, in the order of their paths; links to folders are not followed.
pub(super) fn load(folder: &Path, options: &LoadOptions) -> Result<Raw> {
    let (channels, height, width) = size(&options.want)?;
    let files = pictures(folder)?;
    let files: Vec<&PathBuf> = chosen(files.len(), options.limit).into_iter().filter_map(|i| files.get(i)).collect();
    let planes: Vec<Vec<u8>> =
        files.par_iter().map(|path| decode(path, channels, height, width)).collect::<Result<_>>()?;
    let description =
        format!("{} pictures of {}, cropped and resized to {width}×{height}", files.len(), folder.display());
    let shape = [files.len(), channels, height as usize, width as usize];
    Raw::bytes(shape.to_vec(), planes.concat(), description)
}

/// The pictures below a folder, in the order of their paths.
fn pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(folder, 0, &mut files)?;
    files.sort();
    if files.is_empty() {
        let problem = format!("there are no pictures in it ({})", ENDINGS.join(", "));
        return Err(Error::file(folder, problem, "Give a folder of pictures."));
    }
    Ok(files)
}

/// Channels, height and width of the first picture.
pub(super) fn own_shape(folder: &Path) -> Result<Vec<i64>> {
    let files = pictures(folder)?;
    let picture = open(files.first().map_or(folder, PathBuf::as_path))?;
    let channels = if picture.color().has_color() { 3 } else { 1 };
    Ok(vec![channels, picture.height().into(), picture.width().into()])
}

/// Whether a name is that of something hidden: macOS' `._picture.png`, Jupyter's `.ipynb_checkpoints`, and what macOS packs
/// beside the files of an archive.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

fn size(want: &SampleShape) -> Result<(usize, u32, u32)> {
    let Some(sample) = &want.sample else {
        let problem = "pictures must be resized to the model's size, and the file does not say which";
        return Err(Error::mismatch(problem, "Say it, such as --shape 3,32,32."));
    };
    let side = |n: i64| u32::try_from(n).ok().filter(|n| (1..=MAX_SIDE).contains(n));
    match sample[..] {
        [channels @ (1 | 3), height, width] => match (side(height), side(width)) {
            (Some(height), Some(width)) => Ok((if channels == 1 { 1 } else { 3 }, height, width)),
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

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::file(
            folder,
            format!("it is over {MAX_DEPTH} folders deep"),
            "Give a folder nearer to the pictures.",
        ));
    }
    let failed = |e: std::io::Error| Error::io(folder, "listing", &e);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if is_hidden(&entry.file_name().to_string_lossy()) {
            continue;
        }
        // The entry's own type: a link is a link here, whatever it leads to.
        let kind = entry.file_type().map_err(failed)?;
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        if kind.is_dir() {
            collect(&path, depth + 1, files)?;
        } else if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// The largest centred part of the wanted aspect, resized with Lanczos's filter of radius 3; [C, H, W].
fn decode(path: &Path, channels: usize, height: u32, width: u32) -> Result<Vec<u8>> {
    let picture = open(path)?;
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

fn open(path: &Path) -> Result<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODED);
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "reading", &e))?;
    let bad = |problem: String| Error::file(path, problem, "Remove or replace it.");
    let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
    let mut reader = reader.map_err(|e| Error::io(path, "reading", &e))?;
    // This decoder fills up with grey what is missing.
    if reader.format() == Some(ImageFormat::Jpeg) && !is_whole_jpeg(&bytes) {
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
