//! Values of which a command may take several, where others take one.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// `--data-limit`: numbers of samples, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataLimits(Vec<Option<usize>>);

impl DataLimits {
    /// In the order in which they were typed; `None` for all.
    pub fn all(&self) -> &[Option<usize>] {
        &self.0
    }

    /// The only one.
    ///
    /// # Errors
    /// There are several.
    pub fn single(&self) -> Result<Option<usize>> {
        match self.0[..] {
            [one] => Ok(one),
            _ => Err(Error::argument(
                "--data-limit",
                self,
                "several numbers are for theory --data FILE, which draws a curve for each",
                "Give one number.",
            )),
        }
    }
}

impl From<Option<usize>> for DataLimits {
    fn from(limit: Option<usize>) -> Self {
        DataLimits(vec![limit])
    }
}

impl FromStr for DataLimits {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let one = |word: &str| match word.trim() {
            "all" => Some(None),
            number => number.parse().ok().filter(|number| *number > 0).map(Some),
        };
        let limits: Option<Vec<Option<usize>>> = text.split(',').map(one).collect();
        let distinct = |all: &Vec<Option<usize>>| all.iter().enumerate().all(|(i, limit)| !all[..i].contains(limit));
        limits.filter(distinct).map(DataLimits).ok_or_else(|| {
            let allowed = "it is a whole number above 0, or all, or different ones with commas between";
            Error::argument("--data-limit", text, allowed, "Such as --data-limit 1000, or for theory 50,200,all.")
        })
    }
}

impl fmt::Display for DataLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(|limit| limit.map_or("all".into(), |n| n.to_string())).collect();
        f.write_str(&words.join(","))
    }
}

/// `--guidance`: one w or several.
#[derive(Debug, Clone, PartialEq)]
pub struct Scales(Vec<f64>);

impl Scales {
    /// In the order in which they were typed.
    pub fn all(&self) -> &[f64] {
        &self.0
    }

    /// The only one.
    ///
    /// # Errors
    /// There are several.
    pub fn single(&self) -> Result<f64> {
        match self.0[..] {
            [one] => Ok(one),
            _ => Err(Error::argument(
                "--guidance",
                self,
                "several w are for measure, which draws a curve for each",
                "Give one w.",
            )),
        }
    }
}

impl From<f64> for Scales {
    fn from(scale: f64) -> Self {
        Scales(vec![scale])
    }
}

impl FromStr for Scales {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let scales: Option<Vec<f64>> = text.split(',').map(|word| word.trim().parse().ok()).collect();
        let distinct = |all: &Vec<f64>| {
            all.iter().all(|scale| scale.is_finite())
                && all.iter().enumerate().all(|(i, scale)| !all[..i].contains(scale))
        };
        scales.filter(distinct).map(Scales).ok_or_else(|| {
            let allowed =
                "it is a finite number, w in (1 + w) ε(x, t, c) − w ε(x, t, ∅), or different ones with commas between";
            Error::argument("--guidance", text, allowed, "Such as --guidance 2, or for measure 0,1,3,7.5.")
        })
    }
}

impl fmt::Display for Scales {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(f64::to_string).collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_as_they_were_typed() {
        let limits: DataLimits = "50,200,all".parse().unwrap();
        assert_eq!((limits.all(), limits.to_string().as_str()), (&[Some(50), Some(200), None][..], "50,200,all"));
        assert!(limits.single().unwrap_err().to_string().contains("theory"));
        assert_eq!("all".parse::<DataLimits>().unwrap().single().unwrap(), None);
        assert!(["", "0", "5,5", "-1", "many", "5,"].iter().all(|text| text.parse::<DataLimits>().is_err()));
        let scales: Scales = "0,1,7.5".parse().unwrap();
        assert_eq!((scales.all(), scales.to_string().as_str()), (&[0.0, 1.0, 7.5][..], "0,1,7.5"));
        assert!(scales.single().is_err() && Scales::from(2.0).single().unwrap() == 2.0);
        assert!(["", "a", "1,1", "1,,2", "nan", "1,inf"].iter().all(|text| text.parse::<Scales>().is_err()));
    }
}
