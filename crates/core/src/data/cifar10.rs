//! `cifar10:DIR`: the binary version, <https://www.cs.toronto.edu/~kriz/cifar.html>.

use super::Raw;
use crate::error::{Error, Result};
use std::path::Path;

/// A label, then 32×32 red, green and blue values.
const RECORD: usize = 1 + PIXELS;
const PIXELS: usize = 3 * 32 * 32;
/// Training batches are files 1 to 5.
const BATCHES: usize = 5;

/// The training images, [N, 3, 32, 32].
pub(super) fn load(folder: &Path) -> Result<Raw> {
    let inner = folder.join("cifar-10-batches-bin");
    let place = if inner.is_dir() { inner.as_path() } else { folder };
    let batches: Vec<_> =
        (1..=BATCHES).map(|i| place.join(format!("data_batch_{i}.bin"))).filter(|path| path.is_file()).collect();
    if batches.is_empty() {
        let python = ["cifar-10-batches-py", "data_batch_1"].iter().any(|name| folder.join(name).exists());
        let seen =
            if python { "it holds the Python version, which is pickled" } else { "there is no data_batch_1.bin in it" };
        return Err(Error::file(folder, seen, "Fetch cifar-10-binary.tar.gz and give the folder that it unpacks to."));
    }
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for path in &batches {
        read_batch(path, &mut pixels, &mut labels)?;
    }
    let description = format!("{} CIFAR-10 training images of {}", labels.len(), folder.display());
    let mut raw = Raw::bytes(vec![labels.len(), 3, 32, 32], pixels, description)?;
    raw.labels = Some(labels);
    if batches.len() < BATCHES {
        raw.warnings.push(format!("only {} of CIFAR-10's {BATCHES} training batches are there.", batches.len()));
    }
    Ok(raw)
}

fn read_batch(path: &Path, pixels: &mut Vec<u8>, labels: &mut Vec<i64>) -> Result<()> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "reading", &e))?;
    let (records, rest) = bytes.as_chunks::<RECORD>();
    let wrong = |problem: String| Error::file(path, problem, "Fetch cifar-10-binary.tar.gz again.");
    if !rest.is_empty() || records.is_empty() {
        return Err(wrong(format!("its {} bytes are not a multiple of a record's {RECORD}", bytes.len())));
    }
    for (i, [label, image @ ..]) in records.iter().enumerate() {
        if *label > 9 {
            return Err(wrong(format!("its record {i} has the label {label}, and CIFAR-10's are 0 to 9")));
        }
        labels.push((*label).into());
        pixels.extend_from_slice(image);
    }
    Ok(())
}
