//! `mnist:DIR`: idx files, raw or gzipped, of MNIST and of the sets that took over its form (Fashion-MNIST, KMNIST).

use super::Raw;
use crate::error::{Error, Result};
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Images [N, 1, H, W] of the training set; of the test set where there is no training set.
pub(super) fn load(folder: &Path) -> Result<Raw> {
    let found =
        ["train", "t10k"].iter().find_map(|set| Some((*set, find(folder, &format!("{set}-images"), "idx3-ubyte")?)));
    let Some((set, images)) = found else {
        let problem = "there is no train-images-idx3-ubyte or t10k-images-idx3-ubyte in it (nor with .gz)";
        return Err(Error::file(folder, problem, "Give the folder that holds MNIST's idx files."));
    };
    let (lengths, pixels) = read_idx::<3>(&images)?;
    let description = format!("{} idx images of {} ({set})", lengths[0], folder.display());
    let mut raw = Raw::bytes(vec![lengths[0], 1, lengths[1], lengths[2]], pixels, description)?;
    if let Some(labels) = find(folder, &format!("{set}-labels"), "idx1-ubyte") {
        let (_, labels) = read_idx::<1>(&labels)?;
        raw.labels = Some(labels.into_iter().map(i64::from).collect());
    }
    Ok(raw)
}

/// The file under one of its usual names; torchvision puts it into MNIST/raw.
fn find(folder: &Path, stem: &str, kind: &str) -> Option<PathBuf> {
    let places = [folder.to_path_buf(), folder.join("MNIST/raw"), folder.join("raw")];
    let names = ["-", "."].map(|dash| format!("{stem}{dash}{kind}"));
    let files = places.iter().flat_map(|place| names.iter().map(move |name| place.join(name)));
    files.flat_map(|file| [file.clone(), PathBuf::from(format!("{}.gz", file.display()))]).find(|file| file.is_file())
}

/// Deflate packs 1,032 bytes into one at most: a file that claims more lies.
const MAX_RATIO: u64 = 1_032;

/// Reads an idx file of bytes with `AXES` axes: 0, 0, 8, AXES, the lengths in big-endian, then the bytes.
fn read_idx<const AXES: usize>(path: &Path) -> Result<([usize; AXES], Vec<u8>)> {
    let wrong = |problem: String| Error::file(path, problem, "Give MNIST's own file, or fetch it again.");
    let file = File::open(path).map_err(|e| Error::io(path, "opening", &e))?;
    let packed = file.metadata().map_err(|e| Error::io(path, "reading", &e))?.len();
    let mut file = BufReader::new(file);
    let gzipped =
        std::io::BufRead::fill_buf(&mut file).map_err(|e| Error::io(path, "reading", &e))?.starts_with(&[31, 139]);
    let mut bytes: Box<dyn Read> = if gzipped { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    let mut word = || -> Result<u32> {
        let mut word = [0; 4];
        bytes.read_exact(&mut word).map_err(|e| wrong(format!("it ends within its header ({e})")))?;
        Ok(u32::from_be_bytes(word))
    };
    let magic = word()?;
    if magic != 0x0800 + AXES as u32 {
        return Err(wrong(format!(
            "it begins with {magic:#010x}, not {:#010x}: no idx file of this kind",
            0x0800 + AXES
        )));
    }
    let mut lengths = [0; AXES];
    for length in &mut lengths {
        *length = word()? as usize;
    }
    let claimed = lengths.iter().try_fold(1u64, |product, &n| product.checked_mul(n as u64));
    let claimed = claimed
        .filter(|&n| n <= packed.saturating_mul(if gzipped { MAX_RATIO } else { 1 }))
        .ok_or_else(|| wrong(format!("it claims {lengths:?} bytes, more than its {packed} bytes can hold")))?;
    let mut data = Vec::new();
    bytes.take(claimed + 1).read_to_end(&mut data).map_err(|e| wrong(format!("it is damaged ({e})")))?;
    if data.len() as u64 != claimed {
        let problem = if (data.len() as u64) < claimed { "it is cut short" } else { "it goes on after its end" };
        return Err(wrong(format!("{problem}: it claims {lengths:?} bytes")));
    }
    Ok((lengths, data))
}
