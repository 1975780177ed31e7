//! Tensors as numbers, in the order of their elements.

use super::closeness::Numbers;
use tch::{Kind, Tensor};

impl Numbers for Tensor {
    fn numbers(&self) -> Vec<f64> {
        Vec::try_from(self.detach().to_kind(Kind::Double).reshape([-1])).unwrap()
    }

    fn shape(&self) -> Vec<i64> {
        self.size()
    }
}
