//! Sample quality: how far generated samples are from the data, in a space of features. Everything is float64.
//!
//! A new metric is one file with a [`Member`] and one line in [`MEMBERS`].

mod coverage;
pub mod features;
mod frechet;
mod kernel;
mod mixture_mmd;
mod moments;
mod neighbours;
mod precision;
mod sliced_wasserstein;
#[cfg(test)]
mod tests;

pub use moments::Moments;

use crate::data::MixtureParameters;
use crate::error::{Doing, Error, Result};
use tch::Tensor;

/// What generated samples are compared with, as far as it is known.
#[derive(Debug, Default)]
pub struct Reference {
    /// Features of real samples, [N, d] in float64.
    pub features: Option<Tensor>,
    /// Mean and covariance; where they are not given, those of `features` count.
    pub moments: Option<Moments>,
    /// The density of the features in closed form.
    pub density: Option<MixtureParameters>,
}

/// Compares generated samples with the reference that it was built for.
pub trait Metric {
    /// The value for generated features, [M, d] in float64, all of them finite.
    fn measure(&self, generated: &Tensor) -> Result<f64>;
}

/// What metrics are built with, besides the reference.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Seed of random projections.
    pub seed: u64,
    /// Generated samples that will be measured at a time. Metrics of neighbours take no more real ones than that, evenly
    /// spaced: their values are only comparable between sets of one size.
    pub samples: u64,
}

/// One metric of the family: its name and how it is built.
pub struct Member {
    /// Name as it is typed.
    pub name: &'static str,
    /// On an axis.
    pub label: &'static str,
    /// One line: what it is, with its source.
    pub about: &'static str,
    /// Whether better samples have the smaller value.
    pub lower_is_better: bool,
    /// Builds it for a reference; what depends on the reference alone is computed here, once. Refused where the reference
    /// does not hold what it takes.
    pub build: fn(&Reference, &Setting) -> Result<Box<dyn Metric>>,
}

/// The family.
pub const MEMBERS: &[Member] = &[
    frechet::MEMBER,
    kernel::MEMBER,
    sliced_wasserstein::MEMBER,
    precision::PRECISION,
    precision::RECALL,
    coverage::DENSITY,
    coverage::COVERAGE,
    mixture_mmd::MEMBER,
];

/// The member of this name.
pub fn find(name: &str) -> Result<&'static Member> {
    MEMBERS.iter().find(|member| member.name == name).ok_or_else(|| {
        let names: Vec<&str> = MEMBERS.iter().map(|member| member.name).collect();
        let allowed = format!("it is all, or one or more of {}, with commas between", names.join(", "));
        Error::argument("--metrics", name, allowed, "Choose among them.")
    })
}

impl Reference {
    /// The features, at least `least` of them; `name` is the metric that asks.
    fn features(&self, name: &str, least: i64) -> Result<&Tensor> {
        let features = self.features.as_ref().ok_or_else(|| {
            Error::unsupported(
                format!("{name} with statistics alone"),
                "it compares samples with samples",
                "Use --metrics frechet, or give the data itself with --data.",
            )
        })?;
        enough(features, name, least)?;
        Ok(features)
    }

    /// As many features as there will be generated ones, evenly spaced over all of them, but at least `least`.
    fn as_many_features(&self, name: &str, least: i64, setting: &Setting) -> Result<Tensor> {
        let features = self.features(name, least)?;
        let (count, wanted) = (features.size()[0], (setting.samples as i64).max(least));
        if count <= wanted {
            return Ok(features.shallow_clone());
        }
        let rows: Vec<i64> =
            (0..wanted).map(|i| (i128::from(i) * i128::from(count) / i128::from(wanted)) as i64).collect();
        let rows = Tensor::f_from_slice(&rows).and_then(|rows| rows.f_to_device(features.device()));
        rows.and_then(|rows| features.f_index_select(0, &rows)).doing("choosing features")
    }

    /// Mean and covariance, given or of the features.
    fn moments(&self) -> Result<Moments> {
        match (&self.moments, &self.features) {
            (Some(moments), _) => Ok(moments.copy()),
            (None, _) => Moments::of(self.features(frechet::MEMBER.name, 2)?),
        }
    }
}

/// Refuses fewer samples than a metric is defined for.
fn enough(features: &Tensor, name: &str, least: i64) -> Result<()> {
    let count = features.size().first().copied().unwrap_or(0);
    if count >= least {
        return Ok(());
    }
    let problem = format!("{name} needs at least {least} samples on either side, and there are {count}");
    Err(Error::mismatch(problem, "Give more with --samples, or more data."))
}
