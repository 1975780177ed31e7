//! A tensor without its numbers.

use crate::tensor_file::array::Dtype;
use crate::tensor_file::layout::View;
use std::sync::Arc;

/// A tensor as the pickle describes it; its numbers are in another entry of the archive.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tensor_file) struct TensorRef {
    /// Name of the storage: the archive's entry `<root>/data/<key>`.
    pub key: Arc<str>,
    /// Element type; `None` for types that hold no plain numbers here.
    pub dtype: Option<Dtype>,
    /// PyTorch's name of the type.
    pub type_name: Arc<str>,
    /// Which elements of the storage.
    pub view: View,
}
