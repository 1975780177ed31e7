//! The three ways to ∂f along directions of x and of the arguments of time; see [`super::rate`].

use super::TorchScript;
use super::arguments::{Arguments, Seed};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::libtorch::{forward_mode, plain_attention};
use crate::network::Argument;
use tch::{CModule, Kind, TchError, Tensor};

/// How a module's derivative is computed.
pub(super) enum Route {
    ForwardMode,
    DoubleBackward,
    /// The same module in float64, and the step.
    Differences(CModule, f64),
    /// It answers the same at every t.
    StandsStill,
}

/// Steps that are tried for differences. Sinusoidal embeddings of 0 … T change over one unit, embeddings of σ faster.
const STEPS: [f64; 4] = [1e-1, 1e-2, 1e-3, 1e-4];
/// Relative change from h to h/2 of an extrapolated derivative that is good enough to be reported.
const TOLERANCE: f64 = 1e-5;

impl Route {
    pub fn name(&self) -> &'static str {
        match self {
            Route::ForwardMode => "forward mode",
            Route::DoubleBackward => "double backward",
            Route::Differences(..) => "extrapolated central differences in float64",
            Route::StandsStill => "0, as its output does not depend on t",
        }
    }

    /// Whether directions by this route and by `other` can share a pass.
    pub fn shares_passes(&self, other: &Route) -> bool {
        match self {
            Route::Differences(..) => false,
            route => std::mem::discriminant(route) == std::mem::discriminant(other),
        }
    }
}

impl TorchScript {
    /// f and ∂f along the sum of `seeds`.
    pub(super) fn along(&self, route: &Route, at: &Arguments, seeds: &[Seed]) -> Result<Dual> {
        match route {
            Route::ForwardMode => self.by_forward_mode(at, seeds),
            Route::DoubleBackward => self.by_double_backward(at, seeds),
            Route::Differences(module, step) => {
                let doing = "computing differences";
                let x = &at.x;
                let value = self.call_with(at).map_err(|message| self.explain(&message, &x.size(), x.device()))?;
                let mut tangent: Option<Tensor> = None;
                for seed in seeds {
                    let [_, _, extrapolated] = self.differences(module, at, seed, *step)?;
                    tangent = added(tangent, Some(extrapolated.f_to_kind(x.kind()).doing(doing)?))?;
                }
                Ok(Dual { value, tangent })
            }
            Route::StandsStill => {
                let value = self.call_with(at);
                value.map(Dual::constant).map_err(|message| self.explain(&message, &at.x.size(), at.x.device()))
            }
        }
    }

    fn by_forward_mode(&self, at: &Arguments, seeds: &[Seed]) -> Result<Dual> {
        let doing = "differentiating a module in forward mode";
        forward_mode(|level| {
            let mut seeded = at.try_map(|tensor| Ok::<_, Error>(tensor.shallow_clone()))?;
            for (argument, tangent) in seeds {
                let dual = Tensor::f_internal_make_dual(self.value_of(at, *argument)?, tangent, level).doing(doing)?;
                seeded = seeded.with(*argument, dual);
            }
            let output = self.call_with(&seeded).map_err(|message| self.no_rate(&message))?;
            let (value, tangent) = Tensor::f_internal_unpack_dual(&output, level).doing(doing)?;
            // Handles of their own, which outlive the level.
            let value = value.f_detach().doing(doing)?;
            let tangent = if tangent.defined() { tangent } else { value.f_zeros_like().doing(doing)? };
            Ok(Dual::new(value, tangent))
        })
    }

    fn by_double_backward(&self, at: &Arguments, seeds: &[Seed]) -> Result<Dual> {
        let doing = "differentiating a module twice";
        let total = |tensor: &Tensor, by: &Tensor| tensor.f_mul(by).and_then(|product| product.f_sum(Kind::Float));
        plain_attention(|| {
            tch::with_grad(|| {
                let mut seeded = at.try_map(|tensor| Ok::<_, Error>(tensor.shallow_clone()))?;
                let mut leaves = Vec::with_capacity(seeds.len());
                for (argument, _) in seeds {
                    let leaf = self.value_of(at, *argument)?.f_detach().and_then(|mut t| t.f_requires_grad_(true));
                    let leaf = leaf.doing(doing)?;
                    seeded = seeded.with(*argument, leaf.shallow_clone());
                    leaves.push(leaf);
                }
                let y = self.call_with(&seeded).map_err(|message| self.no_rate(&message))?;
                let u = y.f_zeros_like().and_then(|mut u| u.f_requires_grad_(true)).doing(doing)?;
                // g = ∂(u·y)/∂leaf, linear in u
                let gradients = Tensor::f_run_backward(&[total(&y, &u).doing(doing)?], &leaves, true, true);
                // Σ ∂(g·tangent)/∂u
                let mut along: Option<Tensor> = None;
                for (g, (_, tangent)) in gradients.doing(doing)?.iter().zip(seeds) {
                    if g.defined() && g.requires_grad() {
                        along = added(along, Some(total(g, tangent).doing(doing)?))?;
                    }
                }
                let value = y.f_detach().doing(doing)?;
                let rate = along.map(|along| Tensor::f_run_backward(&[along], &[&u], false, false)).transpose();
                let rate = rate.doing(doing)?.and_then(|all| all.into_iter().next()).filter(Tensor::defined);
                let zeros = || value.f_zeros_like().doing(doing);
                let tangent = rate.map_or_else(zeros, |rate| Ok(rate.detach()))?;
                Ok(Dual::new(value, tangent))
            })
        })
    }

    /// The module in float64 with the step whose halving changes the derivative least.
    pub(super) fn differences_route(&self, module: CModule, at: &Arguments, seed: &Seed) -> Result<Route> {
        let mut best = (f64::INFINITY, 0.0);
        for step in STEPS {
            let [whole, half, extrapolated] = self.differences(&module, at, seed, step)?;
            let size = extrapolated.abs().max().double_value(&[]);
            // D(h/2) − D(h) is three times the error of D(h/2), which extrapolation takes out to the next order.
            let error = (&half - &whole).abs().max().double_value(&[]) / size.max(f64::MIN_POSITIVE);
            if size == 0.0 || error < best.0 {
                best = (if size == 0.0 { 0.0 } else { error }, step);
            }
        }
        if best.0 > TOLERANCE.sqrt() {
            return Err(self.no_rate(&format!("differences in float64 do not settle (relative error {:.0e})", best.0)));
        }
        Ok(Route::Differences(module, best.1))
    }

    /// D(h), D(h/2) and their extrapolation, in float64. h is a step of time; of x one of its fastest element.
    pub(super) fn differences(
        &self,
        module: &CModule,
        at: &Arguments,
        (argument, tangent): &Seed,
        step: f64,
    ) -> Result<[Tensor; 3]> {
        let doing = "computing differences in float64";
        let double = |tensor: &Tensor| tensor.f_to_kind(Kind::Double).doing(doing);
        let (at, tangent) = (at.try_map(double)?, double(tangent)?);
        let moved = |h: f64| -> Result<Tensor> {
            let moved = self.moved(&at, (*argument, &tangent), h)?;
            let shaped = moved.with_times(|t| self.calling.shaped(t)).doing(doing)?;
            let output = self.signature.call(module, &shaped, self.calling.numbers);
            double(&output.map_err(|message| self.no_rate(&format!("float64: {message}")))?)
        };
        let central = |h: f64| -> Result<Tensor> {
            let slope = (moved(h)? - moved(-h)?) / (2.0 * h);
            slope.f_mul(&speed(*argument, &tangent, slope.dim()).doing(doing)?).doing(doing)
        };
        let (whole, half) = (central(step)?, central(step / 2.0)?);
        let extrapolated = (&half * 4.0 - &whole) / 3.0;
        Ok([whole, half, extrapolated])
    }

    /// The arguments where one has moved by h: a time by h itself, x along its tangent with its largest element by h.
    pub(super) fn moved<'a>(&self, at: &Arguments<'a>, seed: (Argument, &Tensor), h: f64) -> Result<Arguments<'a>> {
        let (doing, (argument, tangent)) = ("computing differences", seed);
        let value = self.value_of(at, argument)?;
        let value = match argument {
            Argument::X => {
                tangent.f_div(&largest(tangent).doing(doing)?).and_then(|v| value.f_add(&v.f_mul_scalar(h)?))
            }
            Argument::T | Argument::Other(_) => value.f_add_scalar(h),
        };
        Ok(at.with(argument, value.doing(doing)?))
    }

    pub(super) fn value_of<'a>(&self, at: &'a Arguments, argument: Argument) -> Result<&'a Tensor> {
        at.get(argument).ok_or_else(|| self.no_rate("it has no such argument of time"))
    }
}

/// What a difference per h is multiplied by, where the output has `axes` axes: the tangent of a time, per row; the largest
/// element of one of x.
pub(super) fn speed(argument: Argument, tangent: &Tensor, axes: usize) -> std::result::Result<Tensor, TchError> {
    match argument {
        Argument::X => largest(tangent),
        Argument::T | Argument::Other(_) => {
            let rows: Vec<i64> = std::iter::once(-1).chain(std::iter::repeat_n(1, axes.saturating_sub(1))).collect();
            tangent.f_view(&rows[..])
        }
    }
}

fn largest(tangent: &Tensor) -> std::result::Result<Tensor, TchError> {
    // Not 0 in single precision either.
    tangent.f_abs()?.f_max()?.f_clamp_min(1e-30)
}

/// a + b, of which either may be an exact zero.
pub(super) fn added(a: Option<Tensor>, b: Option<Tensor>) -> Result<Option<Tensor>> {
    match (a, b) {
        (Some(a), Some(b)) => a.f_add(&b).doing("adding derivatives").map(Some),
        (a, b) => Ok(a.or(b)),
    }
}
