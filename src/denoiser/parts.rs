//! ∂ε/∂t in parts, by the sites where t enters the network or by the frequencies of its time embedding.
//!
//! With ε = a(t)·y + b(t)·x and y = F(c_in(t) x, t), the parts are
//!
//! * `conversion`: ȧ·y + ḃ·x, where ε is not the network's own output;
//! * `input`: a·(∂F/∂u)·ċ_in x, where the input is scaled;
//! * one for each site or frequency: a·Jᵢ ėᵢ.
//!
//! With guidance y is that of the combination. The parts of each kind add up to ∂ε/∂t.

use super::network::{At, Entering, NetworkDenoiser};
use crate::error::{Doing, Result};
use crate::network::Entrance;
use crate::nn::Sites;
use crate::response::{Response, convert};
use crate::state::State;
use crate::time::Timestep;
use lipscope_core::attribution::PartKind;
use tch::Tensor;

/// Name of the part that turns the output into ε.
pub const CONVERSION: &str = "conversion";
/// Name of the part of a scaled input.
pub const INPUT: &str = "input";
/// Name of the frequency part of what does not go through the features of t.
pub const PAST: &str = "past the embedding";

/// One part.
#[derive(Debug)]
pub struct Part {
    /// What it belongs to.
    pub kind: PartKind,
    /// Its name: a site's or a frequency's, [`CONVERSION`], [`INPUT`] or [`PAST`].
    pub name: String,
    way: Way,
}

/// How it is computed.
#[derive(Debug)]
enum Way {
    Conversion,
    Input,
    Network(Entrance),
}

/// A response whose rate can be told apart.
pub trait RateParts: Response {
    /// Refuses a kind of parts that the model does not have, before anything is measured.
    ///
    /// # Errors
    /// For frequencies: the features of t are no waves.
    fn check(&self, kind: PartKind) -> Result<()>;

    /// The parts of a kind, whose sum is [`Response::rate`]; `state` and `t` are those of some pass, of a row or more.
    ///
    /// # Errors
    /// For frequencies: the features of t are no waves.
    fn parts(&self, kind: PartKind, state: &State, t: &[Timestep]) -> Result<Vec<Part>>;

    /// One part, [B, …] of the shape of x, per step.
    fn part(&self, part: &Part, state: &State, t: &[Timestep]) -> Result<Tensor>;
}

impl RateParts for NetworkDenoiser {
    fn check(&self, kind: PartKind) -> Result<()> {
        match (kind, self.asked.network.inside()) {
            (PartKind::Frequency, Some(inside)) => inside.frequencies().map(|_| ()),
            _ => Ok(()),
        }
    }

    fn parts(&self, kind: PartKind, state: &State, t: &[Timestep]) -> Result<Vec<Part>> {
        let part = |name: String, way| Part { kind, name, way };
        let mut parts = Vec::new();
        if self.prediction.converts() {
            parts.push(part(CONVERSION.into(), Way::Conversion));
        }
        if self.prediction.scales_input() {
            parts.push(part(INPUT.into(), Way::Input));
        }
        match kind {
            PartKind::Site => {
                let site = |name: String| part(name.clone(), Way::Network(Entrance::At(Sites::Only(name))));
                parts.extend(self.sites(state, t)?.into_iter().map(site));
            }
            PartKind::Frequency => {
                let groups = self.asked.network.inside().map(|inside| inside.frequencies()).transpose()?;
                let of = |group: crate::network::Frequencies| {
                    part(group.name(), Way::Network(Entrance::Through(group.columns)))
                };
                parts.extend(groups.into_iter().flatten().map(of));
                if self.through_network(state, t, &Entrance::PastFeatures)?.is_some() {
                    parts.push(part(PAST.into(), Way::Network(Entrance::PastFeatures)));
                }
            }
        }
        Ok(parts)
    }

    fn part(&self, part: &Part, state: &State, t: &[Timestep]) -> Result<Tensor> {
        let zero = || state.x.f_zeros_like().doing("adding nothing");
        match &part.way {
            Way::Conversion => {
                let output = self.output(state, At::new(t), false)?.value;
                self.moving(&output, &state.x, t)
            }
            Way::Input => self.through_input(state, t)?.map_or_else(zero, Ok),
            Way::Network(entrance) => self.through_network(state, t, entrance)?.map_or_else(zero, Ok),
        }
    }
}

impl NetworkDenoiser {
    /// The sites of the network, in the order of its forward pass.
    fn sites(&self, state: &State, t: &[Timestep]) -> Result<Vec<String>> {
        let entrance = Entrance::At(Sites::noted());
        self.through_network(state, t, &entrance)?;
        match entrance {
            Entrance::At(sites) => Ok(sites.into_names()),
            _ => Ok(Vec::new()),
        }
    }

    /// a·(∂F/∂t), of the tangents that enter by `entrance`; `None` for an exact zero.
    fn through_network(&self, state: &State, t: &[Timestep], entrance: &Entrance) -> Result<Option<Tensor>> {
        let entering = Entering { through_t: true, through_input: false, by: Some(entrance) };
        self.carried(self.entered(state, At::new(t), entering)?.tangent, &state.x, t)
    }

    /// a·(∂F/∂u)·ċ_in x; `None` for an exact zero.
    fn through_input(&self, state: &State, t: &[Timestep]) -> Result<Option<Tensor>> {
        let entering = Entering { through_t: false, through_input: true, by: None };
        self.carried(self.entered(state, At::new(t), entering)?.tangent, &state.x, t)
    }

    /// a·ẏ
    pub(super) fn carried(&self, tangent: Option<Tensor>, x: &Tensor, t: &[Timestep]) -> Result<Option<Tensor>> {
        let Some(tangent) = tangent else { return Ok(None) };
        convert(&tangent, x, t, |t| self.output_factor(t)).map(Some)
    }
}
