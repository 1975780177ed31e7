//! ∂ε/∂t told apart: how large each part is, and how much of the whole it is.
//!
//! For the parts pᵢ of r = ∂ε/∂t, Σᵢ pᵢ = r, and the first samples that the curve of E‖r‖ rests on: the norm E‖pᵢ‖ per unit of
//! the axis, and the share E⟨pᵢ, r⟩/E‖r‖². Shares add up to 1 and may lie outside [0, 1] where parts work against each other;
//! norms do not add up. A mean of each sample's own share would be ruled by samples whose r is nearly 0.

use crate::control_variates::Control;
use crate::denoiser::{Part, RateParts};
use crate::device::read_back;
use crate::draws::{Draw, Draws};
use crate::error::{Doing, Result};
use crate::estimator::{Norm, row_norms, speeds};
use crate::ratio::signed_ratio;
use crate::report::PartRow;
use crate::stats::statistics;
use crate::time::{Axis, Timestep};
pub use lipscope_core::attribution::{Attribute, PartKind};
use tch::{Kind, Tensor};

/// Timesteps and samples at most.
pub const TIMESTEPS: usize = 24;
/// Samples of a timestep at most.
pub const SAMPLES: u64 = 16;

/// How finely it is looked at, and in which units.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Axis of the denominator.
    pub axis: Axis,
    /// Norm of the parts.
    pub norm: Norm,
    /// Samples per timestep.
    pub samples: u64,
    /// Rows of a network call at most.
    pub batch: u64,
}

/// One part in numbers, by timestep and sample.
struct Numbers {
    kind: PartKind,
    name: String,
    norms: Vec<f64>,
    products: Vec<f64>,
}

/// The parts of a model, found out by passes over one sample at t.
///
/// # Errors
/// A kind of parts that the model does not have.
pub fn parts(response: &dyn RateParts, draws: &Draws, t: Timestep, attribute: Attribute) -> Result<Vec<Part>> {
    let _no_grad = tch::no_grad_guard();
    let state = draws.state(&draws.rows(&[Draw { t, sample: 0 }])?, response, &[t])?;
    let of = |kind: &PartKind| response.parts(*kind, &state, &[t]);
    Ok(attribute.kinds().iter().map(of).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// The parts at some timesteps, and how many network evaluations that took.
///
/// # Errors
/// The network cannot be evaluated.
pub fn attribute(
    (response, parts): (&dyn RateParts, &[Part]),
    draws: &Draws,
    timesteps: &[Timestep],
    settings: &Settings,
) -> Result<(Vec<PartRow>, u64)> {
    let _no_grad = tch::no_grad_guard();
    let samples = 0..settings.samples;
    let wanted: Vec<Draw> =
        timesteps.iter().flat_map(|&t| samples.clone().map(move |sample| Draw { t, sample })).collect();
    let mut squares = Vec::with_capacity(wanted.len());
    let empty = |part: &Part| Numbers { kind: part.kind, name: part.name.clone(), norms: vec![], products: vec![] };
    let mut all: Vec<Numbers> = parts.iter().map(empty).collect();
    for batch in wanted.chunks(settings.batch.max(1) as usize) {
        let t: Vec<Timestep> = batch.iter().map(|draw| draw.t).collect();
        let state = draws.state(&draws.rows(batch)?, response, &t)?;
        let whole = response.rate(&state, &t)?;
        // Nothing is read back before all parts are on their way.
        let mut columns = vec![products(&whole, &whole)?];
        for part in parts {
            let tensor = response.part(part, &state, &t)?;
            columns.extend([row_norms(settings.norm, &tensor)?, products(&tensor, &whole)?]);
        }
        let table = read_back(&Tensor::f_stack(&columns, 0).doing("gathering the parts")?)?;
        let speeds = speeds(response.process(), settings.axis, &t)?;
        let mut columns = table.chunks(batch.len());
        squares.extend(columns.next().unwrap_or_default());
        for numbers in &mut all {
            let [norms, products] = [0; 2].map(|_| columns.next().unwrap_or_default());
            numbers.norms.extend(norms.iter().zip(&speeds).map(|(norm, speed)| norm / speed));
            numbers.products.extend(products);
        }
    }
    let count = settings.samples as usize;
    let rows = timesteps.iter().enumerate().flat_map(|(i, &t)| {
        let here = i * count..(i + 1) * count;
        let squares = &squares[here.clone()];
        all.iter().map(move |part| row(t, part, here.clone(), squares))
    });
    let calls = (1 + parts.len()) as u64 * response.network_calls();
    Ok((rows.collect(), calls * wanted.len() as u64))
}

/// One part at the samples `here` of t.
fn row(t: Timestep, part: &Numbers, here: std::ops::Range<usize>, squares: &[f64]) -> PartRow {
    let share = signed_ratio(squares, &part.products[here.clone()], &Control::default());
    let interval = share.and_then(|share| share.interval);
    PartRow {
        timestep: t,
        kind: part.kind,
        part: part.name.clone(),
        norm: statistics(&part.norms[here]).mean,
        share: share.map(|share| share.value),
        share_ci_low: interval.map(|(low, _)| low),
        share_ci_high: interval.map(|(_, high)| high),
    }
}

/// ⟨a, b⟩ of every row of [B, …], float64 as the norms are.
fn products(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let doing = "taking products";
    let wide = |tensor: &Tensor| tensor.f_flatten(1, -1).and_then(|flat| flat.f_to_kind(Kind::Double)).doing(doing);
    let product = wide(a)?.f_mul(&wide(b)?).doing(doing)?;
    product.f_sum_dim_intlist([1].as_slice(), false, Kind::Double).doing(doing)
}
