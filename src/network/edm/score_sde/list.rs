//! `all_modules` of an `NCSNpp` in their order: what each of them is, by the names of its parameters.

use crate::error::Result;
use crate::network::recognise::{Shapes, unknown_variant};

/// One of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Module {
    /// A residual block that gives so many channels; `resizes` where it changes the size.
    Block {
        channels: i64,
        resizes: bool,
    },
    Attention,
    /// What brings the image to a lower resolution: a convolution with a filter.
    Residual,
    /// What adds the image at a lower resolution.
    Combine,
    /// Normalisation, convolution, or a layer of the noise level.
    Other,
}

/// What the list says about the network.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Channels at each resolution, the finest first.
    pub channels: Vec<i64>,
    /// Resolutions with attention.
    pub attention: Vec<usize>,
    pub num_res_blocks: usize,
    pub progressive: &'static str,
    pub progressive_input: &'static str,
}

/// All modules; a number without parameters ends the list.
pub(super) fn modules(shapes: &Shapes) -> Result<Vec<Module>> {
    (0..shapes.count("all_modules.")).map(|place| module(shapes, place)).collect()
}

fn module(shapes: &Shapes, place: usize) -> Result<Module> {
    let at = |name: &str| format!("all_modules.{place}.{name}");
    let has = |name: &str| shapes.has(&at(name));
    if has("NIN_3.W") {
        return Ok(Module::Attention);
    }
    if has("NIN_0.W") {
        return Err(unknown_variant(format!("its block all_modules.{place} is one of DDPM, and not of BigGAN")));
    }
    if has("Conv_1.weight") {
        let channels = shapes.size(&at("Conv_1.weight"), 0)?;
        let resizes = has("Conv_2.weight") && shapes.size(&at("Conv_2.weight"), 1)? == channels;
        return Ok(Module::Block { channels, resizes });
    }
    Ok(match (has("Conv2d_0.weight"), has("Conv_0.weight")) {
        (true, _) => Module::Residual,
        (_, true) => Module::Combine,
        _ => Module::Other,
    })
}

impl Plan {
    /// From the modules behind the first convolution.
    pub fn new(modules: &[Module]) -> Result<Self> {
        let is_block = |module: &&Module| matches!(module, Module::Block { .. });
        let resizes = |module: &Module| matches!(module, Module::Block { resizes: true, .. });
        // Half of the blocks that change the size are on the way down; the middle is block, attention, block behind the
        // last resolution's.
        let levels = 1 + modules.iter().filter(|module| resizes(module)).count() / 2;
        let down: Vec<&[Module]> = modules.splitn(levels, resizes).collect();
        let blocks: Vec<&Module> = modules.iter().filter(is_block).collect();
        let wrong = || unknown_variant(format!("its {} residual blocks are in no order of the releases", blocks.len()));
        // levels·(n + n + 1) blocks, two in the middle, and those that change the size.
        let plain = blocks.len().checked_sub(2 * levels).ok_or_else(wrong)?;
        let num_res_blocks = (plain / levels).saturating_sub(1) / 2;
        if num_res_blocks == 0 || plain != levels * (2 * num_res_blocks + 1) {
            return Err(wrong());
        }
        let channels = |part: &&[Module]| {
            let first = part.iter().find_map(|module| match module {
                Module::Block { channels, .. } => Some(*channels),
                _ => None,
            });
            first.ok_or_else(wrong)
        };
        // The last part goes on with the middle: its first block, then attention or the second block.
        let attends = |part: &[Module]| {
            let behind = part.iter().position(|module| is_block(&module)).and_then(|place| part.get(place + 1));
            behind == Some(&Module::Attention)
        };
        let deepest_attends = |part: &[Module]| num_res_blocks > 0 && attends(part);
        let attention =
            (0..levels).filter(|&level| down.get(level).is_some_and(|part| deepest_attends(part))).collect();
        let has = |wanted: Module| modules.contains(&wanted);
        Ok(Plan {
            channels: down.iter().map(channels).collect::<Result<_>>()?,
            attention,
            num_res_blocks,
            progressive: outputs(modules, levels)?,
            progressive_input: match (has(Module::Combine), has(Module::Residual)) {
                (false, false) => "none",
                (true, false) => "input_skip",
                (false, true) => "residual",
                (true, true) => return Err(unknown_variant("it mixes two kinds of image pyramids".into())),
            },
        })
    }
}

/// Whether every resolution has an output: a normalisation and a convolution each.
fn outputs(modules: &[Module], levels: usize) -> Result<&'static str> {
    match modules.iter().filter(|module| **module == Module::Other).count() {
        2 => Ok("none"),
        count if count == 2 * levels => Ok("output_skip"),
        count => Err(unknown_variant(format!(
            "it has {count} layers outside of blocks, where the releases have 2 or {}",
            2 * levels
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Module::{Attention, Combine, Other, Residual};

    fn block(channels: i64) -> Module {
        Module::Block { channels, resizes: false }
    }

    fn resizing(channels: i64) -> Module {
        Module::Block { channels, resizes: true }
    }

    #[test]
    fn two_resolutions_with_attention_at_the_coarser() {
        let down = [block(8), resizing(8), Residual, block(16), Attention];
        let middle = [block(16), Attention, block(16)];
        let up = [block(16), block(16), Attention, resizing(16), block(8), block(8), Other, Other];
        let modules: Vec<Module> = [&down[..], &middle, &up].concat();
        let plan = Plan::new(&modules).unwrap();
        assert_eq!((plan.channels.as_slice(), plan.attention.as_slice()), ([8, 16].as_slice(), [1].as_slice()));
        assert_eq!((plan.num_res_blocks, plan.progressive, plan.progressive_input), (1, "none", "residual"));
    }

    #[test]
    fn outputs_at_every_resolution() {
        let down = [block(8), resizing(8), Combine, block(8)];
        let middle = [block(8), Attention, block(8)];
        let up = [block(8), block(8), Other, Other, resizing(8), block(8), block(8), Other, Other];
        let modules: Vec<Module> = [&down[..], &middle, &up].concat();
        let plan = Plan::new(&modules).unwrap();
        assert_eq!((plan.attention.len(), plan.progressive, plan.progressive_input), (0, "output_skip", "input_skip"));
        assert!(Plan::new(&modules[1..]).is_err());
    }
}
