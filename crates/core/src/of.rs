//! What is measured of a model: its noise prediction, or something that follows from it.

use crate::quantity::Norm;
use crate::time::Axis;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// f(x, t), of which a quantity is a change, a rate or a size. Each but ε is a conversion of one evaluation of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// The predicted noise ε
    #[default]
    Epsilon,
    /// The score s = −ε/σ
    Score,
    /// The predicted clean sample x̂₀
    X0,
    /// The network's own output, before it is converted
    Output,
    /// r = ε/σ − x: how far the score is from that of N(0, I)
    Excess,
    /// What guidance adds for each unit of w: δ = ε(x, t, c) − ε(x, t, ∅)
    Guidance,
    /// Of a jump process: the total rate R of reverse jumps; its changes and derivatives are those of ln R
    Rate,
    /// Of a jump process: the law p of the next reverse jump, in total variation
    Jumps,
    /// How far two draws of the random inputs are apart: Δ = ε(x, t, η) − ε(x, t, η′)
    Spread,
}

impl Of {
    /// Name as it is typed and in files.
    pub fn name(self) -> &'static str {
        match self {
            Of::Epsilon => "epsilon",
            Of::Score => "score",
            Of::X0 => "x0",
            Of::Output => "output",
            Of::Excess => "excess",
            Of::Guidance => "guidance",
            Of::Rate => "rate",
            Of::Jumps => "jumps",
            Of::Spread => "spread",
        }
    }

    /// Whether it is what is measured unless something else is asked for; files of it say nothing about it.
    pub fn is_epsilon(&self) -> bool {
        *self == Of::Epsilon
    }

    /// What stands for it in a formula.
    pub fn symbol(self) -> &'static str {
        match self {
            Of::Epsilon => "ε",
            Of::Score => "s",
            Of::X0 => "x̂₀",
            Of::Output => "F",
            Of::Excess => "r",
            Of::Guidance => "δ",
            Of::Rate => "R",
            Of::Jumps => "p",
            Of::Spread => "Δ",
        }
    }

    /// What the symbol means, where it is not the usual one.
    pub fn meaning(self) -> Option<&'static str> {
        match self {
            Of::Epsilon | Of::X0 => None,
            Of::Score => Some("s = −ε/σ"),
            Of::Output => Some("F the network's output"),
            Of::Excess => Some("r = ε/σ − x"),
            Of::Guidance => Some("δ = ε(c) − ε(∅)"),
            Of::Rate => Some("R = Σ Q(y, x) q(y)/q(x) per σ"),
            Of::Jumps => Some("p the jump law"),
            Of::Spread => Some("Δ = ε(η) − ε(η′)"),
        }
    }

    /// As the end of "K of …"; `None` for ε, which goes without saying.
    pub fn in_words(self) -> Option<&'static str> {
        match self {
            Of::Epsilon => None,
            Of::Score => Some("the score"),
            Of::X0 => Some("x̂₀"),
            Of::Output => Some("the network's output"),
            Of::Excess => Some("the excess ε/σ − x"),
            Of::Guidance => Some("the guidance ε(c) − ε(∅)"),
            Of::Rate => Some("the total reverse rate"),
            Of::Jumps => Some("the jump law"),
            Of::Spread => Some("the spread ε(η) − ε(η′)"),
        }
    }

    /// Whether it grows as 1/σ by itself, so that a blow-up of it towards σ = 0 says nothing about the model.
    pub fn divides_by_sigma(self) -> bool {
        matches!(self, Of::Score | Of::Excess)
    }

    /// Whether it is held exactly where a network that answers with `prediction` is told one t throughout: factors that convert
    /// the answer into anything else move with t all the same.
    pub fn rests_where_shared(self, prediction: &str) -> bool {
        match self {
            Of::Output => true,
            Of::Epsilon | Of::Guidance => prediction == "epsilon",
            Of::X0 => prediction == "x0",
            _ => false,
        }
    }

    /// What stands in a formula for that of which changes and derivatives are measured: a rate is a scale, whose logarithm
    /// counts.
    pub fn moving_symbol(self) -> String {
        if self == Of::Rate { "ln R".into() } else { self.symbol().into() }
    }

    /// As [`Of::in_words`], of what changes and derivatives are measured of.
    pub fn moving_in_words(self) -> Option<&'static str> {
        if self == Of::Rate { Some("ln R (the total reverse rate)") } else { self.in_words() }
    }

    /// The norm that is its own, whichever is asked for: probabilities change in total variation.
    pub fn norm(self) -> Option<Norm> {
        (self == Of::Jumps).then_some(Norm::TotalVariation)
    }

    /// Its unit; ε is a number.
    pub fn unit(self) -> &'static str {
        match self {
            Of::Epsilon | Of::Output | Of::Guidance | Of::Jumps | Of::Spread => "1",
            Of::Score | Of::Excess => "1/‖x‖",
            Of::X0 => "‖x‖",
            Of::Rate => "1/σ",
        }
    }

    /// Unit of its change per change of an axis.
    pub fn unit_per(self, axis: Axis) -> String {
        let per = axis.unit().trim_start_matches("1/");
        match self.unit() {
            // ln R has no unit.
            _ if self == Of::Rate => axis.unit().into(),
            "1" => axis.unit().into(),
            unit => format!("{unit} per {per}"),
        }
    }
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_files_arguments_and_code() {
        for of in Of::value_variants() {
            assert_eq!(of.to_possible_value().unwrap().get_name(), of.name());
            assert_eq!(serde_json::to_string(of).unwrap(), format!("\"{of}\""));
        }
    }

    #[test]
    fn units_are_those_of_the_axis_where_it_is_a_number() {
        assert_eq!(Of::Epsilon.unit_per(Axis::Step), "1/step");
        assert_eq!(Of::Score.unit_per(Axis::LogSnr), "1/‖x‖ per log-SNR");
        assert_eq!(Of::X0.unit_per(Axis::Unit), "‖x‖ per unit time");
        assert_eq!((Of::Rate.unit(), &*Of::Rate.unit_per(Axis::Sigma)), ("1/σ", "1/σ"));
    }
}
