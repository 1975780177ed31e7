//! Amounts of memory, as they are typed.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A number of bytes: `0`, `500MB`, `4GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// What is held in memory where nothing is said.
impl Default for ByteSize {
    fn default() -> Self {
        ByteSize(4 << 30)
    }
}

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let typed = text.trim();
        let unit = UNITS.iter().find_map(|(unit, bytes)| Some((typed.strip_suffix(unit)?, *bytes)));
        let (number, bytes) = unit.unwrap_or((typed, 1));
        let size = number.trim().parse::<f64>().ok().map(|number| number * bytes as f64);
        match size.filter(|size| (0.0..1e18).contains(size)) {
            Some(size) => Ok(ByteSize(size as u64)),
            None => {
                let allowed = "it is a number of bytes, such as 0, 500MB or 4GiB";
                Err(Error::argument("--data-memory", text, allowed, "Give one of these."))
            }
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        let unit = UNITS[..4].iter().rev().find(|(_, size)| self.0 >= *size);
        match unit {
            Some((unit, size)) if self.0.is_multiple_of(*size) => write!(f, "{}{unit}", self.0 / size),
            Some((unit, size)) => write!(f, "{:.1}{unit}", bytes / *size as f64),
            None => write!(f, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        let read = |text: &str| text.parse::<ByteSize>().map(|size| size.0);
        assert_eq!(
            ["0", "12", "1.5KiB", "500MB", "4 GiB"].map(|t| read(t).unwrap()),
            [0, 12, 1536, 500_000_000, 4 << 30]
        );
        for text in ["", "-1", "4G", "GiB", "nan", "1e30"] {
            assert!(read(text).unwrap_err().to_string().contains("--data-memory"), "{text}");
        }
        assert_eq!([0, 4 << 30, 3 << 29].map(|bytes| ByteSize(bytes).to_string()), ["0B", "4GiB", "1.5GiB"]);
    }
}
