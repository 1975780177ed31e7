//! From stored values to the numbers that a model sees.

use crate::error::{Error, Result};
use crate::tensor_file::Dtype;
use std::str::FromStr;

/// How stored values became numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scaling {
    /// Unchanged.
    AsTheyAre,
    /// x = 2 (stored − low) / (high − low) − 1, so that low…high becomes [−1, 1].
    Range {
        /// The stored value that becomes −1.
        low: f64,
        /// The stored value that becomes 1.
        high: f64,
        /// What the stored values are, such as `integers`.
        what: &'static str,
    },
}

impl Scaling {
    /// Integer images of one byte.
    pub const BYTES: Scaling = Scaling::Range { low: 0.0, high: 255.0, what: "integers" };

    /// That of a type, where nothing else is said: integers are images of 0…255, floats are taken as they are.
    pub(super) fn of(dtype: Dtype) -> Self {
        match dtype {
            dtype if dtype.is_float() => Scaling::AsTheyAre,
            Dtype::Bool => Scaling::Range { low: 0.0, high: 1.0, what: "booleans" },
            _ => Scaling::BYTES,
        }
    }

    /// The number that a stored value becomes.
    pub fn apply(self, stored: f64) -> f64 {
        match self {
            Scaling::AsTheyAre => stored,
            Scaling::Range { low, high, .. } => 2.0 * (stored - low) / (high - low) - 1.0,
        }
    }
}

impl std::fmt::Display for Scaling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scaling::AsTheyAre => f.write_str("as they are"),
            Scaling::Range { low, high, what } => write!(f, "{what} {low}…{high} to [−1, 1]"),
        }
    }
}

/// What `--scale` asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScaleOverride {
    /// `none`: take the stored values as they are.
    None,
    /// `a..b`: a becomes −1 and b becomes 1.
    Range(f64, f64),
}

impl ScaleOverride {
    /// The scaling that was asked for.
    pub fn scaling(self) -> Scaling {
        match self {
            ScaleOverride::None => Scaling::AsTheyAre,
            ScaleOverride::Range(low, high) => Scaling::Range { low, high, what: "values" },
        }
    }
}

impl FromStr for ScaleOverride {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.trim() == "none" {
            return Ok(ScaleOverride::None);
        }
        let ends = text.split_once("..").and_then(|(a, b)| Some((number(a)?, number(b)?)));
        match ends {
            Some((low, high)) if low < high && (high - low).is_finite() => Ok(ScaleOverride::Range(low, high)),
            _ => {
                let allowed = "it is none, or a range a..b of stored values with a < b, which becomes −1 to 1";
                Err(Error::argument("--scale", text, allowed, "Try 0..255, 0..1 or none."))
            }
        }
    }
}

impl std::fmt::Display for ScaleOverride {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ScaleOverride::None => f.write_str("none"),
            ScaleOverride::Range(low, high) => write!(f, "{low}..{high}"),
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|x: &f64| x.is_finite())
}

/// What is odd about numbers between `min` and `max`, where [−1, 1] was expected.
pub(super) fn range_warning(min: f64, max: f64) -> Option<String> {
    let about = |x: f64, end: f64| (x - end).abs() <= 0.5;
    if about(min, -1.0) && about(max, 1.0) {
        return None;
    }
    let next = if min >= 0.0 && max <= 1.0 {
        "If they are images of 0 to 1, say --scale 0..1".to_string()
    } else if min >= 0.0 && max <= 255.0 {
        "If they are images of 0 to 255, say --scale 0..255".to_string()
    } else {
        format!("To map this range to [−1, 1], say --scale {min}..{max}")
    };
    Some(format!(
        "the data's values lie between {min} and {max}, not about [−1, 1], and are taken as they are. {next}; if they are \
         meant so, --scale none."
    ))
}

/// The range that integers between `min` and `max` were probably made for: that of the type where it has 8 or 16 bits, and
/// never a range that depends on which samples there are.
pub(super) fn integer_range(dtype: Dtype, min: f64, max: f64) -> (f64, f64) {
    match dtype {
        Dtype::I8 => (-128.0, 127.0),
        Dtype::I16 if min < 0.0 => (-32768.0, 32767.0),
        Dtype::U16 => (0.0, 65535.0),
        _ if min >= 0.0 && max <= 65535.0 => (0.0, 65535.0),
        _ => (min, max),
    }
}

/// What is odd about bytes of at most `max`, where 0…255 was expected.
pub(super) fn integer_warning(max: f64) -> Option<String> {
    (max <= 1.0).then(|| {
        format!(
            "the data's integers are {max} at most, but are scaled from 0…255. If they are masks, say --scale 0..1."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_and_the_middle_land_where_they_should() {
        assert_eq!([0.0, 127.5, 255.0].map(|x| Scaling::BYTES.apply(x)), [-1.0, 0.0, 1.0]);
        let scaling = "-2..6".parse::<ScaleOverride>().unwrap().scaling();
        assert_eq!([-2.0, 2.0, 6.0].map(|x| scaling.apply(x)), [-1.0, 0.0, 1.0]);
        assert_eq!(Scaling::BYTES.to_string(), "integers 0…255 to [−1, 1]");
    }

    #[test]
    fn overrides_are_read_and_nonsense_is_refused() {
        assert_eq!("none".parse::<ScaleOverride>().unwrap(), ScaleOverride::None);
        assert_eq!("0..1".parse::<ScaleOverride>().unwrap(), ScaleOverride::Range(0.0, 1.0));
        for text in ["", "1", "1..0", "0..0", "0..inf", "nan..1", "a..b", "0..", "-1e308..1e308"] {
            let message = text.parse::<ScaleOverride>().unwrap_err().to_string();
            assert!(message.starts_with("--scale is"), "{message}");
        }
    }

    #[test]
    fn integers_have_the_range_of_their_type() {
        assert_eq!(integer_range(Dtype::U16, 257.0, 65278.0), (0.0, 65535.0));
        assert_eq!(integer_range(Dtype::I16, -5.0, 900.0), (-32768.0, 32767.0));
        assert_eq!(integer_range(Dtype::I16, 0.0, 4095.0), (0.0, 65535.0));
        assert_eq!(integer_range(Dtype::I8, -3.0, 3.0), (-128.0, 127.0));
        assert_eq!(integer_range(Dtype::I64, -7.0, 7.0), (-7.0, 7.0));
    }

    #[test]
    fn only_odd_ranges_are_warned_about() {
        assert_eq!(range_warning(-0.9, 1.2), None);
        assert!(range_warning(0.0, 1.0).unwrap().contains("--scale 0..1"));
        assert!(range_warning(0.0, 255.0).unwrap().contains("--scale 0..255"));
        assert!(range_warning(-4.0, 3.0).unwrap().contains("--scale -4..3"));
        assert!(integer_warning(1.0).is_some() && integer_warning(16.0).is_none());
    }
}
