//! ∂f(x, t)/∂t of a TorchScript module, by the first of three ways that works on it:
//!
//! 1. forward mode through libtorch: one pass, about three times its cost;
//! 2. double backward: with g(u) = ∂(u·f)/∂t, linear in u, ∂f/∂t = ∂(g·ṫ)/∂u: four to five passes;
//! 3. central differences with Richardson extrapolation, D = (4 D(h/2) − D(h))/3, in float64: four passes in float64.
//!
//! Likewise along other arguments of time, and J·v in x; arguments by the same way share a pass.
//!
//! A way that gives 0 everywhere counts as failed: a module may detach t from differentiation. One that rounds t inside has
//! no derivative; all three give 0, and that is said.

use super::TorchScript;
use super::agreement::Agreement;
use super::arguments::{Arguments, Seed};
use super::calling::TimeShape;
use super::routes::{Route, added};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::libtorch::load_script;
use crate::network::{Argument, Condition, Probe};
use tch::{CModule, Device, Kind, Tensor};

/// The way that was found for an argument, and what is to be said about it.
pub(super) struct Rate {
    pub argument: Argument,
    route: Route,
    /// Its name and how well it agrees with differences.
    pub words: String,
    /// What a reader must know.
    pub note: Option<String>,
}

impl TorchScript {
    /// Tries the routes along an argument in their order.
    pub(super) fn find_route(&mut self, argument: Argument, probe: &Probe) -> Result<()> {
        if self.stands_still && argument == Argument::T {
            let route = Route::StandsStill;
            self.rates.push(Rate { argument, words: route.name().into(), note: None, route });
            return Ok(());
        }
        if self.calling.is_integer() && argument != Argument::X {
            return Err(self.no_rate("it takes integer timesteps, so ∂/∂t does not exist"));
        }
        for (_, mut parameter) in self.module.named_parameters().unwrap_or_default() {
            let _ = parameter.f_requires_grad_(false).doing("preparing the module")?;
        }
        let route = self.route(argument, probe)?;
        // Differences need no comparison with themselves, and a study of rounding has one of its own.
        let rate = match route {
            Route::Differences(..) => Rate { argument, words: route.name().into(), note: None, route },
            _ if self.time_kind.is_some() => Rate { argument, words: route.name().into(), note: None, route },
            _ => self.compared(argument, route, probe)?,
        };
        self.rates.retain(|other| other.argument != argument);
        self.rates.push(rate);
        Ok(())
    }

    fn compared(&self, argument: Argument, route: Route, probe: &Probe) -> Result<Rate> {
        let name = route.name();
        let agreement = self.compare(argument, &route, probe)?;
        let note = self.on_agreement(argument, name, &agreement);
        let (route, words) = match agreement {
            Agreement::Within(off) => (route, format!("{name}, within {off:.0e} of differences")),
            Agreement::Differs(Some(differences), _) => {
                let words = format!("{}, where {name} gives another", differences.name());
                (differences, words)
            }
            Agreement::Differs(None, _) => (route, format!("{name}, not that of its answers")),
            Agreement::Unsettled | Agreement::Unchecked(_) => (route, format!("{name}, unchecked")),
        };
        Ok(Rate { argument, route, words, note })
    }

    /// The first route that gives something else than 0.
    fn route(&self, argument: Argument, probe: &Probe) -> Result<Route> {
        let &Probe { sample_shape, times, condition, device, kind, .. } = probe;
        let (x, _) = self.example(sample_shape, device, kind)?;
        let time_kind = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        // One t for a whole batch is the same in each row.
        let times = if self.calling.shape == TimeShape::Rows { times } else { [times[1]; 2] };
        let t = Tensor::from_slice(&times).to_kind(time_kind).to_device(device);
        let at = Arguments::new(&self.signature, [&x, &t], condition).doing("trying derivatives")?;
        let seed = self.trial(&at, argument)?;
        let mut reasons = Vec::new();
        let differences = || self.differences_route(self.in_float64(device)?, &at, &seed);
        let all: [&dyn Fn() -> Result<Route>; 3] =
            [&|| Ok(Route::ForwardMode), &|| Ok(Route::DoubleBackward), &differences];
        // Differences are taken in float64 whatever the module's dtype, so they cannot show what a dtype rounds.
        let routes = if self.time_kind.is_some() { &all[..2] } else { &all[..] };
        let mut flat = false;
        for route in routes {
            let seeds = std::slice::from_ref(&seed);
            match route().and_then(|route| self.along(&route, &at, seeds).map(|dual| (route, largest(&dual)))) {
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
        let symbol = self.symbol(argument);
        if flat {
            return Err(self.no_rate(&match argument {
                Argument::T => {
                    "t is rounded inside it: its output is constant between timesteps, and ∂/∂t does not exist"
                        .to_string()
                }
                _ => format!("{symbol} is 0: its output does not depend on it, or rounds it inside"),
            }));
        }
        Err(self.no_rate(&format!("{symbol} cannot be computed; all methods failed ({})", reasons.join("; "))))
    }

    /// A direction to try an argument in: all rows of a time move alike, the elements of x do not.
    pub(super) fn trial(&self, at: &Arguments, argument: Argument) -> Result<Seed> {
        let value = self.value_of(at, argument)?;
        let tangent = match argument {
            Argument::X => Tensor::f_arange(value.numel() as i64, (Kind::Double, value.device()))
                .and_then(|v| v.f_mul_scalar(1.3)?.f_cos()?.f_view(&value.size()[..])?.f_to_kind(value.kind())),
            Argument::T | Argument::Other(_) => value.f_ones_like(),
        };
        Ok((argument, tangent.doing("trying derivatives")?))
    }

    /// What an argument is called.
    pub(super) fn letter(&self, argument: Argument) -> String {
        match argument {
            Argument::X => "x".into(),
            Argument::T => "t".into(),
            Argument::Other(place) => {
                self.signature.times().into_iter().nth(place).map_or_else(|| "time".into(), |input| input.name)
            }
        }
    }

    /// As messages write its derivative.
    pub(super) fn symbol(&self, argument: Argument) -> String {
        format!("∂/∂{}", self.letter(argument))
    }

    pub(super) fn no_rate(&self, problem: &str) -> Error {
        Error::file(&self.path, problem, "Use --quantity secant.")
    }

    /// f and ∂f along the tangents of x, t and the condition's times, by the routes that were found.
    pub(super) fn with_rates(&self, x: &Dual, t: &Dual, condition: &Condition) -> Result<Dual> {
        let doing = "differentiating a module";
        let at = Arguments::new(&self.signature, [&x.value, &t.value], condition).doing(doing)?;
        let others = condition.times.iter().enumerate().map(|(place, time)| (Argument::Other(place), &time.tangent));
        let all = [(Argument::X, &x.tangent), (Argument::T, &t.tangent)].into_iter().chain(others);
        let mut passes: Vec<(&Route, Vec<Seed>)> = Vec::new();
        for (argument, tangent) in all {
            let Some(tangent) = tangent else { continue };
            let rate = self.rates.iter().find(|rate| rate.argument == argument);
            let route =
                &rate.ok_or_else(|| self.no_rate(&format!("{} was not prepared", self.symbol(argument))))?.route;
            let seed = (argument, tangent.shallow_clone());
            match passes.iter_mut().find(|(other, _)| other.shares_passes(route)) {
                Some((_, seeds)) => seeds.push(seed),
                None => passes.push((route, vec![seed])),
            }
        }
        let mut sum: Option<Dual> = None;
        for (route, seeds) in &passes {
            let part = self.along(route, &at, seeds)?;
            sum = Some(match sum {
                None => part,
                Some(sum) => Dual { value: sum.value, tangent: added(sum.tangent, part.tangent)? },
            });
        }
        sum.ok_or_else(|| self.no_rate("nothing moves"))
    }

    /// A copy of the module in float64.
    pub(super) fn in_float64(&self, device: Device) -> Result<CModule> {
        let mut module = load_script(&self.path, device, "this TorchScript module")?;
        module.to(device, Kind::Double, false);
        Ok(module)
    }
}

/// The largest entry of a tangent; NaN where one is NaN.
fn largest(dual: &Dual) -> f64 {
    dual.tangent.as_ref().map_or(0.0, |tangent| tangent.abs().max().double_value(&[]))
}
