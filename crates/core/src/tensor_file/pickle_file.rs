//! What `pickle.dump` writes of objects that hold tensors: a pickle with the numbers in it. Such files are those of EDM and
//! EDM2 (`network-snapshot-*.pkl`); the tensors are found, and nothing of the objects is made or run.

use super::contents::{Contents, Wanted};
use super::damage::damaged;
use super::listing::Listing;
use super::pickle::{self, Pickled};
use super::source::Source;
use super::tensors;
use super::torch_legacy::InARow;
use super::{Format, no_arrays};
use crate::error::Result;
use std::path::Path;

/// Names, shapes and types; the numbers are passed over.
pub(super) fn entries(path: &Path, listing: &mut Listing) -> Result<()> {
    tensors::list(unpickle(&Source::open(path)?)?, listing);
    Ok(())
}

/// Reads the wanted tensors, in the order of the pickle.
pub(super) fn read(path: &Path, wanted: Wanted) -> Result<Contents> {
    let source = Source::open(path)?;
    let mut pickled = unpickle(&source)?;
    let places = std::mem::take(&mut pickled.places);
    tensors::read(pickled, &mut InARow::new(source, places), wanted, path)
}

fn unpickle(source: &Source) -> Result<Pickled> {
    match pickle::parse_file(source) {
        Ok(pickled) if pickled.tensors.is_empty() => Err(no_arrays(source.path(), Format::Pickle)),
        Ok(pickled) => Ok(pickled),
        Err(problem) => Err(damaged(source.path(), problem)),
    }
}
