//! How a network of score_sde is used: its SDE, and what it gets for the noise level.

use crate::error::{Error, Result};
use crate::network::recognise::{Evidence, Shapes, Usage, Use};
use crate::preconditioning::CNoise;
use crate::prediction::Prediction;
use crate::schedule::NamedSchedule;
use crate::time::{Axis, Conditioning};

/// The noise levels of training, whose ends are σ_max and σ_min of the trainer.
const SIGMAS: &str = "sigmas";

/// Of a network with Fourier features, which the releases have with the variance-exploding SDE only.
pub(super) const VE: Usage = Usage {
    buffers: &[SIGMAS],
    read: |Evidence { told, buffers, shapes, .. }| {
        let (inputs, outputs) = channels(shapes, true)?;
        if outputs < inputs {
            // CLD-SGM: x and v go in, the mixed score of v comes out, and the features are those of ln t.
            let (schedule, prediction) = ("cld".parse()?, Some(Prediction::Mixed));
            return Ok(Some(Use { schedule, prediction, conditioning: Conditioning::LogUnit }));
        }
        let centered = told.flag("centered")?.unwrap_or(false);
        // [0, 1] is brought to [−1, 1], and σ with it.
        let unit = if centered { 1.0 } else { 2.0 };
        let (mut min, mut max) = (0.01, 50.0);
        if let Some([sigmas]) = buffers.first_chunk() {
            min = sigmas.iter().copied().fold(f64::INFINITY, f64::min);
            max = sigmas.iter().copied().fold(0.0, f64::max);
        }
        let schedule: NamedSchedule =
            format!("ve:sigma-min={},sigma-max={}", plain(unit * min), plain(unit * max)).parse()?;
        let conditioning =
            if centered { Conditioning::scaled(Axis::LogSnr, -0.5) } else { Conditioning::Noise(CNoise::Ve) };
        Ok(Some(Use { schedule: schedule.into(), prediction: Some(Prediction::Ve), conditioning }))
    },
};

/// Of a network with sinusoids.
pub(super) const VP: Usage = Usage {
    buffers: &[],
    read: |Evidence { told, .. }| {
        let text = told.get("sde").and_then(|value| value.as_str()).unwrap_or_default();
        let schedule = match text {
            "vp" | "vpsde" => "vp",
            "subvp" | "subvpsde" => "sub-vp",
            "" => return Err(unsaid()),
            other => {
                let allowed = "networks with sinusoids are opened with the SDE vp or subvp";
                return Err(Error::argument(
                    "--config",
                    format!("sde={other}"),
                    allowed,
                    "Correct it, or export it to TorchScript.",
                ));
            }
        };
        let factor = 999.0;
        let conditioning = Conditioning::scaled(Axis::Unit, factor);
        Ok(Some(Use { schedule: schedule.parse()?, prediction: Some(Prediction::Epsilon), conditioning }))
    },
};

/// Channels that go in, and that come out of the last convolution.
pub(super) fn channels(shapes: &Shapes, fourier: bool) -> Result<(i64, i64)> {
    let first = if fourier { "all_modules.3.weight" } else { "all_modules.2.weight" };
    let last = format!("all_modules.{}.weight", shapes.count("all_modules.").saturating_sub(1));
    Ok((shapes.size(first, 1)?, shapes.size(&last, 0)?))
}

fn unsaid() -> Error {
    Error::mismatch(
        "the SDE that it was trained with cannot be inferred from the weight shapes",
        "Say it with --config sde=vp (likely: vp, subvp; both are taken as continuous in time).",
    )
}

/// A float32 number without the digits that it never had.
fn plain(x: f64) -> f64 {
    format!("{x:.6e}").parse().unwrap_or(x)
}
