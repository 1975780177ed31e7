//! Density and coverage (Naeem et al., arXiv 2002.09797, eq. 3 and 4, k = 5), with the data's balls up to the fifth nearest
//! neighbour: the mean number of balls that a generated sample lies in, over k, and the fraction of balls that hold a
//! generated sample. Density may exceed 1.

use super::neighbours::{Balls, fraction};
use super::{Member, Metric, Reference, Setting, enough};
use crate::error::{Doing, Result};
use tch::{Kind, Tensor};

const NEIGHBOURS: i64 = 5;

pub(super) const DENSITY: Member = Member {
    name: "density",
    label: "density",
    about: "mean number of the data's 5-nearest-neighbour balls around a generated sample, over 5",
    lower_is_better: false,
    build: |reference, setting| Ok(Box::new(Density { balls: balls(reference, DENSITY.name, setting)? })),
};

pub(super) const COVERAGE: Member = Member {
    name: "coverage",
    label: "coverage",
    about: "fraction of the data's 5-nearest-neighbour balls that hold a generated sample",
    lower_is_better: false,
    build: |reference, setting| Ok(Box::new(Coverage { balls: balls(reference, COVERAGE.name, setting)? })),
};

fn balls(reference: &Reference, name: &str, setting: &Setting) -> Result<Balls> {
    Balls::new(&reference.as_many_features(name, NEIGHBOURS + 1, setting)?, NEIGHBOURS)
}

struct Density {
    balls: Balls,
}

impl Metric for Density {
    fn measure(&self, generated: &Tensor) -> Result<f64> {
        enough(generated, DENSITY.name, 1)?;
        let mean = self.balls.hold(generated)?.0.f_mean(Kind::Double).doing("counting neighbours")?;
        Ok(mean.double_value(&[]) / NEIGHBOURS as f64)
    }
}

struct Coverage {
    balls: Balls,
}

impl Metric for Coverage {
    fn measure(&self, generated: &Tensor) -> Result<f64> {
        enough(generated, COVERAGE.name, 1)?;
        fraction(&self.balls.hold(generated)?.1)
    }
}
