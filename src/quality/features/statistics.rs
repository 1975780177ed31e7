//! Ready statistics of the data: `mu` [d] and `sigma` [d, d] in a `.npz`, as pytorch-fid and its relatives write them.

use crate::error::{Error, Result};
use crate::quality::Moments;
use crate::quality::moments::{matrix, vector};
use crate::tensor_file;
use std::path::Path;

/// Reads mean and covariance of features.
///
/// # Errors
///
/// The file lacks `mu` or `sigma`, their shapes do not belong together, or they hold values that are not finite.
pub fn read_statistics(path: &Path) -> Result<Moments> {
    let arrays = tensor_file::read(path)?;
    let next = "Statistics are arrays mu [d] and sigma [d, d], as pytorch-fid writes them.";
    let wrong = |problem: String| Error::file(path, problem, next);
    let get = |name: &str| {
        let array = arrays
            .get(name)
            .ok_or_else(|| wrong(format!("it has no array named {name} (it has {})", arrays.names().join(", "))))?;
        let array = array.to_f64()?;
        match array.iter().filter(|x| !x.is_finite()).count() {
            0 => Ok(array),
            count => Err(wrong(format!("its {name} holds {count} values that are not finite"))),
        }
    };
    let (mu, sigma) = (get("mu")?, get("sigma")?);
    let shapes = format!("its mu has shape {:?} and its sigma {:?}", mu.shape(), sigma.shape());
    let mu = mu.into_dimensionality::<ndarray::Ix1>().map_err(|_| wrong(shapes.clone()))?;
    let sigma = sigma.into_dimensionality::<ndarray::Ix2>().map_err(|_| wrong(shapes.clone()))?;
    if sigma.dim() != (mu.len(), mu.len()) || mu.is_empty() {
        return Err(wrong(shapes));
    }
    Moments::from_covariance(vector(mu.view())?, &matrix(&sigma)?)
        .map_err(|error| Error::file(path, error.problem(), next))
}
