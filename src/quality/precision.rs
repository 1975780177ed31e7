//! Improved precision and recall (Kynkäänniemi et al., arXiv 1904.06991, eq. 1 and 2, k = 3): the fraction of generated
//! samples that lie in a ball of the data, and of the data that lies in a ball of generated samples. A sample's ball
//! reaches to its third nearest neighbour in the same set.

use super::neighbours::{Balls, fraction};
use super::{Member, Metric, enough};
use crate::error::Result;
use tch::Tensor;

const NEIGHBOURS: i64 = 3;

pub(super) const PRECISION: Member = Member {
    name: "precision",
    label: "precision",
    about: "fraction of generated samples within the data's 3-nearest-neighbour balls",
    lower_is_better: false,
    build: |reference, setting| {
        let features = reference.as_many_features(PRECISION.name, NEIGHBOURS + 1, setting)?;
        Ok(Box::new(Precision { balls: Balls::new(&features, NEIGHBOURS)? }))
    },
};

pub(super) const RECALL: Member = Member {
    name: "recall",
    label: "recall",
    about: "fraction of the data within the generated samples' 3-nearest-neighbour balls",
    lower_is_better: false,
    build: |reference, setting| {
        Ok(Box::new(Recall { features: reference.as_many_features(RECALL.name, NEIGHBOURS + 1, setting)? }))
    },
};

struct Precision {
    balls: Balls,
}

impl Metric for Precision {
    fn measure(&self, generated: &Tensor) -> Result<f64> {
        enough(generated, PRECISION.name, NEIGHBOURS + 1)?;
        fraction(&self.balls.hold(generated)?.0)
    }
}

struct Recall {
    features: Tensor,
}

impl Metric for Recall {
    fn measure(&self, generated: &Tensor) -> Result<f64> {
        enough(generated, RECALL.name, NEIGHBOURS + 1)?;
        fraction(&Balls::new(generated, NEIGHBOURS)?.hold(&self.features)?.0)
    }
}
