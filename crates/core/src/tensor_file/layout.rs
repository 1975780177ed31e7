//! Strided views: which elements of a storage an array is made of, checked before any is read.

use super::array::{Array, Dtype, byte_len, element_count};
use super::budget::Budget;
use std::sync::Arc;

/// A view into a storage, in elements.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Number of elements along every axis.
    pub shape: Vec<usize>,
    /// Steps between neighbours along every axis; 0 repeats one element.
    pub strides: Vec<usize>,
    /// Where the first element is.
    pub offset: usize,
}

/// More axes than any array here; a bound for hostile files.
const MAX_AXES: usize = 32;

impl View {
    /// A whole array whose first axis varies fastest (Fortran order).
    pub fn column_major(shape: Vec<usize>) -> Self {
        let strides = shape.iter().scan(1usize, |step, &n| {
            let stride = *step;
            *step = step.saturating_mul(n);
            Some(stride)
        });
        Self { strides: strides.collect(), shape, offset: 0 }
    }

    /// A whole array whose last axis varies fastest (C order).
    pub fn row_major(shape: Vec<usize>) -> Self {
        let strides = Self::column_major(shape.iter().rev().copied().collect()).strides;
        Self { strides: strides.into_iter().rev().collect(), shape, offset: 0 }
    }

    /// Refuses views that are malformed or reach beyond a storage of `stored` elements.
    pub fn check(&self, stored: usize) -> Result<(), String> {
        if self.shape.len() != self.strides.len() {
            return Err(format!("it has {} axes but {} strides", self.shape.len(), self.strides.len()));
        }
        if self.shape.len() > MAX_AXES {
            return Err(format!("it has {} axes; up to {MAX_AXES} are read", self.shape.len()));
        }
        let count = element_count(&self.shape).ok_or_else(|| format!("its shape {:?} overflows", self.shape))?;
        if count == 0 {
            return Ok(());
        }
        let steps = self.shape.iter().zip(&self.strides).try_fold(self.offset, |at, (&n, &stride)| {
            n.saturating_sub(1).checked_mul(stride).and_then(|reach| at.checked_add(reach))
        });
        match steps {
            Some(last) if last < stored => Ok(()),
            _ => Err(format!(
                "its shape {:?}, strides {:?} and offset {} reach beyond its storage of {stored} elements",
                self.shape, self.strides, self.offset
            )),
        }
    }

    /// The array that this view shows of `storage`. It shares a storage that it shows as a whole and copies otherwise;
    /// copies count against `budget`, because a view may repeat elements without end.
    pub fn take(&self, storage: &Arc<Vec<u8>>, dtype: Dtype, budget: &mut Budget) -> Result<Array, String> {
        self.check(storage.len() / dtype.size())?;
        let bytes = byte_len(&self.shape, dtype)?;
        budget.spend(bytes as u64)?;
        if bytes == storage.len() && self.offset == 0 && self.is_dense() {
            return Array::new(self.shape.clone(), dtype, Arc::clone(storage));
        }
        let mut data = Vec::new();
        data.try_reserve_exact(bytes).map_err(|_| format!("its {bytes} bytes do not fit into memory"))?;
        if bytes > 0 {
            self.gather(storage, dtype.size(), 0, self.offset, &mut data)?;
        }
        Array::new(self.shape.clone(), dtype, Arc::new(data))
    }

    /// Whether its elements lie one after the other, in its own order.
    pub fn is_dense(&self) -> bool {
        let dense = Self::row_major(self.shape.clone()).strides;
        // The stride along an axis of one element is never used.
        self.shape.iter().zip(self.strides.iter().zip(dense)).all(|(&n, (&a, b))| n <= 1 || a == b)
    }

    /// Appends everything below axis `axis`, starting at element `at`.
    fn gather(&self, storage: &[u8], size: usize, axis: usize, at: usize, out: &mut Vec<u8>) -> Result<(), String> {
        let (Some(&n), Some(&stride)) = (self.shape.get(axis), self.strides.get(axis)) else {
            let element = storage.get(at * size..(at + 1) * size).ok_or("it reaches beyond its storage")?;
            out.extend_from_slice(element);
            return Ok(());
        };
        if axis + 1 == self.shape.len() && stride == 1 {
            let row = storage.get(at * size..(at + n) * size).ok_or("it reaches beyond its storage")?;
            out.extend_from_slice(row);
            return Ok(());
        }
        (0..n).try_for_each(|i| self.gather(storage, size, axis + 1, at + i * stride, out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(shape: &[usize], strides: &[usize], offset: usize) -> View {
        View { shape: shape.to_vec(), strides: strides.to_vec(), offset }
    }

    fn take(view: &View, storage: &[u8]) -> Result<Vec<u8>, String> {
        view.take(&Arc::new(storage.to_vec()), Dtype::U8, &mut Budget::for_file(0)).map(|a| a.bytes().to_vec())
    }

    #[test]
    fn views_read_the_elements_that_they_name() {
        let storage = [0, 1, 2, 3, 4, 5];
        assert_eq!(take(&view(&[3, 2], &[1, 3], 0), &storage).unwrap(), [0, 3, 1, 4, 2, 5]);
        assert_eq!(take(&view(&[2, 2], &[3, 2], 0), &storage).unwrap(), [0, 2, 3, 5]);
        assert_eq!(take(&view(&[2, 3], &[0, 1], 3), &storage).unwrap(), [3, 4, 5, 3, 4, 5]);
        assert_eq!(take(&view(&[], &[], 5), &storage).unwrap(), [5]);
        assert_eq!(take(&view(&[0, 9], &[7, 7], 99), &storage).unwrap(), [0u8; 0]);
        assert_eq!(take(&View::column_major(vec![2, 3]), &storage).unwrap(), [0, 2, 4, 1, 3, 5]);
        assert_eq!(take(&View::row_major(vec![2, 3]), &storage).unwrap(), storage);
    }

    #[test]
    fn views_beyond_the_storage_are_refused() {
        let storage = [0, 1, 2, 3, 4, 5];
        for (shape, strides, offset) in [
            (vec![7], vec![1], 0),
            (vec![6], vec![1], 1),
            (vec![2, 2], vec![4, 2], 0),
            (vec![2], vec![usize::MAX], 1),
            (vec![usize::MAX], vec![usize::MAX], 0),
            (vec![usize::MAX, 2], vec![0, 0], 0),
            (vec![2], vec![], 0),
            (vec![1; MAX_AXES + 1], vec![1; MAX_AXES + 1], 0),
            (vec![], vec![], 6),
        ] {
            assert!(take(&view(&shape, &strides, offset), &storage).is_err(), "{shape:?} {strides:?} {offset}");
        }
    }

    #[test]
    fn a_view_that_repeats_one_element_without_end_is_refused_before_memory_is_taken() {
        let message = take(&view(&[1 << 40], &[0], 0), &[1]).unwrap_err();
        assert!(message.contains("made to fill the memory"), "{message}");
    }

    #[test]
    fn a_storage_that_is_shown_as_a_whole_is_shared() {
        let storage = Arc::new(vec![1u8, 2]);
        let array = View::row_major(vec![2, 1]).take(&storage, Dtype::U8, &mut Budget::for_file(0)).unwrap();
        assert_eq!(array.bytes().as_ptr(), storage.as_ptr());
    }
}
