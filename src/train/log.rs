//! `train.csv`, written as training goes.

use crate::atomic;
use crate::error::{Error, Result};
use crate::train::Row;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

const FILE: &str = "train.csv";

/// An open `train.csv`.
pub(super) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// A new file with its header, or at `step` above 0 the earlier one, cut off behind that step.
    pub fn open(out: &Path, bands: &[String], step: u64) -> Result<Self> {
        let path = out.join(FILE);
        let header = format!("step,loss,mse,{},gradient_norm,learning_rate,images_per_second", bands.join(","));
        let earlier = if step == 0 { String::new() } else { fs::read_to_string(&path).unwrap_or_default() };
        let kept = earlier.lines().skip(1).filter(|line| {
            let number = line.split(',').next().and_then(|number| number.parse::<u64>().ok());
            number.is_some_and(|number| number <= step)
        });
        let text: String = std::iter::once(header.as_str()).chain(kept).flat_map(|line| [line, "\n"]).collect();
        atomic::write(&path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(&path).map_err(|e| Error::io(&path, "opening", &e))?;
        Ok(Log { path, file })
    }

    /// Appends a row. A value that does not exist is empty.
    pub fn write(&mut self, row: &Row) -> Result<()> {
        let bands: Vec<String> =
            row.bands.iter().map(|band| band.map_or(String::new(), |mse| mse.to_string())).collect();
        let line = format!(
            "{},{},{},{},{},{},{:.2}\n",
            row.step,
            row.loss,
            row.mse,
            bands.join(","),
            row.gradient_norm,
            row.learning_rate,
            row.images_per_second
        );
        self.file.write_all(line.as_bytes()).map_err(|e| Error::io(&self.path, "writing", &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_log_loses_what_came_after_its_state() {
        let dir = tempfile::tempdir().unwrap();
        let row = |step| Row {
            step,
            loss: 0.5,
            mse: 0.25,
            bands: vec![Some(1.0), None],
            gradient_norm: 2.0,
            learning_rate: 0.001,
            images_per_second: 10.0,
        };
        let bands = ["a".to_string(), "b".to_string()];
        let mut log = Log::open(dir.path(), &bands, 0).unwrap();
        for step in [10, 20, 30] {
            log.write(&row(step)).unwrap();
        }
        let mut log = Log::open(dir.path(), &bands, 20).unwrap();
        log.write(&row(30)).unwrap();
        let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
        let steps: Vec<&str> = text.lines().map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!(steps, ["step", "10", "20", "30"]);
        assert!(text.lines().nth(1).unwrap().starts_with("10,0.5,0.25,1,,2,0.001,"), "{text}");
        Log::open(dir.path(), &bands, 0).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap().lines().count(), 1);
    }
}
