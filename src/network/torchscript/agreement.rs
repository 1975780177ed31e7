//! Whether the derivative that libtorch gives is that of what a module computes. A module may hide t from differentiation
//! in a part of it (detach), round it, or look it up in a table: then its derivative in forward or reverse mode is the
//! derivative of something else, and no error says so. Differences in float64 tell.

use super::TorchScript;
use super::arguments::{Arguments, Seed};
use super::calling::TimeShape;
use super::code::Code;
use super::routes::{Route, speed};
use crate::device::memory;
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::network::{Argument, Probe};
use tch::{Device, Kind, Tensor};

/// Relative difference that rounding explains: float32 keeps 1e-7 of each of some hundred terms of either sign, which a
/// derivative that is a thousandth of them makes 1e-2; float64 only has the error of the differences.
fn tolerance(kind: Kind) -> f64 {
    if kind == Kind::Double { 1e-4 } else { 1e-2 }
}

/// Steps that are tried for differences in single precision, where a module runs in no other: powers of two, so that t ± h
/// is exact, in units of a 500th of the distance between the two times at which a module is tried out.
const STEPS: [f64; 4] = [1.0, 0.5, 0.25, 0.125];
/// The unit for x, whose elements are about 1.
const STEP_OF_X: f64 = 1.0 / 16.0;
/// What such differences keep of an output's seven digits, over a change of a hundredth of it.
const SINGLE: f64 = 0.05;

/// What came of the comparison.
pub(super) enum Agreement {
    /// The largest difference, relative to the largest entry, is one of rounding.
    Within(f64),
    /// They differ by so much; the route by differences, where that is exact.
    Differs(Option<Route>, f64),
    /// Differences do not settle: t is rounded in a part of the module.
    Unsettled,
    /// It could not be checked.
    Unchecked(&'static str),
}

impl TorchScript {
    /// Compares the tangent of `route` along an argument with differences in float64, at two times for which a module is mostly
    /// asked.
    pub(super) fn compare(&self, argument: Argument, route: &Route, probe: &Probe) -> Result<Agreement> {
        let &Probe { sample_shape, times: [early, late], condition, device, kind, .. } = probe;
        if matches!(self.calling.own.unwrap_or(kind), Kind::Half | Kind::BFloat16) {
            return Ok(Agreement::Unchecked("rounding dominates in half precision"));
        }
        let parameters = self.module.named_parameters().unwrap_or_default();
        let bytes: usize = parameters.iter().map(|(_, tensor)| 8 * tensor.numel()).sum();
        if device == Device::Cpu && memory::available().is_some_and(|free| bytes as u64 > free / 2) {
            return Ok(Agreement::Unchecked("its float64 copy would need more than half of the free memory"));
        }
        let (x, _) = self.example(sample_shape, device, kind)?;
        let doing = "checking the derivative";
        let time_kind = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        // One t for a whole batch is the same in each row.
        let first = if self.calling.shape == TimeShape::Rows { 0.5 * (early + late) } else { late };
        let t =
            Tensor::from_slice(&[first, late]).f_to_kind(time_kind).and_then(|t| t.f_to_device(device)).doing(doing)?;
        let at = Arguments::new(&self.signature, [&x, &t], condition).doing(doing)?;
        let seed = self.trial(&at, argument)?;
        let Ok(double) = self.in_float64(device) else {
            return Ok(Agreement::Unchecked("a copy in float64 finds no room"));
        };
        let seeds = std::slice::from_ref(&seed);
        let found = self.along(route, &at, seeds)?;
        if self.differences(&double, &at, &seed, 1e-3).is_err() {
            let unit = if argument == Argument::X { STEP_OF_X } else { (late - early).abs() / 500.0 };
            return self.compare_in_single(&found, &at, &seed, unit);
        }
        let Ok(differences) = self.differences_route(double, &at, &seed) else { return Ok(Agreement::Unsettled) };
        let exact = self.along(&differences, &at, seeds)?;
        let off = exact.tangent.map_or(Ok(f64::INFINITY), |exact| apart(&found, &exact))?;
        // A NaN is no agreement.
        Ok(if off <= tolerance(kind) { Agreement::Within(off) } else { Agreement::Differs(Some(differences), off) })
    }

    /// The same for a module with single precision baked in, by its own answers.
    fn compare_in_single(
        &self,
        found: &Dual,
        at: &Arguments,
        (argument, tangent): &Seed,
        unit: f64,
    ) -> Result<Agreement> {
        let doing = "checking the derivative";
        let moved = |shift: f64| -> Result<Tensor> {
            let moved = self.moved(at, (*argument, tangent), shift)?;
            let (shape, device) = (at.x.size(), at.x.device());
            let output = self.call_with(&moved).map_err(|message| self.explain(&message, &shape, device))?;
            output.f_to_kind(Kind::Double).doing(doing)
        };
        let central = |h: f64| {
            let change = moved(h)?.f_sub(&moved(-h)?).and_then(|change| change.f_div_scalar(2.0 * h));
            change
                .and_then(|slope| slope.f_mul(&speed(*argument, tangent, slope.dim())?))
                .doing("computing differences")
        };
        let mut best = (f64::INFINITY, None);
        for step in STEPS {
            let h = step * unit.max(f64::MIN_POSITIVE).log2().floor().exp2();
            let (whole, half) = (central(h)?, central(0.5 * h)?);
            let moved = apart(&Dual::new(half.shallow_clone(), half.shallow_clone()), &whole)?;
            if moved < best.0 {
                let extrapolated = half.f_mul_scalar(4.0).and_then(|four| four.f_sub(&whole)?.f_div_scalar(3.0));
                best = (moved, Some(extrapolated.doing(doing)?));
            }
        }
        let Some(reference) = best.1.filter(|_| best.0 <= SINGLE) else { return Ok(Agreement::Unsettled) };
        let off = apart(found, &reference)?;
        Ok(if off <= SINGLE { Agreement::Within(off) } else { Agreement::Differs(None, off) })
    }

    /// A line on the comparison where a reader must know of it; `name` is the route's.
    pub(super) fn on_agreement(&self, argument: Argument, name: &str, agreement: &Agreement) -> Option<String> {
        let (symbol, letter) = (self.symbol(argument), self.letter(argument));
        let code = Code::read(&self.path);
        let rounds = [Kind::Half, Kind::BFloat16].into_iter().any(|half| code.casts_to(half))
            || ["torch.round", "torch.floor", "torch.to(t, 4)", "torch.embedding("].iter().any(|call| code.has(call));
        let jumps = format!(
            "its output jumps where the rounded {letter} does, which no derivative shows: --quantity secant does"
        );
        match agreement {
            Agreement::Within(_) => None,
            Agreement::Differs(differences, off) => {
                let hides = format!("a part of the module hides {letter} from differentiation (detach), or rounds it");
                let seen = if rounds { format!(" If it rounds {letter}, {jumps}.") } else { String::new() };
                let used = match differences {
                    Some(_) => "The differences are used instead.",
                    None => {
                        "It is used all the same, as the module runs in single precision alone, which differences cannot be \
                             taken in: do not trust it."
                    }
                };
                Some(format!(
                    "{symbol} by {name} is {:.0} % of the largest entry off differences of the module's own answers: {hides}. \
                     {used}{seen}",
                    100.0 * off
                ))
            }
            Agreement::Unsettled => Some(format!(
                "differences of its answers do not settle, so {symbol} by {name} may not be all of what the module does with {letter}: a part of \
                 it rounds {letter} or looks it up. {}.",
                capitalised(&jumps)
            )),
            Agreement::Unchecked(why) => {
                Some(format!("{symbol} by {name} was not checked against differences in float64: {why}."))
            }
        }
    }
}

/// The largest distance of a tangent from `reference`, in parts of the larger of their largest entries.
fn apart(found: &Dual, reference: &Tensor) -> Result<f64> {
    let doing = "checking the derivative";
    let Some(tangent) = &found.tangent else { return Ok(f64::INFINITY) };
    let largest =
        |tensor: &Tensor| tensor.f_abs().and_then(|size| size.f_max()).doing(doing).map(|m| m.double_value(&[]));
    let off = tangent.f_to_kind(Kind::Double).and_then(|tangent| tangent.f_sub(reference)).doing(doing)?;
    Ok(largest(&off)? / largest(tangent)?.max(largest(reference)?).max(f64::MIN_POSITIVE))
}

fn capitalised(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
