//! Arrays of files: [`lipscope_core::tensor_file`], and their one bridge to libtorch.

pub use lipscope_core::tensor_file::*;

use crate::error::{Doing, Error, Result};
use crate::libtorch::with_numbers;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// From an array to a tensor.
pub trait IntoTensor {
    /// A tensor on the CPU with the same shape, type and numbers. uint16, uint32 and uint64 have no counterpart.
    fn into_tensor(self) -> Result<Tensor>;
}

impl IntoTensor for Array {
    fn into_tensor(self) -> Result<Tensor> {
        let (shape, kind) = described(&self)?;
        Tensor::f_from_data_size(self.bytes(), &shape, kind).doing("making a tensor from an array")
    }
}

/// An array's numbers in another type and on another device, with no second copy of them in main memory.
pub(crate) fn converted(array: &Array, (kind, device): (Kind, Device)) -> Result<Tensor> {
    let doing = "making a tensor from an array";
    let (shape, own) = described(array)?;
    let mut tensor = Tensor::f_empty(&shape, (kind, device)).doing(doing)?;
    with_numbers(array.bytes(), &shape, own, |numbers| tensor.f_copy_(numbers).map(|_| ()).doing(doing))?;
    Ok(tensor)
}

fn described(array: &Array) -> Result<(Vec<i64>, Kind)> {
    let shape: Option<Vec<i64>> = array.shape().iter().map(|&n| i64::try_from(n).ok()).collect();
    let shape = shape.ok_or_else(|| {
        Error::mismatch(format!("an array of shape {:?} cannot be held", array.shape()), "Use a smaller array.")
    })?;
    Ok((shape, kind(array.dtype())?))
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

/// The value of one sample, [1, …], from a file with one array, or `FILE#ARRAY` for one of several: its first axis is 1, or
/// is left out.
///
/// # Errors
/// There is no such array, or it is not clear which is meant.
pub fn one_sample(path: &Path) -> Result<Tensor> {
    let value = one_array(path)?;
    if value.dim() > 1 && value.size()[0] == 1 { Ok(value) } else { Ok(value.unsqueeze(0)) }
}

/// The array of a file with one, or of `FILE#ARRAY`, as it is.
///
/// # Errors
/// There is no such array, or it is not clear which is meant.
pub fn one_array(path: &Path) -> Result<Tensor> {
    let text = path.to_string_lossy();
    let (path, wanted) = file_and_array(path, &text);
    let named = read_selected(path, &|name| wanted.is_none_or(|wanted| name == wanted))?;
    let count = named.arrays.len();
    let mut arrays = named.arrays.into_iter();
    let (Some((_, array)), None) = (arrays.next(), arrays.next()) else {
        let problem = match wanted {
            Some(name) => format!("it holds no array `{name}`"),
            None => format!("it holds {count} arrays, and one is meant"),
        };
        let next = format!("Save the value of one sample alone, or name it behind a #, {}#ARRAY.", path.display());
        return Err(Error::file(path, problem, next));
    };
    array.into_tensor()
}

/// What [`one_array`] would give, by the header alone; `None` where only reading tells which array is meant.
///
/// # Errors
/// The file is none of arrays.
pub fn one_entry(path: &Path) -> Result<Option<Entry>> {
    let text = path.to_string_lossy();
    let (path, wanted) = file_and_array(path, &text);
    let mut meant = entries(path)?.entries.into_iter().filter(|entry| wanted.is_none_or(|wanted| entry.name == wanted));
    Ok(meant.next().filter(|_| meant.next().is_none()))
}

/// FILE#ARRAY in its parts; `text` is the path.
pub(crate) fn file_and_array<'a>(path: &'a Path, text: &'a str) -> (&'a Path, Option<&'a str>) {
    let chosen = text.rsplit_once('#').filter(|_| !path.exists());
    chosen.map_or((path, None), |(file, array)| (Path::new(file), Some(array)))
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

    #[test]
    fn one_of_several_arrays_is_named_behind_a_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("several.safetensors");
        Tensor::write_safetensors(&[("a", Tensor::ones([3], tch::kind::FLOAT_CPU)), ("b", Tensor::from(7f32))], &path)
            .unwrap();
        let at = |array: &str| one_sample(Path::new(&format!("{}{array}", path.display())));
        assert_eq!(at("#a").unwrap().size(), [1, 3]);
        assert_eq!(at("#b").unwrap().double_value(&[0]), 7.0);
        for array in ["", "#c"] {
            assert!(at(array).unwrap_err().to_string().contains("#ARRAY"), "{array}");
        }
    }
}
