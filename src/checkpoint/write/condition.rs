//! The condition c = offset + factor · axis(f(t)) in tensor operations, for a trace: any batch of t, float or integer, on and
//! between the grid's timesteps.

use crate::checkpoint::Declared;
use crate::error::{Doing, Result};
use crate::process::ProcessSpec;
use crate::time::{Conditioning, Timestep};
use crate::timestep_map;
use tch::{Kind, TchError, Tensor};

/// How a traced module turns t into the network's condition.
pub(super) enum Condition {
    /// c = t.
    Identity,
    /// c = t₍ᵢ₋₁₎ in [t₍ᵢ₋₁₎, tᵢ), t beyond the last boundary.
    Shared { boundaries: Tensor, until: Timestep },
    /// c from a table over 0 … T−1, linear between its entries.
    Table(Tensor),
}

impl Condition {
    pub fn new(declared: &Declared) -> Result<Self> {
        let conditioning = declared.conditioning.unwrap_or_default();
        // As where a checkpoint without a schedule is opened.
        let spec: ProcessSpec = declared.schedule.clone().map_or_else(|| "linear".parse(), Ok)?;
        let schedule = &*spec.gaussian("a trace")?.schedule;
        let map = timestep_map::parse(declared.share.as_deref().unwrap_or("none"), schedule.timesteps())?;
        let plain = conditioning == Conditioning::default();
        match (plain, map.boundaries()) {
            (true, boundaries @ [.., until]) => Ok(Condition::Shared { boundaries: tensor(boundaries), until: *until }),
            (true, []) if declared.share.as_deref().is_none_or(|text| text == "none") => Ok(Condition::Identity),
            _ => {
                let at = |t: usize| conditioning.coordinate(schedule, map.condition(t as f64));
                Ok(Condition::Table(tensor(&(0..schedule.timesteps()).map(at).collect::<Vec<f64>>())))
            }
        }
    }

    /// Tensors that the module must hold, by name.
    pub fn buffers(&self) -> Vec<(String, Tensor)> {
        match self {
            Condition::Identity => Vec::new(),
            Condition::Shared { boundaries, .. } => vec![("boundaries".into(), boundaries.shallow_clone())],
            Condition::Table(table) => vec![("condition".into(), table.shallow_clone())],
        }
    }

    /// t [B] → c [B] in float32.
    pub fn apply(&self, t: &Tensor) -> Result<Tensor> {
        let mapped = t.f_to_kind(Kind::Float).and_then(|t| match self {
            Condition::Identity => Ok(t),
            Condition::Shared { boundaries, until } => shared(&t, boundaries, *until),
            Condition::Table(table) => interpolated(&t, table),
        });
        mapped.doing("mapping timesteps")
    }
}

fn tensor(values: &[f64]) -> Tensor {
    Tensor::from_slice(values).to_kind(Kind::Float)
}

fn shared(t: &Tensor, boundaries: &Tensor, until: Timestep) -> std::result::Result<Tensor, TchError> {
    // How many boundaries are at or below t, less one, is the index of the sub-interval's start.
    let index = t.f_bucketize(boundaries, false, true)?.f_sub_scalar(1)?.f_clamp_min(0)?;
    let start = boundaries.f_index_select(0, &index)?;
    let inside = t.f_lt(until)?.f_logical_and(&t.f_ge(0)?)?;
    start.f_where_self(&inside, t)
}

fn interpolated(t: &Tensor, table: &Tensor) -> std::result::Result<Tensor, TchError> {
    let last = table.size()[0] - 1;
    let lower = t.f_floor()?.f_clamp(0, (last - 1).max(0))?;
    let index = lower.f_to_kind(Kind::Int64)?;
    let (from, to) =
        (table.f_index_select(0, &index)?, table.f_index_select(0, &index.f_add_scalar(1)?.f_clamp_max(last)?)?);
    from.f_add(&to.f_sub(&from)?.f_mul(&t.f_sub(&lower)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Sidecar;
    use std::path::Path;

    fn conditions(share: Option<&str>, condition: Option<&str>, t: &[f32]) -> Vec<f64> {
        let sidecar = Sidecar {
            schedule: Some("linear".into()),
            share: share.map(str::to_string),
            condition: condition.map(str::to_string),
            ..Sidecar::default()
        };
        let condition = Condition::new(&sidecar.declared(Path::new("test")).unwrap()).unwrap();
        Vec::try_from(condition.apply(&Tensor::from_slice(t)).unwrap().to_kind(Kind::Double)).unwrap()
    }

    #[test]
    fn it_agrees_with_the_maps() {
        let times = [0.0f32, 1.0, 19.0, 19.5, 20.0, 39.0, 99.0, 100.0, 100.5, 999.0];
        assert_eq!(conditions(None, None, &times), times.map(f64::from));
        for share in ["n=5,until=100", "boundaries=0-3-100", "remap-until=100"] {
            let map = timestep_map::parse(share, 1000).unwrap();
            for (t, c) in times.iter().zip(conditions(Some(share), None, &times)) {
                // float32 rounding; between grid points the remap is interpolated, off by at most f''/8 = 4/(8·100).
                let tolerance = if t.fract() == 0.0 { 1e-4 } else { 0.005 };
                assert!((map.condition(f64::from(*t)) - c).abs() < tolerance, "{share} {t} {c}");
            }
        }
        let schedule = crate::schedule::parse("linear").unwrap();
        for (t, c) in [0.0f32, 100.0, 999.0].iter().zip(conditions(None, Some("sigma*1000"), &[0.0, 100.0, 999.0])) {
            assert!((1000.0 * schedule.sigma(f64::from(*t)) - c).abs() < 1e-3);
        }
        // Both: σ of the shared timestep.
        let both = conditions(Some("n=5,until=100"), Some("sigma*1000"), &[25.0])[0];
        assert!((both - 1000.0 * schedule.sigma(20.0)).abs() < 1e-3);
    }
}
