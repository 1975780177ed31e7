//! One array as a file holds it: shape, element type and bytes, without libtorch.

use crate::error::{Error, Result};
use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use std::sync::Arc;

/// Name of the array of a file that holds a single one without a name.
pub const UNNAMED: &str = "tensor";

/// Element type of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Dtype {
    F16,
    Bf16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
}

impl Dtype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Dtype::I8 | Dtype::U8 | Dtype::Bool => 1,
            Dtype::F16 | Dtype::Bf16 | Dtype::I16 | Dtype::U16 => 2,
            Dtype::F32 | Dtype::I32 | Dtype::U32 => 4,
            Dtype::F64 | Dtype::I64 | Dtype::U64 => 8,
        }
    }

    /// Whether elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Dtype::F16 | Dtype::Bf16 | Dtype::F32 | Dtype::F64)
    }

    /// PyTorch's name of the type, such as `float32`.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F16 => "float16",
            Dtype::Bf16 => "bfloat16",
            Dtype::F32 => "float32",
            Dtype::F64 => "float64",
            Dtype::I8 => "int8",
            Dtype::I16 => "int16",
            Dtype::I32 => "int32",
            Dtype::I64 => "int64",
            Dtype::U8 => "uint8",
            Dtype::U16 => "uint16",
            Dtype::U32 => "uint32",
            Dtype::U64 => "uint64",
            Dtype::Bool => "bool",
        }
    }

    /// The type that PyTorch or NumPy calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        use Dtype::*;
        let all = [F16, Bf16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Bool];
        all.into_iter().find(|dtype| dtype.name() == name)
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// An array: row-major, little-endian; clones share the bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    dtype: Dtype,
    data: Arc<Vec<u8>>,
}

impl Array {
    /// An array over `data`, which must hold exactly the elements that `shape` asks for.
    pub fn new(shape: Vec<usize>, dtype: Dtype, data: Arc<Vec<u8>>) -> std::result::Result<Self, String> {
        let wanted = byte_len(&shape, dtype)?;
        if wanted != data.len() {
            return Err(format!("{shape:?} of {dtype} takes {wanted} bytes, but there are {}", data.len()));
        }
        Ok(Self { shape, dtype, data })
    }

    /// Number of elements along every axis; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Element type.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The elements, row-major and little-endian.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// The memory of its elements, where no clone shares it; else none.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        Arc::try_unwrap(self.data).unwrap_or_default()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len() / self.dtype.size()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Every element as f64 (64-bit integers beyond 2⁵³ are rounded), mapped by `f`, in row-major order.
    pub fn map<T>(&self, mut f: impl FnMut(f64) -> T) -> Vec<T> {
        let data = self.bytes();
        match self.dtype {
            Dtype::F16 => elements(data, |b| f(f16::from_le_bytes(b).to_f64())),
            Dtype::Bf16 => elements(data, |b| f(bf16::from_le_bytes(b).to_f64())),
            Dtype::F32 => elements(data, |b| f(f32::from_le_bytes(b).into())),
            Dtype::F64 => elements(data, |b| f(f64::from_le_bytes(b))),
            Dtype::I8 => elements(data, |b| f(i8::from_le_bytes(b).into())),
            Dtype::I16 => elements(data, |b| f(i16::from_le_bytes(b).into())),
            Dtype::I32 => elements(data, |b| f(i32::from_le_bytes(b).into())),
            Dtype::I64 => elements(data, |b| f(i64::from_le_bytes(b) as f64)),
            Dtype::U8 => elements(data, |[b]| f(b.into())),
            Dtype::U16 => elements(data, |b| f(u16::from_le_bytes(b).into())),
            Dtype::U32 => elements(data, |b| f(u32::from_le_bytes(b).into())),
            Dtype::U64 => elements(data, |b| f(u64::from_le_bytes(b) as f64)),
            Dtype::Bool => elements(data, |[b]| f(if b == 0 { 0.0 } else { 1.0 })),
        }
    }

    /// The array in f64.
    pub fn to_f64(&self) -> Result<ArrayD<f64>> {
        self.shaped(self.map(|x| x))
    }

    /// The array in f32.
    pub fn to_f32(&self) -> Result<ArrayD<f32>> {
        self.shaped(self.map(|x| x as f32))
    }

    /// The elements as integers; `None` for floating-point arrays and for values that an i64 cannot hold.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        match self.dtype {
            dtype if dtype.is_float() => None,
            Dtype::I64 => Some(elements(self.bytes(), i64::from_le_bytes)),
            Dtype::U64 => elements(self.bytes(), |b| i64::try_from(u64::from_le_bytes(b)).ok()).into_iter().collect(),
            // Up to 32 bits: exact in an f64.
            _ => Some(self.map(|x| x as i64)),
        }
    }

    /// The array that has only these rows (indices along the first axis); rows that are not there are left out.
    pub fn rows(&self, rows: &[usize]) -> Self {
        let (count, rest) = self.shape.split_first().map_or((1, &[][..]), |(&n, rest)| (n, rest));
        let width = self.data.len().checked_div(count).unwrap_or(0);
        let kept: Vec<&[u8]> = rows.iter().filter_map(|&row| self.data.get(row * width..(row + 1) * width)).collect();
        Self { shape: [&[kept.len()], rest].concat(), dtype: self.dtype, data: Arc::new(kept.concat()) }
    }

    fn shaped<T>(&self, elements: Vec<T>) -> Result<ArrayD<T>> {
        // Only shapes such as [0, 2⁶²] get here: no elements, and still too large for an index.
        ArrayD::from_shape_vec(IxDyn(&self.shape), elements).map_err(|e| {
            Error::mismatch(format!("an array of shape {:?} cannot be held ({e})", self.shape), "Use a smaller array.")
        })
    }
}

/// Bytes that `shape` takes in `dtype`, or why that is no sensible number.
pub(super) fn byte_len(shape: &[usize], dtype: Dtype) -> std::result::Result<usize, String> {
    element_count(shape)
        .and_then(|count| count.checked_mul(dtype.size()))
        .filter(|&bytes| isize::try_from(bytes).is_ok())
        .ok_or_else(|| format!("its shape {shape:?} is too large to be true"))
}

/// Number of elements of `shape`; `None` on overflow.
pub(super) fn element_count(shape: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n))
}

fn elements<const N: usize, T>(data: &[u8], mut f: impl FnMut([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = data.as_chunks::<N>();
    chunks.iter().map(|&bytes| f(bytes)).collect()
}

/// Turns big-endian elements of `size` bytes into little-endian ones, in place.
pub(super) fn swap_bytes(data: &mut [u8], size: usize) {
    if size > 1 {
        data.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_that_overflow_are_refused() {
        assert!(byte_len(&[usize::MAX, 2], Dtype::U8).is_err());
        assert!(byte_len(&[1 << 62], Dtype::F64).is_err());
        assert_eq!(byte_len(&[usize::MAX, 2, 0], Dtype::F64), Ok(0));
        assert_eq!(byte_len(&[], Dtype::F64), Ok(8));
        assert!(Array::new(vec![2], Dtype::U8, Arc::new(vec![1])).is_err());
    }

    #[test]
    fn an_empty_array_of_absurd_shape_gives_an_error_and_no_panic() {
        let array = Array::new(vec![0, 1 << 62, 1 << 62], Dtype::U8, Arc::new(vec![])).unwrap();
        assert!(array.to_f32().is_err());
    }

    #[test]
    fn integers_keep_their_value() {
        let bytes = i64::MAX.to_le_bytes().to_vec();
        assert_eq!(Array::new(vec![1], Dtype::I64, Arc::new(bytes)).unwrap().to_i64(), Some(vec![i64::MAX]));
        let bytes = u64::MAX.to_le_bytes().to_vec();
        assert_eq!(Array::new(vec![1], Dtype::U64, Arc::new(bytes)).unwrap().to_i64(), None);
        let minus_one = Array::new(vec![], Dtype::I8, Arc::new(vec![255])).unwrap();
        assert_eq!(minus_one.to_i64(), Some(vec![-1]));
    }
}
