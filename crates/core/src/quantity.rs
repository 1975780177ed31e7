//! The vocabulary of a measurement: quantities, norms and methods of estimation. Each name here is the one in files, in
//! arguments, in help and in completions.

use crate::clock::Clock;
use crate::of::Of;
use crate::time::Axis;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a curve shows: one number per timestep, an expectation over x_t.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// K(t, t′) = E‖ε(x, t) − ε(x, t′)‖/|t − t′| (arXiv 2306.11251).
    #[default]
    Secant,
    /// D(t) = E‖∂ε/∂t‖.
    Derivative,
    /// P(t) = E‖d ε(x(t), t)/dt‖ along the probability-flow ODE.
    Path,
    /// L(t) = E‖∂ε/∂x‖₂.
    Spatial,
    /// S(t) = E‖ε(x, t)‖₂, and E‖ε(x, t)‖² beside it.
    Size,
}

impl Quantity {
    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Secant => "secant",
            Quantity::Derivative => "derivative",
            Quantity::Path => "path",
            Quantity::Spatial => "spatial",
            Quantity::Size => "size",
        }
    }

    /// The letter that stands for it.
    pub fn letter(self) -> &'static str {
        match self {
            Quantity::Secant => "K",
            Quantity::Derivative => "D",
            Quantity::Path => "P",
            Quantity::Spatial => "L",
            Quantity::Size => "S",
        }
    }

    /// Its letter, and of what it is where that is not ε: `K of the score`.
    pub fn called(self, of: Of) -> String {
        let letter = self.letter();
        match (self, self.subject(of)) {
            (Quantity::Size, words) => format!("the size of {}", words.unwrap_or("ε")),
            (_, None) => letter.into(),
            (_, Some(words)) => format!("{letter} of {words}"),
        }
    }

    /// What it is measured of, as the end of "K of …"; `None` for ε, which goes without saying.
    pub fn subject(self, of: Of) -> Option<&'static str> {
        if self == Quantity::Size { of.in_words() } else { of.moving_in_words() }
    }

    /// Name in tables, and of what it is where that is not ε: `secant of score`.
    pub fn listed(self, of: Of) -> String {
        if of.is_epsilon() { self.name().into() } else { format!("{self} of {of}") }
    }

    /// Whether it is a change per unit of time: it has a time axis, and adds up to a variation.
    pub fn has_time_axis(self) -> bool {
        !matches!(self, Quantity::Spatial | Quantity::Size)
    }

    /// Whether it sees what happens where a timestep map jumps.
    pub fn sees_jumps(self) -> bool {
        matches!(self, Quantity::Secant | Quantity::Size)
    }

    /// Its unit on an axis.
    pub fn unit(self, of: Of, axis: Axis) -> String {
        match self {
            Quantity::Spatial => "1/‖x‖".into(),
            Quantity::Size => of.unit().into(),
            _ => of.unit_per(axis),
        }
    }

    /// Name and formula, such as `K(t, t+1)` and `E‖ε(x, t) − ε(x, t+1)‖₂`; without `dt` the secant's second time is t′.
    pub fn definition(self, of: Of, axis: Axis, norm: Norm, dt: Option<f64>) -> (String, String) {
        self.definition_by((of, axis, norm, dt), &Clock::default())
    }

    /// The same of models with these arguments of time.
    pub fn definition_by(self, (of, axis, norm, dt): (Of, Axis, Norm, Option<f64>), clock: &Clock) -> (String, String) {
        let (f, moving, variable) = (of.symbol(), of.moving_symbol(), axis.symbol());
        let within = |inner: String| norm.formula(&inner);
        let (name, formula) = match self {
            Quantity::Secant => {
                let next = dt.map_or_else(|| "t′".to_string(), |dt| format!("t+{dt}"));
                let denominator = match axis {
                    Axis::Step if dt == Some(1.0) => String::new(),
                    Axis::Step | Axis::Unit => format!(" / Δ{variable}"),
                    Axis::Sigma | Axis::LogSnr | Axis::Argument => format!(" / |Δ{variable}|"),
                };
                let (here, there) = clock.arguments(&next);
                (
                    format!("K(t, {next})"),
                    format!("E{}{denominator}", within(format!("{moving}(x, {here}) − {moving}(x, {there})"))),
                )
            }
            Quantity::Derivative => (self.of_t(), format!("E{}", within(clock.derivative(&spaced(&moving), variable)))),
            Quantity::Path => (self.of_t(), format!("E{}", within(format!("d{f}(x(t), t)/d{variable}")))),
            Quantity::Spatial => (self.of_t(), format!("E‖∂{f}/∂x‖₂")),
            Quantity::Size => (self.of_t(), format!("E{}", within(format!("{f}(x, {})", clock.arguments("t").0)))),
        };
        let meaning = of.meaning().map(str::to_string).into_iter();
        let others = (!clock.is_plain()).then(|| clock.meaning());
        (name, std::iter::once(formula).chain(meaning).chain(others).collect::<Vec<_>>().join(", "))
    }

    fn of_t(self) -> String {
        format!("{}(t)", self.letter())
    }
}

/// A name of several letters behind a ∂.
fn spaced(symbol: &str) -> String {
    if symbol.contains(' ') { format!(" {symbol}") } else { symbol.into() }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What `--quantity` asks for: one curve per model, or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Quantities {
    /// K: the difference quotient over --dt
    #[default]
    Secant,
    /// D: ‖∂ε/∂t‖, exact
    Derivative,
    /// K and D
    Both,
    /// Total derivative along the sampling path
    Path,
    /// ‖∂ε/∂x‖₂
    Spatial,
    /// ‖ε(x, t)‖ itself, and its mean square
    Size,
}

impl Quantities {
    /// The curves of each model.
    pub fn all(self) -> &'static [Quantity] {
        match self {
            Quantities::Secant => &[Quantity::Secant],
            Quantities::Derivative => &[Quantity::Derivative],
            Quantities::Both => &[Quantity::Secant, Quantity::Derivative],
            Quantities::Path => &[Quantity::Path],
            Quantities::Spatial => &[Quantity::Spatial],
            Quantities::Size => &[Quantity::Size],
        }
    }

    /// Whether a curve of secants is part of it.
    pub fn has_secant(self) -> bool {
        self.all().contains(&Quantity::Secant)
    }

    /// Whether a curve of derivatives is part of it.
    pub fn has_derivative(self) -> bool {
        self.all().contains(&Quantity::Derivative)
    }

    /// Whether there is a curve per unit of a time axis.
    pub fn has_time_axis(self) -> bool {
        self.all().iter().any(|quantity| quantity.has_time_axis())
    }

    /// Whether it needs derivatives in x.
    pub fn has_jacobian(self) -> bool {
        matches!(self, Quantities::Path | Quantities::Spatial)
    }
}

impl fmt::Display for Quantities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Quantities::Both => "both",
            one => one.all()[0].name(),
        })
    }
}

/// How a tensor becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// Euclidean norm over all elements of a sample
    #[default]
    L2,
    /// L2 divided by √D, which compares across resolutions
    Rms,
    /// ½ Σ|·|: the distance of two probability laws; of --of jumps, which has no other
    TotalVariation,
}

impl Norm {
    /// Name as it is typed and in files.
    pub fn name(self) -> &'static str {
        match self {
            Norm::L2 => "l2",
            Norm::Rms => "rms",
            Norm::TotalVariation => "total-variation",
        }
    }

    /// The norm of `inner` in a formula.
    pub fn formula(self, inner: &str) -> String {
        match self {
            Norm::L2 => format!("‖{inner}‖₂"),
            Norm::Rms => format!("‖{inner}‖₂/√d"),
            Norm::TotalVariation => format!("½‖{inner}‖₁"),
        }
    }
}

impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a curve was estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// An average over samples.
    #[serde(rename = "monte-carlo")]
    MonteCarlo,
    /// An average over samples with control variates.
    #[serde(rename = "monte-carlo control-variates")]
    ControlVariates,
    /// The same of an exact derivative along a tangent.
    #[serde(rename = "monte-carlo control-variates exact-tangent")]
    ExactTangent,
    /// The same of a spectral norm by power iteration.
    #[serde(rename = "monte-carlo control-variates power-iteration")]
    PowerIteration,
    /// The expectation itself.
    #[serde(rename = "closed-form")]
    ClosedForm,
}

impl Method {
    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Method::MonteCarlo => "monte-carlo",
            Method::ControlVariates => "monte-carlo control-variates",
            Method::ExactTangent => "monte-carlo control-variates exact-tangent",
            Method::PowerIteration => "monte-carlo control-variates power-iteration",
            Method::ClosedForm => "closed-form",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_files_arguments_and_code() {
        let all = [Quantity::Secant, Quantity::Derivative, Quantity::Path, Quantity::Spatial, Quantity::Size];
        for quantity in all {
            assert_eq!(written(&quantity), format!("\"{}\"", quantity.name()));
        }
        for quantities in Quantities::value_variants() {
            let typed = quantities.to_possible_value().unwrap();
            assert_eq!(typed.get_name(), quantities.to_string());
            assert_eq!(written(quantities), format!("\"{quantities}\""));
        }
        for norm in Norm::value_variants() {
            assert_eq!(norm.to_possible_value().unwrap().get_name(), norm.name());
            assert_eq!(written(norm), format!("\"{norm}\""));
        }
        for method in [
            Method::MonteCarlo,
            Method::ControlVariates,
            Method::ExactTangent,
            Method::PowerIteration,
            Method::ClosedForm,
        ] {
            assert_eq!(written(&method), format!("\"{}\"", method.name()));
        }
    }

    fn written<T: Serialize>(value: &T) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
        let error = serde_json::from_str::<Quantity>("\"gradient\"").unwrap_err().to_string();
        assert!(error.contains("gradient") && error.contains("secant") && error.contains("spatial"), "{error}");
    }

    #[test]
    fn definitions_say_norm_axis_and_step() {
        let secant = |axis, norm, dt| Quantity::Secant.definition(Of::Epsilon, axis, norm, dt);
        let (name, formula) = secant(Axis::Step, Norm::L2, Some(1.0));
        assert_eq!((&*name, &*formula), ("K(t, t+1)", "E‖ε(x, t) − ε(x, t+1)‖₂"));
        assert_eq!(secant(Axis::Sigma, Norm::Rms, Some(0.5)).1, "E‖ε(x, t) − ε(x, t+0.5)‖₂/√d / |Δσ|");
        assert_eq!(secant(Axis::Unit, Norm::L2, None).1, "E‖ε(x, t) − ε(x, t′)‖₂ / Δ(t/T)");
        assert_eq!(Quantity::Derivative.definition(Of::Epsilon, Axis::LogSnr, Norm::L2, None).1, "E‖∂ε/∂λ‖₂");
        assert_eq!(Quantity::Path.definition(Of::Epsilon, Axis::Step, Norm::L2, None).1, "E‖dε(x(t), t)/dt‖₂");
        let score = Quantity::Secant.definition(Of::Score, Axis::Step, Norm::L2, Some(1.0)).1;
        assert_eq!(score, "E‖s(x, t) − s(x, t+1)‖₂, s = −ε/σ");
        let r = "x,t,r=time*0.5".parse::<crate::cli::args::Inputs>().unwrap().times();
        let by = |quantity: Quantity, moves: &str| {
            let clock = Clock::new("module", &r, Some(&moves.parse().unwrap())).unwrap();
            quantity.definition_by((Of::Output, Axis::Step, Norm::L2, Some(1.0)), &clock).1
        };
        let end = ", F the network's output, r = time*0.5";
        assert_eq!(by(Quantity::Secant, "t"), format!("E‖F(x, t, r) − F(x, t+1, r)‖₂{end}"));
        assert_eq!(by(Quantity::Secant, "r"), format!("E‖F(x, t, r) − F(x, t, r′)‖₂{end}"));
        assert_eq!(by(Quantity::Derivative, "t"), format!("E‖∂F/∂t‖₂{end}"));
        assert_eq!(by(Quantity::Derivative, "t,r"), format!("E‖∂F/∂t + ∂F/∂r·dr/dt‖₂{end}"));
        let rate = |quantity: Quantity| quantity.definition(Of::Rate, Axis::Sigma, Norm::L2, None).1;
        let meaning = "R = Σ Q(y, x) q(y)/q(x) per σ";
        assert_eq!(rate(Quantity::Derivative), format!("E‖∂ ln R/∂σ‖₂, {meaning}"));
        assert_eq!(rate(Quantity::Size), format!("E‖R(x, t)‖₂, {meaning}"));
        let jumps = Quantity::Derivative.definition(Of::Jumps, Axis::Sigma, Norm::TotalVariation, None).1;
        assert_eq!(jumps, "E½‖∂p/∂σ‖₁, p the jump law");
        let size = Quantity::Size.definition(Of::Excess, Axis::Step, Norm::Rms, None);
        assert_eq!((&*size.0, &*size.1), ("S(t)", "E‖r(x, t)‖₂/√d, r = ε/σ − x"));
    }
}
