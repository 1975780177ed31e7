//! Keys that the configurations of diffusers' U-Nets share.

use super::config::TimeScaleShift;
use crate::error::Result;
use crate::network::keys::{Keys, LARGEST, unsupported};
use crate::nn::Activation;

pub fn channels(keys: &mut Keys, default: &[i64]) -> Result<Vec<i64>> {
    let key = "block_out_channels";
    let channels: Vec<i64> = keys.value(key, default.to_vec())?;
    if channels.is_empty() || channels.len() > 30 {
        return Err(keys.wrong(key, &format!("a list of {}", channels.len()), "it must have 1 to 30 entries"));
    }
    match channels.iter().find(|channels| !(1..=LARGEST).contains(*channels)) {
        Some(bad) => Err(keys.wrong(key, &bad.to_string(), &format!("each must be from 1 to {LARGEST}"))),
        None => Ok(channels),
    }
}

pub fn time_scale_shift(keys: &mut Keys) -> Result<TimeScaleShift> {
    let key = "resnet_time_scale_shift";
    match keys.value(key, "default".to_string())?.as_str() {
        "default" => Ok(TimeScaleShift::Default),
        "scale_shift" => Ok(TimeScaleShift::ScaleShift),
        other => Err(unsupported(key, other, "it is `default` or `scale_shift`")),
    }
}

pub fn groups(keys: &mut Keys) -> Result<i64> {
    let key = "norm_num_groups";
    match keys.integer_or_null(key, Some(32), 1..=LARGEST)? {
        Some(groups) => Ok(groups),
        None => Err(unsupported(key, "null", "only skip blocks, which this version lacks, choose their own groups")),
    }
}

pub fn downsample_padding(keys: &mut Keys) -> Result<i64> {
    let key = "downsample_padding";
    match keys.integer(key, 1, i64::MIN..=i64::MAX)? {
        padding @ (0 | 1) => Ok(padding),
        other => Err(unsupported(key, &other.to_string(), "with any but 0 and 1 the sizes would not be halved")),
    }
}

pub fn act_fn(keys: &mut Keys) -> Result<Activation> {
    let name = keys.value("act_fn", "silu".to_string())?;
    let known = || format!("the activations are {}", Activation::NAMES);
    Activation::from_name(&name).ok_or_else(|| unsupported("act_fn", &name, &known()))
}

pub fn time_embed_dim(keys: &mut Keys, first: i64) -> Result<i64> {
    match keys.optional_integer("time_embedding_dim", 0..=LARGEST)? {
        None | Some(0) => Ok(4 * first),
        Some(width) => Ok(width),
    }
}

/// ε of every normalisation.
pub fn norm_eps(keys: &mut Keys) -> Result<f64> {
    match keys.finite("norm_eps", 1e-5)? {
        eps if eps < 0.0 => Err(keys.wrong("norm_eps", &eps.to_string(), "it must not be negative")),
        eps => Ok(eps),
    }
}

/// What the layers of the middle block divide their outputs by.
pub fn scale_factor(keys: &mut Keys) -> Result<f64> {
    match keys.finite("mid_block_scale_factor", 1.0)? {
        0.0 => Err(keys.wrong("mid_block_scale_factor", "0", "the middle block divides by it")),
        factor => Ok(factor),
    }
}

/// Refuses a `freq_shift` with which the frequencies of `width` sinusoids are not finite.
pub fn check_shift(keys: &Keys, freq_shift: f64, width: i64) -> Result<()> {
    let half = (width / 2) as f64;
    if half > freq_shift {
        return Ok(());
    }
    let allowed = format!("it must be below half of block_out_channels[0], which is {half}");
    Err(keys.wrong("freq_shift", &freq_shift.to_string(), &allowed))
}
