//! What `--data` says.

use super::points::Points;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A data source, as it is typed.
#[derive(Debug, Clone, PartialEq)]
pub enum DataSpec {
    /// `digits`: the embedded 8×8 digits.
    Digits,
    /// `mnist-1000`: 1,000 embedded 28×28 digits of MNIST.
    Mnist1000,
    /// `moons`, `swiss-roll`, `checkerboard`: embedded points in the plane.
    Points(Points),
    /// `eight-gaussians`: a mixture in the plane, in closed form.
    EightGaussians,
    /// `mnist:DIR`: a folder with MNIST's idx files, or those of a data set in the same form.
    Mnist(PathBuf),
    /// `cifar10:DIR`: a folder with CIFAR-10's binary version.
    Cifar10(PathBuf),
    /// A file of arrays, and which of them where that was said: `FILE#ARRAY`.
    File(PathBuf, Option<String>),
    /// `images:DIR`: a folder of pictures.
    Images(PathBuf),
    /// `tar:PATTERN`: pictures in tar files, in WebDataset's layout.
    Tar(PathBuf),
    /// `parquet:PATTERN`: pictures in a column of parquet files, and which where that was said: `PATTERN#COLUMN`.
    Parquet(PathBuf, Option<String>),
    /// `gaussian:…`: a Gaussian in closed form.
    Gaussian(GaussianSpec),
    /// `mixture:FILE`: a mixture of Gaussians in closed form.
    Mixture(PathBuf),
    /// `model`: samples that the checkpoint makes itself.
    Model,
}

/// A Gaussian, as it is typed.
#[derive(Debug, Clone, PartialEq)]
pub enum GaussianSpec {
    /// `gaussian:mean=0,std=0.5,dim=1`: the same mean and standard deviation along every one of `dim` axes.
    Isotropic {
        /// Mean along every axis; 0 if not given.
        mean: f64,
        /// Standard deviation along every axis, at least 0; 0.5 if not given.
        std: f64,
        /// Number of axes, at least 1; 1 if not given.
        dim: usize,
    },
    /// `gaussian:FILE`: arrays `mean`, and `std` or `cov`.
    File(PathBuf),
}

const ALLOWED: &str = "it is one of digits, mnist-1000, moons, swiss-roll, checkerboard, eight-gaussians, mnist:DIR, cifar10:DIR, images:DIR, tar:FILES, parquet:FILES, model, gaussian:mean=0,std=0.5,dim=1, \
                       gaussian:FILE, mixture:FILE, or a file of arrays (.npy, .npz, .safetensors, .pt), FILE#ARRAY for one of several";

impl FromStr for DataSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |next: &str| Err(Error::argument("--data", text, ALLOWED, next));
        let path = |rest: &str| PathBuf::from(rest);
        if let Some(points) = Points::parse(text) {
            return points.map(DataSpec::Points);
        }
        match text.split_once(':') {
            Some((kind @ ("mnist" | "cifar10" | "images" | "tar" | "parquet" | "mixture"), "")) => {
                return refuse(&format!("Name a place after `{kind}:`."));
            }
            Some(("mnist", rest)) => return Ok(DataSpec::Mnist(path(rest))),
            Some(("cifar10", rest)) => return Ok(DataSpec::Cifar10(path(rest))),
            Some(("tar", rest)) => return Ok(DataSpec::Tar(path(rest))),
            Some(("parquet", rest)) => {
                return Ok(match rest.rsplit_once('#').filter(|_| !Path::new(rest).exists()) {
                    Some((files, column)) if !column.is_empty() => DataSpec::Parquet(path(files), Some(column.into())),
                    _ => DataSpec::Parquet(path(rest), None),
                });
            }
            Some(("images", rest)) => return Ok(DataSpec::Images(path(rest))),
            Some(("mixture", rest)) => return Ok(DataSpec::Mixture(path(rest))),
            Some(("gaussian", rest)) => return gaussian(text, rest).map(DataSpec::Gaussian),
            _ => {}
        }
        match text {
            "digits" => Ok(DataSpec::Digits),
            "mnist-1000" => Ok(DataSpec::Mnist1000),
            "eight-gaussians" => Ok(DataSpec::EightGaussians),
            "model" => Ok(DataSpec::Model),
            "gaussian" => gaussian(text, "").map(DataSpec::Gaussian),
            "mnist" | "cifar10" | "images" | "tar" | "parquet" | "mixture" => {
                refuse(&format!("Name a place: `{text}:PATH`."))
            }
            _ if !Path::new(text).exists() && text.contains('#') => match text.rsplit_once('#') {
                Some((file, array)) if !file.is_empty() && !array.is_empty() => {
                    Ok(DataSpec::File(path(file), Some(array.into())))
                }
                _ => refuse("Name a file before the # and one of its arrays behind it."),
            },
            // A name without a dot or slash is a misspelt keyword, unless there is such a file.
            _ if text.contains(['.', '/', '\\']) || Path::new(text).is_file() => Ok(DataSpec::File(path(text), None)),
            _ => refuse("If it is a file, write ./ before its name."),
        }
    }
}

fn gaussian(text: &str, rest: &str) -> Result<GaussianSpec> {
    if !rest.is_empty() && !rest.contains('=') {
        return Ok(GaussianSpec::File(rest.into()));
    }
    let (mut mean, mut std, mut dim) = (0.0, 0.5, 1);
    for setting in rest.split(',').map(str::trim).filter(|setting| !setting.is_empty()) {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        let number = value.trim().parse::<f64>().ok().filter(|x| x.is_finite());
        match (key.trim(), number) {
            ("mean", Some(x)) => mean = x,
            ("std", Some(x)) if x >= 0.0 => std = x,
            ("dim", Some(_)) if value.trim().parse::<usize>().is_ok_and(|n| (1..=MAX_DIM).contains(&n)) => {
                dim = value.trim().parse().unwrap_or(1);
            }
            _ => {
                let allowed = format!("it takes mean (a number), std (at least 0) and dim (1 to {MAX_DIM})");
                return Err(Error::argument("--data", text, allowed, format!("`{setting}` is none of these.")));
            }
        }
    }
    Ok(GaussianSpec::Isotropic { mean, std, dim })
}

/// Most axes of a Gaussian that is typed: a picture of 4096 × 4096 × 3 has as many.
const MAX_DIM: usize = 50_331_648;

impl std::fmt::Display for DataSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DataSpec::Digits => f.write_str("digits"),
            DataSpec::Mnist1000 => f.write_str("mnist-1000"),
            DataSpec::Points(points) => points.fmt(f),
            DataSpec::EightGaussians => f.write_str("eight-gaussians"),
            DataSpec::Model => f.write_str("model"),
            DataSpec::Mnist(folder) => write!(f, "mnist:{}", folder.display()),
            DataSpec::Cifar10(folder) => write!(f, "cifar10:{}", folder.display()),
            DataSpec::Images(folder) => write!(f, "images:{}", folder.display()),
            DataSpec::Tar(files) => write!(f, "tar:{}", files.display()),
            DataSpec::Parquet(files, None) => write!(f, "parquet:{}", files.display()),
            DataSpec::Parquet(files, Some(column)) => write!(f, "parquet:{}#{column}", files.display()),
            DataSpec::Mixture(path) => write!(f, "mixture:{}", path.display()),
            DataSpec::Gaussian(GaussianSpec::File(path)) => write!(f, "gaussian:{}", path.display()),
            DataSpec::Gaussian(GaussianSpec::Isotropic { mean, std, dim }) => {
                write!(f, "gaussian:mean={mean},std={std},dim={dim}")
            }
            DataSpec::File(path, None) => write!(f, "{}", path.display()),
            DataSpec::File(path, Some(array)) => write!(f, "{}#{array}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_alike() {
        for text in [
            "digits",
            "mnist-1000",
            "moons",
            "swiss-roll:n=500",
            "eight-gaussians",
            "model",
            "mnist:/data/mnist",
            "cifar10:a",
            "images:a:b",
            "tar:shards/{000..146}.tar",
            "parquet:data/train-*.parquet",
            "parquet:data#image",
            "a/b.npz",
            "mnist.npz#x_train",
            "a#b/c.pt#data.0",
            "./digits",
            "gaussian:mean=0,std=0.5,dim=1",
            "gaussian:mean=-1.5,std=0,dim=784",
            "gaussian:g.npz",
            "mixture:m.npz",
        ] {
            assert_eq!(text.parse::<DataSpec>().unwrap().to_string(), text);
        }
        let default = GaussianSpec::Isotropic { mean: 0.0, std: 0.5, dim: 3 };
        assert_eq!("gaussian:dim=3".parse::<DataSpec>().unwrap(), DataSpec::Gaussian(default));
    }

    #[test]
    fn nonsense_is_refused_with_what_is_allowed() {
        for text in [
            "",
            "a.npz#",
            "#x",
            "digit",
            "mnist",
            "mnist:",
            "images:",
            "gaussian:std=-1",
            "gaussian:dim=0",
            "gaussian:dim=1.5",
        ] {
            assert!(text.parse::<DataSpec>().unwrap_err().to_string().starts_with("--data is"), "{text}");
        }
        for text in ["gaussian:mean=nan", "gaussian:mean=", "gaussian:mu=1", "gaussian:dim=1e9", "gaussian:std=inf"] {
            assert!(text.parse::<DataSpec>().unwrap_err().to_string().contains("it takes mean"), "{text}");
        }
    }
}
