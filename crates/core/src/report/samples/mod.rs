//! Samples of a model: the numbers as a file that every tool reads, a picture of them, and how they came about.

mod gallery;
mod scatter;

use super::{Artifact, FigureFormat, Provenance, Warning};
use crate::error::{Error, Result};
use clap::ValueEnum;
use ndarray::{ArrayD, IxDyn};
use ndarray_npy::WriteNpyExt;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Stem of the files.
const STEM: &str = "samples";
/// Key of the plan in a safetensors file's metadata.
const PLAN: &str = "lipscope-sample";

/// The name of the file of a [`SampleReport`].
pub const ACCOUNT: &str = "sample.json";

/// What [`ACCOUNT`] holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SampleReport {
    /// [`super::SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// `sample`.
    pub command: String,
    /// How the samples came about.
    pub provenance: Provenance,
    /// How many.
    pub samples: u64,
    /// Network evaluations that each of them took.
    pub nfe: u64,
    /// Samples that hold a NaN or an infinity.
    pub non_finite: u64,
    /// Mean over all finite numbers; `None` where there is none.
    pub mean: Option<f64>,
    /// Standard deviation of them.
    pub std: Option<f64>,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// Names of the files beside this one.
    pub files: Vec<String>,
    /// What a reader must know.
    pub warnings: Vec<Warning>,
}

/// Samples, one after the other.
#[derive(Debug)]
pub struct SampleSet {
    /// N · D numbers.
    pub values: Vec<f32>,
    /// Shape of one sample, with D elements.
    pub shape: Vec<i64>,
}

/// How the numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SampleFormat {
    /// One float32 tensor `samples` [N, …], and the plan in the metadata
    #[default]
    Safetensors,
    /// float32 [N, …]
    Npy,
}

impl SampleSet {
    /// D.
    fn dim(&self) -> usize {
        self.shape.iter().product::<i64>().max(1) as usize
    }

    /// Samples with a number that is not finite.
    pub fn non_finite(&self) -> u64 {
        self.values.chunks_exact(self.dim()).filter(|sample| sample.iter().any(|x| !x.is_finite())).count() as u64
    }

    /// Mean, standard deviation, smallest and largest of the finite numbers.
    pub fn moments(&self) -> Option<[f64; 4]> {
        let finite = || self.values.iter().filter(|x| x.is_finite()).map(|x| f64::from(*x));
        let count = finite().count() as f64;
        let mean = finite().sum::<f64>() / count;
        let variance = finite().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let (min, max) = (finite().reduce(f64::min)?, finite().reduce(f64::max)?);
        Some([mean, variance.sqrt(), min, max])
    }

    /// N and the shape of one sample.
    fn full_shape(&self) -> Vec<usize> {
        let count = self.values.len() / self.dim();
        std::iter::once(count).chain(self.shape.iter().map(|size| *size as usize)).collect()
    }

    /// The numbers as a file; `plan` is JSON.
    pub fn file(&self, format: SampleFormat, plan: &str) -> Result<Artifact> {
        match format {
            SampleFormat::Safetensors => self.safetensors(plan),
            SampleFormat::Npy => self.npy(),
        }
    }

    fn safetensors(&self, plan: &str) -> Result<Artifact> {
        let bytes: Vec<u8> = self.values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let metadata = HashMap::from([(PLAN.to_string(), plan.to_string())]);
        let view = TensorView::new(Dtype::F32, self.full_shape(), &bytes).map_err(failed)?;
        let file = safetensors::serialize([(STEM, view)], Some(metadata)).map_err(failed)?;
        Ok(Artifact::new(format!("{STEM}.safetensors"), file))
    }

    fn npy(&self) -> Result<Artifact> {
        let array = ArrayD::from_shape_vec(IxDyn(&self.full_shape()), self.values.clone()).map_err(failed)?;
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).map_err(failed)?;
        Ok(Artifact::new(format!("{STEM}.npy"), bytes))
    }

    /// The samples side by side, if they are images of one or three channels; as dots, if they are points in the plane;
    /// `None` for other shapes.
    pub fn picture(&self) -> Result<Option<Artifact>> {
        match self.shape.as_slice() {
            [1 | 3, height, width] if *height > 0 && *width > 0 => gallery::gallery(self).map(Some),
            [2] => {
                let points: Vec<[f64; 2]> =
                    self.values.chunks_exact(2).map(|pair| [pair[0], pair[1]].map(f64::from)).collect();
                scatter::scatter(&points)?.map(|figure| figure.artifact(FigureFormat::Png)).transpose()
            }
            _ => Ok(None),
        }
    }
}

fn failed(e: impl std::fmt::Display) -> Error {
    Error::mismatch(format!("the samples cannot be written ({e})"), "Please report this.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor_file;

    fn set(count: usize, shape: &[i64]) -> SampleSet {
        let dim: i64 = shape.iter().product();
        let values = (0..count as i64 * dim).map(|i| ((i * 37 % 101) as f32) / 50.0 - 1.0).collect();
        SampleSet { values, shape: shape.to_vec() }
    }

    #[test]
    fn files_hold_the_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let set = set(5, &[3, 2, 4]);
        for (format, name) in [(SampleFormat::Safetensors, "samples"), (SampleFormat::Npy, tensor_file::UNNAMED)] {
            let path = set.file(format, r#"{"seed": 1}"#).unwrap().write(folder.path()).unwrap();
            let file = tensor_file::read(&path).unwrap();
            let array = file.get(name).unwrap();
            assert_eq!(array.shape(), [5, 3, 2, 4]);
            assert!(array.to_f32().unwrap().iter().eq(&set.values));
            let plan: Vec<&str> = file.metadata.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(plan, if format == SampleFormat::Npy { vec![] } else { vec![r#"{"seed": 1}"#] });
        }
    }

    #[test]
    fn what_is_not_finite_is_counted_and_left_out_of_the_moments() {
        let values = vec![0.0, 1.0, f32::NAN, 1.0, f32::INFINITY, 2.0, 0.0, 1.0];
        let set = SampleSet { values, shape: vec![2] };
        assert_eq!(set.non_finite(), 2);
        let [mean, std, min, max] = set.moments().unwrap();
        assert!((mean - 5.0 / 6.0).abs() < 1e-12 && (std - (17.0f64 / 36.0).sqrt()).abs() < 1e-12);
        assert_eq!((min, max), (0.0, 2.0));
        assert!(SampleSet { values: vec![f32::NAN], shape: vec![1] }.moments().is_none());
    }

    #[test]
    fn pictures_are_made_of_images_and_points_only() {
        for (shape, there) in
            [(vec![1, 8, 8], true), (vec![3, 4, 6], true), (vec![2], true), (vec![5], false), (vec![4, 8, 8], false)]
        {
            assert_eq!(set(7, &shape).picture().unwrap().is_some(), there, "{shape:?}");
        }
        let nothing = SampleSet { values: vec![f32::NAN; 4], shape: vec![2] };
        assert!(nothing.picture().unwrap().is_none());
    }
}
