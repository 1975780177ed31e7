//! Features of data on disk, so that a feature network runs over it once.
//!
//! A file's name is the SHA-256 of everything that the features depend on; it is written whole or not at all, and what is
//! read is checked against its own fingerprint. A file that is damaged is computed again.

use crate::atomic::{self, cache_folder};
use crate::checkpoint::{hexadecimal, sha256_of};
use crate::error::{Doing, Error, Result};
use crate::tensor_file;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

const FEATURES: &str = "features";
const FINGERPRINT: &str = "sha256";

/// A folder of features.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// In `XDG_CACHE_HOME`, or `~/.cache`; `None` where there is neither.
    pub fn find() -> Option<Self> {
        cache_folder().map(|caches| Self::new(caches.join("features")))
    }

    /// In a folder of its own, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Cache { folder }
    }

    /// The features that belong to `key`, from the folder, or computed and then kept there.
    pub fn get(&self, key: &Value, compute: impl FnOnce() -> Result<Tensor>) -> Result<Tensor> {
        let name = hexadecimal(Sha256::new_with_prefix(key.to_string()));
        let path = self.folder.join(format!("{name}.safetensors"));
        if let Some(features) = read(&path) {
            return Ok(features);
        }
        let features = compute()?;
        // A cache that cannot be written costs time, and no more.
        if std::fs::create_dir_all(&self.folder).is_ok() {
            let _ = write(&path, &features);
        }
        Ok(features)
    }
}

/// `None` where there is no such file, or it is not what was written.
fn read(path: &Path) -> Option<Tensor> {
    let file = path.is_file().then(|| tensor_file::read(path).ok()).flatten()?;
    let array = file.get(FEATURES)?.to_f64().ok()?.into_dimensionality::<ndarray::Ix2>().ok()?;
    let numbers: Vec<f64> = array.iter().copied().collect();
    let promised = file.metadata.iter().find(|(name, _)| name == FINGERPRINT)?;
    let shape = [array.nrows() as i64, array.ncols() as i64];
    (sha256_of(&numbers) == promised.1).then(|| Tensor::f_from_slice(&numbers).and_then(|v| v.f_view(shape)).ok())?
}

fn write(path: &Path, features: &Tensor) -> Result<()> {
    let doing = "keeping features";
    let flat =
        features.f_to_device(Device::Cpu).and_then(|v| v.f_to_kind(Kind::Double)?.f_contiguous()).doing(doing)?;
    let mut numbers = vec![0.0f64; flat.numel()];
    flat.f_copy_data(&mut numbers, flat.numel()).doing(doing)?;
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let shape: Vec<usize> = features.size().iter().map(|n| *n as usize).collect();
    let failed = |e: safetensors::SafeTensorError| {
        Error::file(path, format!("features cannot be kept ({e})"), "Use --no-cache.")
    };
    let view = TensorView::new(Dtype::F64, shape, &bytes).map_err(failed)?;
    let metadata = HashMap::from([(FINGERPRINT.to_string(), sha256_of(&numbers))]);
    atomic::write(path, &serialize([(FEATURES, view)], Some(metadata)).map_err(failed)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn features_are_computed_once_and_again_where_the_file_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("deep"));
        let features = Tensor::from_slice(&[1.5, -2.0, 0.1, 1e-300]).reshape([2, 2]);
        let never = || -> Result<Tensor> { panic!("computed again") };
        assert!(cache.get(&json!({"a": 1}), || Ok(features.shallow_clone())).unwrap().equal(&features));
        assert!(cache.get(&json!({"a": 1}), never).unwrap().equal(&features));
        let other = Tensor::zeros([1, 1], (Kind::Double, Device::Cpu));
        assert!(cache.get(&json!({"a": 2}), || Ok(other.shallow_clone())).unwrap().equal(&other));
        for entry in std::fs::read_dir(folder.path().join("deep")).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
        assert!(cache.get(&json!({"a": 1}), || Ok(other.shallow_clone())).unwrap().equal(&other));
    }
}
