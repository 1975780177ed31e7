//! ‖∂ε/∂x‖₂, the local Lipschitz constant in x, by power iteration on JᵀJ: tangent forward, reverse back.
//!
//! s_k = ‖J v_k‖ with v_{k+1} = Jᵀ J v_k normalised grows towards the largest singular value from below. All samples start
//! from the same random vector, so that the numbers do not depend on how samples are cut into batches.

use super::{Estimator, Method, Norm, Norms, Quantity, denoiser, row_norms};
use crate::device::upload;
use crate::error::{Doing, Result};
use crate::random::{Purpose, fill_normal, stream};
use crate::response::Response;
use crate::state::State;
use crate::time::{Axis, Timestep};
use tch::{Kind, Tensor};

/// Iterations at most, and between two looks at the numbers.
const MOST: usize = 60;
const LOOK_EVERY: usize = 5;
/// Relative growth over one iteration at which a sample counts as converged.
const TOLERANCE: f64 = 1e-4;

/// The largest singular value of ∂ε/∂x.
#[derive(Debug, Clone, Copy)]
pub struct Spatial;

impl Estimator for Spatial {
    fn quantity(&self) -> Quantity {
        Quantity::Spatial
    }

    fn method(&self) -> Method {
        Method::PowerIteration
    }

    fn axis(&self) -> Axis {
        Axis::Step
    }

    fn norm(&self) -> Norm {
        Norm::L2
    }

    fn t_next(&self, _t: Timestep) -> Option<Timestep> {
        None
    }

    /// The Jacobian is taken as a whole.
    fn blocks(&self, _response: &dyn Response) -> Vec<Option<String>> {
        vec![None]
    }

    fn norms(&self, response: &dyn Response, state: &State, t: &[Timestep]) -> Result<Norms> {
        let (denoiser, x) = (denoiser(response, "the local Lipschitz constant in x")?, &state.x);
        let mut v = unit(&start(x)?)?;
        let mut values = Tensor::f_zeros([x.size()[0]], (Kind::Double, x.device())).doing(DOING)?;
        let mut settled = values.f_to_kind(Kind::Bool).doing(DOING)?;
        let mut iterations = 0;
        while iterations < MOST && (iterations % LOOK_EVERY != 0 || iterations == 0 || !all(&settled)?) {
            let image = denoiser.along(state, &v, false, t)?;
            let new = row_norms(Norm::L2, &image)?;
            // A row that has settled keeps its number, whatever its neighbours in the batch still need.
            let grown = grows(&new, &values)?;
            values = values.f_where_self(&settled, &new).doing(DOING)?;
            settled = settled.f_logical_or(&grown.f_logical_not().doing(DOING)?).doing(DOING)?;
            v = unit(&denoiser.transposed(state, &image, t)?)?;
            iterations += 1;
        }
        let column = |rows: Tensor| rows.f_unsqueeze(1).doing(DOING);
        let (values, unconverged) = (column(values)?, Some(column(settled.f_logical_not().doing(DOING)?)?));
        Ok(Norms { values, evaluations: 2 * iterations as u64 * t.len() as u64, unconverged })
    }
}

const DOING: &str = "iterating towards the largest singular value";

/// The same random vector for every row.
fn start(x: &Tensor) -> Result<Tensor> {
    let mut numbers = vec![0f32; (x.numel() as i64 / x.size()[0].max(1)) as usize];
    fill_normal(&mut stream(0, Purpose::PowerIteration, 0.0, 0), &mut numbers);
    let shape: Vec<i64> = std::iter::once(1).chain(x.size()[1..].iter().copied()).collect();
    let row = upload(&numbers, &shape, x.device(), x.kind())?;
    row.f_expand_as(x).and_then(|v| v.f_contiguous()).doing(DOING)
}

/// Every row divided by its norm; a row of zeros stays.
fn unit(rows: &Tensor) -> Result<Tensor> {
    let shape: Vec<i64> = std::iter::once(-1).chain(std::iter::repeat_n(1, rows.dim() - 1)).collect();
    let norms =
        row_norms(Norm::L2, rows)?.f_clamp_min(f64::from(f32::MIN_POSITIVE)).and_then(|n| n.f_to_kind(rows.kind()));
    norms.and_then(|n| rows.f_div(&n.f_view(&shape[..])?)).doing(DOING)
}

/// Whether each value grew by more than the tolerance.
fn grows(values: &Tensor, before: &Tensor) -> Result<Tensor> {
    let grown = values.f_sub(before).and_then(|d| d.f_abs()).doing(DOING)?;
    grown.f_gt_tensor(&values.f_mul_scalar(TOLERANCE).doing(DOING)?).doing(DOING)
}

fn all(flags: &Tensor) -> Result<bool> {
    flags.f_all().and_then(|all| all.f_int64_value(&[])).map(|all| all != 0).doing(DOING)
}
