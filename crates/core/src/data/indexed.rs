//! A data set on disk, read one sample at a time: the same numbers as [`Samples`], without all of them in memory.

use super::fit::fit;
use super::samples::{channels_first, pick_labels, range};
use super::scaling::Scaling;
use super::stored::Stored;
use super::{LoadOptions, Raw, Samples, chosen, spaced};
use crate::error::{Error, Result};
use crate::tensor_file::{Array, Dtype};
use rayon::prelude::*;

/// Numbers that are read at a time.
const AT_A_TIME: usize = 4 << 20;

/// The samples of a data set, read by index from any thread.
pub struct Indexed {
    stored: Box<dyn Stored>,
    /// Samples that are used, evenly spaced over `all`.
    count: usize,
    all: usize,
    /// Shape of one sample, [C, H, W] or `[D]`.
    pub shape: Vec<usize>,
    /// How stored values become numbers.
    pub scaling: Scaling,
    /// Whether nobody else says the scaling than the type of the values.
    by_type: bool,
    channels_last: bool,
    /// What numbers are multiplied by at last.
    factor: Option<f64>,
    /// What each byte becomes.
    table: Vec<f32>,
    /// Class of every sample, where the source has them.
    pub labels: Option<Vec<i64>>,
    /// What a user should know about these numbers.
    pub warnings: Vec<String>,
    /// Where they come from.
    pub description: String,
}

impl std::fmt::Debug for Indexed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Indexed({}, {:?})", self.description, self.shape)
    }
}

impl Indexed {
    /// Fits and selects what a source gives; reads no sample.
    pub(super) fn new(stored: Box<dyn Stored>, options: &LoadOptions) -> Result<Self> {
        let fit = fit(stored.shape(), &options.want)?;
        let all = stored.shape().first().copied().unwrap_or(0);
        let count = options.limit.map_or(all, |limit| limit.min(all));
        let description = stored.description(count);
        if count == 0 || fit.sample.contains(&0) {
            let problem = format!("{description}: there are no samples (its shape is {:?})", stored.shape());
            return Err(Error::mismatch(problem, "Give at least one sample."));
        }
        let mut warnings = Vec::new();
        let labels = pick_labels(stored.labels(), all, &chosen(all, options.limit), &mut warnings);
        warnings.extend(fit.note);
        let asked = options.scale.map(|scale| scale.scaling()).or(stored.scaling());
        let mut indexed = Indexed {
            count,
            all,
            shape: fit.sample,
            scaling: asked.unwrap_or(Scaling::of(stored.dtype())),
            by_type: asked.is_none(),
            channels_last: fit.channels_last,
            factor: None,
            table: Vec::new(),
            labels,
            warnings,
            description,
            stored,
        };
        indexed.tabulate();
        Ok(indexed)
    }

    /// The same with all numbers multiplied by `factor`.
    pub fn times(mut self, factor: f64) -> Self {
        self.factor = Some(factor);
        self.tabulate();
        self
    }

    fn tabulate(&mut self) {
        self.table = (0..=u8::MAX).map(|byte| self.number(byte.into())).collect();
    }

    /// Number of samples.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Numbers in a sample.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes that all numbers would take in memory.
    pub fn bytes(&self) -> u64 {
        (self.count as u64).saturating_mul(self.width() as u64).saturating_mul(size_of::<f32>() as u64)
    }

    /// Reads sample `row` into `out`, flattened, as numbers that a model sees.
    ///
    /// # Errors
    /// The sample cannot be read, which names its file; or it holds what no other may.
    pub fn read(&self, row: usize, out: &mut [f32]) -> Result<()> {
        let stored = self.stored_values(row)?;
        self.convert(&stored, out);
        if self.by_type && !self.dtype_fits(&stored) {
            let (min, max) = range(&stored);
            let problem = format!(
                "{}: sample {} is {} between {min} and {max}, and integers are images of 0…255",
                self.description,
                self.place(row),
                stored.dtype()
            );
            return Err(Error::mismatch(problem, "Say --scale a..b to map that range to [−1, 1], or --scale none."));
        }
        self.check_finite(row, out)
    }

    /// Reads all samples in their order, some at a time, and hands them to `take`.
    ///
    /// # Errors
    /// A sample cannot be read, or what `take` says.
    pub fn pass(&self, take: &mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()> {
        let group = self.group().min(self.count);
        let mut numbers = vec![0.0f32; group * self.width()];
        for first in (0..self.count).step_by(group) {
            let numbers = &mut numbers[..(self.count - first).min(group) * self.width()];
            let rows = numbers.par_chunks_mut(self.width()).enumerate();
            rows.try_for_each(|(i, out)| self.read(first + i, out))?;
            take(numbers)?;
        }
        Ok(())
    }

    /// Samples that are read at a time.
    pub(super) fn group(&self) -> usize {
        (AT_A_TIME / self.width().max(1)).clamp(1, 4096)
    }

    /// All samples in memory, as their source has them.
    pub(super) fn hold(self, options: &LoadOptions) -> Result<Samples> {
        let parts: Vec<Array> =
            (0..self.count).into_par_iter().map(|row| self.stored_values(row)).collect::<Result<_>>()?;
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.bytes()).copied().collect();
        drop(parts);
        let shape = [&[self.count], &self.stored.shape()[1..]].concat();
        let raw = Raw {
            array: Array::new(shape, self.stored.dtype(), bytes.into())
                .map_err(|problem| Error::mismatch(format!("{}: {problem}", self.description), "Check the files."))?,
            scaling: self.stored.scaling(),
            labels: self.labels,
            description: self.description,
            warnings: Vec::new(),
        };
        Samples::new(raw, options, None)
    }

    /// Names and sizes of the files.
    pub(super) fn listing(&self, add: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.stored.listing(add)
    }

    /// The type of stored values, where nothing else says their scaling.
    pub(super) fn type_that_scales(&self) -> Option<Dtype> {
        self.by_type.then(|| self.stored.dtype())
    }

    /// The place of a row among all samples of the source.
    pub(super) fn place(&self, row: usize) -> usize {
        if self.count == self.all { row } else { spaced(row, self.all, self.count) }
    }

    pub(super) fn stored_values(&self, row: usize) -> Result<Array> {
        self.stored.read(self.place(row))
    }

    /// From stored values to numbers, unchecked.
    pub(super) fn convert(&self, stored: &Array, out: &mut [f32]) {
        if stored.dtype() == Dtype::U8 {
            out.iter_mut().zip(stored.bytes()).for_each(|(to, byte)| *to = self.table[usize::from(*byte)]);
        } else {
            let mut out = out.iter_mut();
            stored.map(|value| out.next().into_iter().for_each(|to| *to = self.number(value)));
        }
        if self.channels_last {
            let turned = channels_first(out, out.len(), self.shape.first().copied().unwrap_or(1));
            out.copy_from_slice(&turned);
        }
    }

    /// Refuses numbers that are not finite.
    pub(super) fn check_finite(&self, row: usize, numbers: &[f32]) -> Result<()> {
        let Some(bad) = numbers.iter().position(|x| !x.is_finite()) else { return Ok(()) };
        let problem = format!(
            "{}: values of sample {} are not finite numbers in float32, the first its number {bad}",
            self.description,
            self.place(row)
        );
        Err(Error::mismatch(problem, "Remove or replace those samples."))
    }

    fn number(&self, stored: f64) -> f32 {
        let number = self.scaling.apply(stored) as f32;
        self.factor.map_or(number, |factor| (f64::from(number) * factor) as f32)
    }

    fn dtype_fits(&self, stored: &Array) -> bool {
        let dtype = stored.dtype();
        if dtype.is_float() || matches!(dtype, Dtype::U8 | Dtype::Bool) {
            return true;
        }
        let (min, max) = range(stored);
        min >= 0.0 && max <= 255.0
    }
}
