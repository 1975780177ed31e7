//! What can be known to be wrong from arguments, configurations and headers alone, before weights are read.

use super::plan::DEFAULT_TIMESTEPS;
use super::{Facts, Times};
use crate::checkpoint;
use crate::error::Result;
use crate::model::{Opened, Said};
use lipscope_core::cli::args::Share;
use lipscope_core::options::{MeasureOptions, Overrides};
use std::path::Path;
use tch::Device;

/// Resolves the timesteps against what the checkpoints declare; `shares` has one entry per checkpoint.
pub(super) fn check<S: AsRef<str>>(
    checkpoints: &[S],
    shares: &[Option<&Share>],
    options: &MeasureOptions,
    overrides: &Overrides,
) -> Result<()> {
    let said = Said::new(overrides)?;
    let mut all = Vec::new();
    for (checkpoint, share) in checkpoints.iter().zip(shares) {
        let path = Path::new(checkpoint.as_ref());
        if Opened::is_ideal(checkpoint.as_ref()) {
            continue;
        }
        let declared = checkpoint::declared(path, &said.request(Device::Cpu))?;
        let named = overrides.schedule.clone().or(declared.schedule);
        let timesteps = named.map_or(DEFAULT_TIMESTEPS, |named| named.schedule.timesteps());
        let own: Option<Share> = declared.share.as_deref().map(str::parse).transpose()?;
        let map = share.or(own.as_ref()).map(|share| share.map(timesteps)).transpose()?;
        let boundaries = map.map(|map| map.boundaries().to_vec()).unwrap_or_default();
        all.push(Facts { label: checkpoint.as_ref().into(), timesteps, boundaries });
    }
    if all.is_empty() { Ok(()) } else { Times::resolve(options, &all).map(|_| ()) }
}
