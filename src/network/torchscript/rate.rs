//! ∂f(x, t)/∂t of a TorchScript module, by the first of three ways that works on it:
//!
//! 1. forward mode through libtorch: one pass, about three times its cost;
//! 2. double backward: with g(u) = ∂(u·f)/∂t, linear in u, ∂f/∂t = ∂(g·ṫ)/∂u: four to five passes;
//! 3. central differences with Richardson extrapolation, D = (4 D(h/2) − D(h))/3, in float64: four passes in float64.
//!
//! A way that gives 0 everywhere counts as failed: a module may detach t from differentiation. One that rounds t inside has
//! no derivative; all three give 0, and that is said.

use super::TorchScript;
use super::agreement::Agreement;
use super::calling::TimeShape;
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::libtorch::{forward_mode, load_script, plain_attention};
use crate::network::{Condition, Probe};
use tch::{CModule, Device, Kind, TchError, Tensor};

/// How a module's derivative is computed.
pub(super) enum Route {
    ForwardMode,
    DoubleBackward,
    /// The same module in float64, and the step.
    Differences(CModule, f64),
    /// It answers the same at every t.
    StandsStill,
}

/// The way that was found, and what is to be said about it.
pub(super) struct Rate {
    route: Route,
    /// Its name and how well it agrees with differences.
    pub words: String,
    /// What a reader must know.
    pub note: Option<String>,
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
}

impl TorchScript {
    /// Tries the routes in their order.
    pub(super) fn find_route(&mut self, probe: &Probe) -> Result<()> {
        if self.stands_still {
            let route = Route::StandsStill;
            self.rate = Some(Rate { words: route.name().into(), note: None, route });
            return Ok(());
        }
        if self.calling.is_integer() {
            return Err(self.no_rate("it takes integer timesteps, so ∂/∂t does not exist"));
        }
        for (_, mut parameter) in self.module.named_parameters().unwrap_or_default() {
            let _ = parameter.f_requires_grad_(false).doing("preparing the module")?;
        }
        let route = self.route(probe)?;
        // Differences need no comparison with themselves, and a study of rounding has one of its own.
        self.rate = Some(match route {
            Route::Differences(..) => Rate { words: route.name().into(), note: None, route },
            _ if self.time_kind.is_some() => Rate { words: route.name().into(), note: None, route },
            _ => self.compared(route, probe)?,
        });
        Ok(())
    }

    fn compared(&self, route: Route, probe: &Probe) -> Result<Rate> {
        let name = route.name();
        let agreement = self.compare(&route, probe)?;
        let note = self.on_agreement(name, &agreement);
        Ok(match agreement {
            Agreement::Within(off) => {
                let words = format!("{name}, within {off:.0e} of differences");
                Rate { route, words, note }
            }
            Agreement::Differs(Some(differences), _) => {
                let words = format!("{}, where {name} gives another", differences.name());
                Rate { route: differences, words, note }
            }
            Agreement::Differs(None, _) => Rate { route, words: format!("{name}, not that of its answers"), note },
            Agreement::Unsettled | Agreement::Unchecked(_) => Rate { route, words: format!("{name}, unchecked"), note },
        })
    }

    /// The first route that gives something else than 0.
    fn route(&self, probe: &Probe) -> Result<Route> {
        let &Probe { sample_shape, times, condition, device, kind, .. } = probe;
        let (x, _) = self.example(sample_shape, device, kind)?;
        let time_kind = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        // One t for a whole batch is the same in each row.
        let times = if self.calling.shape == TimeShape::Rows { times } else { [times[1]; 2] };
        let t = Tensor::from_slice(&times).to_kind(time_kind).to_device(device);
        let ones = t.ones_like();
        let mut reasons = Vec::new();
        let differences = || self.differences_route(self.in_float64(device)?, [&x, &t, &ones], condition);
        let all: [&dyn Fn() -> Result<Route>; 3] =
            [&|| Ok(Route::ForwardMode), &|| Ok(Route::DoubleBackward), &differences];
        // Differences are taken in float64 whatever the module's dtype, so they cannot show what a dtype rounds.
        let routes = if self.time_kind.is_some() { &all[..2] } else { &all[..] };
        let mut flat = false;
        for route in routes {
            match route()
                .and_then(|route| self.rate_by(&route, [&x, &t, &ones], condition).map(|dual| (route, largest(&dual))))
            {
                Ok((route, size)) if size > 0.0 && size.is_finite() => {
                    return Ok(route);
                }
                Ok((route, size)) => {
                    flat = matches!(route, Route::Differences(..)) && size == 0.0;
                    reasons.push(format!("{} gives {size}", route.name()));
                }
                Err(error) => reasons.push(error.to_string()),
            }
        }
        if flat {
            let problem = "t is rounded inside it: its output is constant between timesteps, and ∂/∂t does not exist";
            return Err(self.no_rate(problem));
        }
        Err(self.no_rate(&format!("∂/∂t cannot be computed; all methods failed ({})", reasons.join("; "))))
    }

    fn no_rate(&self, problem: &str) -> Error {
        Error::file(&self.path, problem, "Use --quantity secant.")
    }

    /// f and ∂f·ṫ at [x, t, ṫ] by the route that was found.
    pub(super) fn with_rate(&self, at: [&Tensor; 3], condition: &Condition) -> Result<Dual> {
        match &self.rate {
            Some(rate) => self.rate_by(&rate.route, at, condition),
            None => Err(self.no_rate("its ∂/∂t was not prepared")),
        }
    }

    pub(super) fn rate_by(&self, route: &Route, at: [&Tensor; 3], condition: &Condition) -> Result<Dual> {
        match route {
            Route::ForwardMode => self.by_forward_mode(at, condition),
            Route::DoubleBackward => self.by_double_backward(at, condition),
            Route::Differences(module, step) => {
                let [_, _, extrapolated] = self.differences(module, at, condition, *step)?;
                let [x, t, _] = at;
                let value =
                    self.call(x, t, condition).map_err(|message| self.explain(&message, &x.size(), x.device()))?;
                let tangent = extrapolated.f_to_kind(x.kind()).doing("computing differences")?;
                Ok(Dual::new(value, tangent))
            }
            Route::StandsStill => {
                let [x, t, _] = at;
                let value = self.call(x, t, condition);
                value.map(Dual::constant).map_err(|message| self.explain(&message, &x.size(), x.device()))
            }
        }
    }

    fn by_forward_mode(&self, [x, t, tangent]: [&Tensor; 3], condition: &Condition) -> Result<Dual> {
        let doing = "differentiating a module in forward mode";
        forward_mode(|level| {
            let dual = Tensor::f_internal_make_dual(t, tangent, level).doing(doing)?;
            let output = self.call(x, &dual, condition).map_err(|message| self.no_rate(&message))?;
            let (value, tangent) = Tensor::f_internal_unpack_dual(&output, level).doing(doing)?;
            // Handles of their own, which outlive the level.
            let value = value.f_detach().doing(doing)?;
            let tangent = if tangent.defined() { tangent } else { value.f_zeros_like().doing(doing)? };
            Ok(Dual::new(value, tangent))
        })
    }

    fn by_double_backward(&self, [x, t, tangent]: [&Tensor; 3], condition: &Condition) -> Result<Dual> {
        let doing = "differentiating a module twice";
        plain_attention(|| {
            tch::with_grad(|| {
                let t = t.f_detach().and_then(|mut t| t.f_requires_grad_(true)).doing(doing)?;
                let y = self.call(x, &t, condition).map_err(|message| self.no_rate(&message))?;
                let u = y.f_zeros_like().and_then(|mut u| u.f_requires_grad_(true)).doing(doing)?;
                // g = ∂(u·y)/∂t, linear in u
                let sum = y.f_mul(&u).and_then(|product| product.f_sum(Kind::Float)).doing(doing)?;
                let g = gradient(&sum, &t, true).doing(doing)?;
                if !g.defined() || !g.requires_grad() {
                    return Ok(Dual::new(y.detach(), y.detach().zeros_like()));
                }
                // ∂(g·ṫ)/∂u
                let along = g.f_mul(tangent).and_then(|product| product.f_sum(Kind::Float)).doing(doing)?;
                let rate = gradient(&along, &u, false).doing(doing)?;
                let rate = if rate.defined() { rate.detach() } else { y.detach().zeros_like() };
                Ok(Dual::new(y.detach(), rate))
            })
        })
    }

    /// A copy of the module in float64.
    pub(super) fn in_float64(&self, device: Device) -> Result<CModule> {
        let mut module = load_script(&self.path, device, "this TorchScript module")?;
        module.to(device, Kind::Double, false);
        Ok(module)
    }

    /// The module in float64 with the step whose halving changes the derivative least.
    pub(super) fn differences_route(&self, module: CModule, at: [&Tensor; 3], condition: &Condition) -> Result<Route> {
        let mut best = (f64::INFINITY, 0.0);
        for step in STEPS {
            let [whole, half, extrapolated] = self.differences(&module, at, condition, step)?;
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

    /// D(h), D(h/2) and their extrapolation, in float64.
    pub(super) fn differences(
        &self,
        module: &CModule,
        at: [&Tensor; 3],
        condition: &Condition,
        step: f64,
    ) -> Result<[Tensor; 3]> {
        let doing = "computing differences in float64";
        let double = |tensor: &Tensor| tensor.f_to_kind(Kind::Double).doing(doing);
        let [x, t, tangent] = [double(at[0])?, double(at[1])?, double(at[2])?];
        let at = |t: Tensor| -> Result<Tensor> {
            let t = self.calling.shaped(&t).doing(doing)?;
            let seen = self.seen(&x, Kind::Double).doing(doing)?;
            let output = self.signature.call(module, (&seen, &t), Kind::Double, condition);
            let output = output.map_err(|message| self.no_rate(&format!("float64: {message}")))?;
            double(&output)
        };
        let central = |h: f64| -> Result<Tensor> {
            let difference = at(&t + h)? - at(&t - h)?;
            let rows: Vec<i64> = std::iter::once(-1).chain(std::iter::repeat_n(1, difference.dim() - 1)).collect();
            (difference / (2.0 * h)).f_mul(&tangent.view(&rows[..])).doing(doing)
        };
        let (whole, half) = (central(step)?, central(step / 2.0)?);
        let extrapolated = (&half * 4.0 - &whole) / 3.0;
        Ok([whole, half, extrapolated])
    }
}

fn gradient(of: &Tensor, by: &Tensor, again: bool) -> std::result::Result<Tensor, TchError> {
    let gradients = Tensor::f_run_backward(&[of], &[by], again, again)?;
    Ok(gradients.into_iter().next().unwrap_or_default())
}

/// The largest entry of a tangent; NaN where one is NaN.
fn largest(dual: &Dual) -> f64 {
    dual.tangent.as_ref().map_or(0.0, |tangent| tangent.abs().max().double_value(&[]))
}
