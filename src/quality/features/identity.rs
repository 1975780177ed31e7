//! The samples themselves, flattened: for points and small images, where distances in pixels mean something.

use super::Extractor;
use crate::error::{Doing, Result};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

/// The samples as they are.
#[derive(Debug, Clone, Copy)]
pub struct Identity;

impl Extractor for Identity {
    fn name(&self) -> &str {
        "identity"
    }

    fn describe(&self) -> Value {
        json!({ "name": self.name() })
    }

    fn is_costly(&self) -> bool {
        false
    }

    fn extract(&self, samples: &Tensor) -> Result<Tensor> {
        let rows = samples.size().first().copied().unwrap_or(0);
        samples
            .f_to_device(Device::Cpu)
            .and_then(|v| v.f_to_kind(Kind::Double)?.f_reshape([rows, samples.numel() as i64 / rows.max(1)]))
            .doing("flattening samples")
    }
}
