//! `.npy` files: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use super::array::{Array, Dtype, byte_len, swap_bytes};
use super::budget::Budget;
use super::layout::View;
use std::sync::Arc;

/// What the header of a `.npy` file says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub shape: Vec<usize>,
    pub dtype: Dtype,
    big_endian: bool,
    pub column_major: bool,
    /// Where the numbers begin.
    pub data_start: usize,
}

/// Bytes that hold any header: NumPy itself reads no longer ones.
pub(super) const MAX_HEADER: usize = 10_000 + 12;

impl Header {
    /// Reads the header from the beginning of a file.
    pub fn parse(start: &[u8]) -> Result<Self, String> {
        let cut = || "it ends within its header".to_string();
        if !start.starts_with(b"\x93NUMPY") {
            return Err("it is not a .npy file".into());
        }
        let version = *start.get(6).ok_or_else(cut)?;
        let (length, text_start) = match (version, start.get(8..12)) {
            (1, Some(&[a, b, _, _])) => (usize::from(u16::from_le_bytes([a, b])), 10),
            (2 | 3, Some(&[a, b, c, d])) => (u32::from_le_bytes([a, b, c, d]) as usize, 12),
            (1..=3, _) => return Err(cut()),
            _ => return Err(format!("its .npy version is {version}; 1 to 3 are read")),
        };
        let data_start = text_start + length;
        if data_start > MAX_HEADER {
            return Err(format!("its header claims {length} bytes, more than any array of numbers needs"));
        }
        let text = std::str::from_utf8(start.get(text_start..data_start).ok_or_else(cut)?)
            .map_err(|_| "its header is not text".to_string())?;
        let (dtype, big_endian) = dtype_of(field(text, "descr")?)?;
        let column_major = match field(text, "fortran_order")? {
            rest if rest.starts_with("True") => true,
            rest if rest.starts_with("False") => false,
            _ => return Err("its fortran_order is neither True nor False".into()),
        };
        let shape = shape_of(field(text, "shape")?)?;
        byte_len(&shape, dtype)?;
        Ok(Self { shape, dtype, big_endian, column_major, data_start })
    }

    /// Whether the bytes of each element are to be turned.
    pub fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// Refuses a file that is not as long as its array; gives the bytes of the array.
    pub fn check_length(&self, file_bytes: u64) -> Result<u64, String> {
        let data = byte_len(&self.shape, self.dtype)?;
        let wanted = data.checked_add(self.data_start).ok_or_else(|| "its size overflows".to_string())? as u64;
        if file_bytes != wanted {
            let problem = if file_bytes < wanted { "it is cut short" } else { "it goes on after its array" };
            let (shape, dtype) = (&self.shape, self.dtype);
            return Err(format!(
                "{problem}: {shape:?} of {dtype} takes {wanted} bytes with the header, and there are {file_bytes}"
            ));
        }
        Ok(data as u64)
    }
}

/// Reads the array of a whole `.npy` file.
pub(super) fn parse(mut file: Vec<u8>, budget: &mut Budget) -> Result<Array, String> {
    let header = Header::parse(&file)?;
    header.check_length(file.len() as u64)?;
    file.drain(..header.data_start);
    if header.big_endian {
        swap_bytes(&mut file, header.dtype.size());
    }
    let data = Arc::new(file);
    if header.column_major {
        return View::column_major(header.shape).take(&data, header.dtype, budget);
    }
    Array::new(header.shape, header.dtype, data)
}

/// The text after `'name':` in the header, which is a Python dict with these three keys and nothing nested in quotes.
fn field<'a>(text: &'a str, name: &str) -> Result<&'a str, String> {
    [format!("'{name}'"), format!("\"{name}\"")]
        .iter()
        .find_map(|key| text.split_once(key.as_str()))
        .and_then(|(_, rest)| rest.trim_start().strip_prefix(':'))
        .map(str::trim_start)
        .ok_or_else(|| format!("its header has no '{name}'"))
}

fn dtype_of(text: &str) -> Result<(Dtype, bool), String> {
    let quoted = text.strip_prefix(['\'', '"']).and_then(|rest| rest.split(['\'', '"']).next());
    let Some(descr) = quoted else {
        return Err("its elements are records, not numbers".into());
    };
    let (order, code) = match descr.chars().next() {
        Some(order @ ('<' | '>' | '|' | '=')) => (order, &descr[1..]),
        _ => ('|', descr),
    };
    let dtype = match code {
        "f2" => Dtype::F16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        "i1" => Dtype::I8,
        "i2" => Dtype::I16,
        "i4" => Dtype::I32,
        "i8" => Dtype::I64,
        "u1" => Dtype::U8,
        "u2" => Dtype::U16,
        "u4" => Dtype::U32,
        "u8" => Dtype::U64,
        "b1" => Dtype::Bool,
        "O" => return Err("its elements are Python objects, which would have to be unpickled; numbers are read".into()),
        _ => return Err(format!("its elements are of type {descr}; real numbers, integers and booleans are read")),
    };
    Ok((dtype, order == '>'))
}

fn shape_of(text: &str) -> Result<Vec<usize>, String> {
    let inside = text.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(inside, _)| inside);
    let axes = inside.ok_or("its shape is not a tuple")?.split(',').map(str::trim).filter(|axis| !axis.is_empty());
    // Python 2 wrote lengths as `3L`.
    let lengths = axes.map(|axis| axis.trim_end_matches('L').parse::<usize>());
    lengths
        .collect::<Result<_, _>>()
        .map_err(|_| format!("its shape ({}) is not made of lengths", inside.unwrap_or("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn read(header: &str, data: &[u8]) -> Result<Array, String> {
        parse(file(header, data), &mut Budget::for_file(0))
    }

    #[test]
    fn big_endian_and_column_major_are_put_in_order() {
        let array =
            read("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 2L), }", &[0, 1, 0, 2, 0, 3, 1, 0]).unwrap();
        assert_eq!(array.to_i64(), Some(vec![1, 3, 2, 256]));
    }

    #[test]
    fn lying_headers_are_refused() {
        for (header, says) in [
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "cut short"),
            ("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", "goes on"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 8), }", "too large"),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "Python objects"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "records"),
            ("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "<c8"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "lengths"),
            ("{'descr': '<f4', 'shape': (1,), }", "fortran_order"),
            ("{'descr': 'é4', 'fortran_order': False, 'shape': (1,), }", "é4"),
            ("", "header"),
        ] {
            let message = read(header, &[0; 4]).unwrap_err();
            assert!(message.contains(says), "{header}: {message}");
        }
    }

    #[test]
    fn a_header_that_is_cut_or_too_long_is_refused() {
        assert!(Header::parse(b"\x93NUMPY\x01\x00\xff").is_err());
        assert!(Header::parse(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").is_err());
        assert!(Header::parse(b"\x93NUMPY\x09\x00\x01\x00\x00\x00").is_err());
    }
}
