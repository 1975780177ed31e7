//! From samples to the features that they are compared in.

mod cache;
mod identity;
mod statistics;
mod torchscript;

pub use cache::Cache;
pub use identity::Identity;
pub use statistics::read_statistics;
pub use torchscript::{Input, Preprocessing, TorchScriptFeatures};

use crate::error::Result;
use serde_json::Value;
use tch::Tensor;

/// What turns samples into features.
pub trait Extractor {
    /// Name in tables.
    fn name(&self) -> &str;

    /// Everything that the features depend on besides the samples, for the plan.
    fn describe(&self) -> Value;

    /// Whether features cost more than reading them from a file.
    fn is_costly(&self) -> bool;

    /// Features [B, d] in float64 on the CPU of samples [B, …] as a model sees them, images within [−1, 1].
    ///
    /// # Errors
    ///
    /// The samples have a shape that it does not take.
    fn extract(&self, samples: &Tensor) -> Result<Tensor>;
}
