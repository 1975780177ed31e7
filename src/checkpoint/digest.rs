//! Fingerprints of files.

use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// SHA-256 of a file, in hexadecimal.
pub fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|e| Error::io(path, "opening", &e))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(|e| Error::io(path, "reading", &e))?;
        if read == 0 {
            return Ok(hexadecimal(hasher));
        }
        hasher.update(&buffer[..read]);
    }
}

/// SHA-256 of numbers as little-endian float64, in hexadecimal.
pub fn sha256_of(numbers: &[f64]) -> String {
    let mut hasher = Sha256::new();
    numbers.iter().for_each(|number| hasher.update(number.to_le_bytes()));
    hexadecimal(hasher)
}

/// A fingerprint in hexadecimal.
pub(crate) fn hexadecimal(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
