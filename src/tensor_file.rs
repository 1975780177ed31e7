//! Arrays of files: [`lipscope_core::tensor_file`], and their one bridge to libtorch.

pub use lipscope_core::tensor_file::*;

use crate::error::{Doing, Error, Result};
use tch::{Kind, Tensor};

/// From an array to a tensor.
pub trait IntoTensor {
    /// A tensor on the CPU with the same shape, type and numbers. uint16, uint32 and uint64 have no counterpart.
    fn into_tensor(self) -> Result<Tensor>;
}

impl IntoTensor for Array {
    fn into_tensor(self) -> Result<Tensor> {
        let kind = kind(self.dtype())?;
        let shape: Option<Vec<i64>> = self.shape().iter().map(|&n| i64::try_from(n).ok()).collect();
        let shape = shape.ok_or_else(|| {
            Error::mismatch(format!("an array of shape {:?} cannot be held", self.shape()), "Use a smaller array.")
        })?;
        Tensor::f_from_data_size(self.bytes(), &shape, kind).doing("making a tensor from an array")
    }
}

/// The counterpart of a type.
pub(crate) fn kind(dtype: Dtype) -> Result<Kind> {
    Ok(match dtype {
        Dtype::F16 => Kind::Half,
        Dtype::Bf16 => Kind::BFloat16,
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::I8 => Kind::Int8,
        Dtype::I16 => Kind::Int16,
        Dtype::I32 => Kind::Int,
        Dtype::I64 => Kind::Int64,
        Dtype::U8 => Kind::Uint8,
        Dtype::Bool => Kind::Bool,
        Dtype::U16 | Dtype::U32 | Dtype::U64 => {
            let allowed = "tensors hold floating-point numbers, int8 to int64, uint8 and bool";
            return Err(Error::unsupported(format!("a tensor of {dtype}"), allowed, "Save it as int64."));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_tensor_keeps_type_shape_and_numbers() {
        let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let tensor = Array::new(vec![2, 1], Dtype::F32, Arc::new(bytes)).unwrap().into_tensor().unwrap();
        assert_eq!((tensor.kind(), tensor.size()), (Kind::Float, vec![2, 1]));
        assert_eq!(Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap(), [1.5, -2.0]);
        let scalar = Array::new(vec![], Dtype::Bf16, Arc::new(vec![0x80, 0x3f])).unwrap().into_tensor().unwrap();
        assert_eq!((scalar.kind(), scalar.double_value(&[])), (Kind::BFloat16, 1.0));
        let empty = Array::new(vec![0, 3], Dtype::I64, Arc::new(vec![])).unwrap().into_tensor().unwrap();
        assert_eq!(empty.size(), [0, 3]);
        assert!(Array::new(vec![1], Dtype::U16, Arc::new(vec![0, 0])).unwrap().into_tensor().is_err());
    }
}
