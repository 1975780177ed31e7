//! A function of one's own as a network: values only, no tangents.

use super::{Condition, InputShape, Network};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use tch::{Device, Kind, TchError, Tensor};

type Function = dyn Fn(&Tensor, &Tensor) -> std::result::Result<Tensor, TchError>;

/// f(x, t) for x [B, …] and t `[B]`.
pub struct Closure {
    sample_shape: Vec<i64>,
    function: Box<Function>,
}

impl Closure {
    /// The network that calls `f`.
    pub fn new(
        sample_shape: &[i64],
        f: impl Fn(&Tensor, &Tensor) -> std::result::Result<Tensor, TchError> + 'static,
    ) -> Self {
        Closure { sample_shape: sample_shape.to_vec(), function: Box::new(f) }
    }
}

impl Network for Closure {
    fn forward(&self, x: &Dual, t: &Dual, _condition: &Condition) -> Result<Dual> {
        if x.tangent.is_some() || t.tangent.is_some() {
            let allowed = "its values are known and nothing else";
            return Err(Error::unsupported("a derivative of a function", allowed, "Measure secants."));
        }
        (self.function)(&x.value, &t.value).map(Dual::constant).doing("calling the function")
    }

    fn carries_tangents(&self) -> bool {
        false
    }

    fn input_shape(&self) -> InputShape {
        InputShape { sample: Some(self.sample_shape.clone()), channels: None, resizable: false, row: None }
    }

    fn architecture(&self) -> String {
        "function f(x, t)".into()
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    fn to(&mut self, device: Device, kind: Kind) -> Result<()> {
        if (device, kind) == (Device::Cpu, Kind::Float) {
            return Ok(());
        }
        let allowed = "it is called with float32 tensors on the CPU";
        Err(Error::unsupported(
            "a function on another device or in another dtype",
            allowed,
            "Move its inputs inside it.",
        ))
    }
}
