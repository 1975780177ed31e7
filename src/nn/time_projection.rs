//! Features of a timestep: t [B] → [B, width], before any dense layer.
//!
//! * sinusoid (Vaswani et al., 2017): sin(t ω_i), cos(t ω_i) with ω_i = exp(−ln(10000) i / (width/2 − shift));
//! * Gaussian Fourier features (Song et al., 2021): sin(2π W log t), cos(2π W log t);
//! * Fourier features of t itself: t, sin(2π W t), cos(2π W t), with random or learned W; or without t itself;
//! * EDM2's √2 cos(f t + φ) with random f and φ;
//! * a learned table with one row for each integer timestep, which has no ∂/∂t.
//!
//! They are computed in float32 at least, whatever the dtype of the network: in half precision t ω_i would be off by
//! radians ([`TimeProjection::forward_in`] shows how much that is). Tangents: ∂ sin φ = cos φ · φ̇, ∂ cos φ = −sin φ · φ̇, with φ̇ = ω_i ṫ,
//! 2π W ṫ/t or 2π W ṫ.

use super::{Init, Weights};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use std::f64::consts::PI;
use tch::{Device, Kind, TchError, Tensor};

/// Features of a timestep.
#[derive(Debug)]
pub enum TimeProjection {
    /// Sines and cosines of t at geometric frequencies.
    Sinusoid {
        /// Number of features; the last one is 0 where it is odd.
        width: i64,
        /// Whether cosines come before sines.
        cos_first: bool,
        /// ω_i [width/2], in float32.
        omega: Tensor,
    },
    /// Sines and cosines of log t at random frequencies W [width/2].
    GaussianFourier {
        /// W, in float32 or float64.
        frequencies: Tensor,
    },
    /// t, and sines and cosines of t at frequencies W [(width − 1)/2].
    Fourier {
        /// W, in float32 or float64.
        frequencies: Tensor,
    },
    /// Sines and cosines of t at frequencies W [width/2].
    Waves {
        /// W, in float32 or float64.
        frequencies: Tensor,
    },
    /// Cosines of t at frequencies f `[width]` with phases φ `[width]`, times √2.
    Phased {
        /// f in radians, in float32 or float64.
        frequencies: Tensor,
        /// φ.
        phases: Tensor,
    },
    /// One row of the table [timesteps, width] for each integer timestep.
    Learned {
        /// The rows.
        table: Tensor,
    },
}

/// One frequency of the features.
#[derive(Debug, Clone, PartialEq)]
pub struct Wave {
    /// |ω| in radians per unit of t, or of log t where the features are of that; 0 for t itself.
    pub frequency: f64,
    /// Whether it is t itself and no wave.
    pub is_t: bool,
    /// Its columns among the features.
    pub columns: Vec<i64>,
}

impl Wave {
    /// ω².
    pub fn weight(&self) -> f64 {
        self.frequency * self.frequency
    }
}

impl TimeProjection {
    /// `width` sinusoids on `device`; `freq_shift` is what is subtracted from width/2 in the exponent of ω_i.
    pub fn sinusoid(width: i64, cos_first: bool, freq_shift: f64, device: Device) -> Result<Self> {
        let omega =
            frequencies(width / 2, freq_shift, device).doing("computing the frequencies of the time embedding")?;
        Ok(TimeProjection::Sinusoid { width, cos_first, omega })
    }

    /// Sines before cosines at ω_i = exp(−`step`·i), with the product in float32 like the frequencies above.
    pub fn geometric(width: i64, step: f64, device: Device) -> Result<Self> {
        let omega = Tensor::f_arange(width / 2, (Kind::Float, device));
        let omega = omega.and_then(|i| i.f_mul_scalar(-step)?.f_exp());
        let omega = omega.doing("computing the frequencies of the time embedding")?;
        Ok(TimeProjection::Sinusoid { width, cos_first: false, omega })
    }

    /// `width` sinusoids at ω_i = 10000^(−i/n), computed as that power in float32, where n is width/2, or one less so that
    /// the last is exactly 1/10000.
    pub fn powers(width: i64, cos_first: bool, endpoint: bool, device: Device) -> Result<Self> {
        let count = width / 2;
        let divisor = (count - i64::from(endpoint)) as f64;
        let exponent = Tensor::f_arange(count, (Kind::Float, device)).and_then(|i| i.f_div_scalar(divisor));
        let omega = exponent.and_then(|exponent| Tensor::f_pow_scalar(1e-4, &exponent));
        let omega = omega.doing("computing the frequencies of the time embedding")?;
        Ok(TimeProjection::Sinusoid { width, cos_first, omega })
    }

    /// Sines, then cosines, of t at 2π times the frequencies `name` `[count]`.
    pub fn waves(weights: &Weights, name: &str, count: i64) -> Result<Self> {
        let frequencies = weights.tensor(name, &[count], Init::Normal(16.0))?;
        let kind = at_least_float(frequencies.kind());
        let frequencies = frequencies.f_to_kind(kind).doing("reading the frequencies of the time embedding")?;
        Ok(TimeProjection::Waves { frequencies })
    }

    /// Cosines with random frequencies `freqs` and `phases`, `[width]` each.
    pub fn phased(weights: &Weights, width: i64) -> Result<Self> {
        let wide = |name| {
            let tensor = weights.tensor(name, &[width], Init::Normal(2.0 * PI))?;
            tensor.f_to_kind(at_least_float(tensor.kind())).doing("reading the frequencies of the time embedding")
        };
        Ok(TimeProjection::Phased { frequencies: wide("freqs")?, phases: wide("phases")? })
    }

    /// Fourier features with frequencies `weights` `[count]`.
    pub fn fourier(weights: &Weights, count: i64) -> Result<Self> {
        let frequencies = weights.tensor("weights", &[count], Init::Normal(1.0))?;
        let kind = at_least_float(frequencies.kind());
        let frequencies = frequencies.f_to_kind(kind).doing("reading the frequencies of the time embedding")?;
        Ok(TimeProjection::Fourier { frequencies })
    }

    /// The tensor that is no parameter, where there is one: the frequencies of sinusoids.
    pub fn constant(&self) -> Option<Tensor> {
        match self {
            TimeProjection::Sinusoid { omega, .. } => Some(omega.shallow_clone()),
            TimeProjection::GaussianFourier { .. }
            | TimeProjection::Fourier { .. }
            | TimeProjection::Waves { .. }
            | TimeProjection::Phased { .. }
            | TimeProjection::Learned { .. } => None,
        }
    }

    /// The waves that the features are; `None` for rows of a table.
    pub fn waves_by_column(&self) -> Result<Option<Vec<Wave>>> {
        let (frequencies, per_turn, first, paired) = match self {
            TimeProjection::Sinusoid { omega, .. } => (omega, 1.0, 0, true),
            TimeProjection::GaussianFourier { frequencies } | TimeProjection::Waves { frequencies } => {
                (frequencies, 2.0 * PI, 0, true)
            }
            TimeProjection::Fourier { frequencies } => (frequencies, 2.0 * PI, 1, true),
            TimeProjection::Phased { frequencies, .. } => (frequencies, 1.0, 0, false),
            TimeProjection::Learned { .. } => return Ok(None),
        };
        let doing = "reading the frequencies of the time embedding";
        let host = frequencies.f_to_device(Device::Cpu).and_then(|w| w.f_to_kind(Kind::Double)).doing(doing)?;
        let values = Vec::<f64>::try_from(host).doing(doing)?;
        let count = values.len() as i64;
        let wave = |(i, value): (usize, &f64)| {
            let column = first + i as i64;
            // sin and cos of one frequency are half a width apart.
            let columns = if paired { vec![column, column + count] } else { vec![column] };
            Wave { frequency: (per_turn * value).abs(), is_t: false, columns }
        };
        let itself = (first == 1).then(|| Wave { frequency: 0.0, is_t: true, columns: vec![0] });
        Ok(Some(itself.into_iter().chain(values.iter().enumerate().map(wave)).collect()))
    }

    /// Whether there are features to be computed from t, and not rows to be looked up.
    pub fn computes_features(&self) -> bool {
        !matches!(self, TimeProjection::Learned { .. })
    }

    /// Refuses timesteps that a learned table has no row for.
    pub fn check_times(&self, t: &[f64]) -> Result<()> {
        let TimeProjection::Learned { table } = self else { return Ok(()) };
        let rows = table.size().first().copied().unwrap_or(0);
        if t.iter().all(|t| t.fract() == 0.0 && *t >= 0.0 && *t < rows as f64) {
            return Ok(());
        }
        Err(Error::mismatch(
            format!("the network has a learned embedding of the integer timesteps 0 to {}", rows - 1),
            "Ask for such timesteps only.",
        ))
    }

    /// Fourier features with frequencies `weight` `[count]`. Older files hold them a second time as `W`.
    pub fn gaussian_fourier(weights: &Weights, count: i64) -> Result<Self> {
        let duplicate = weights.optional("W", &[count])?;
        let frequencies = match duplicate {
            Some(frequencies) if !weights.has("weight") => frequencies,
            _ => weights.tensor("weight", &[count], Init::Normal(16.0))?,
        };
        let kind = at_least_float(frequencies.kind());
        let frequencies = frequencies.f_to_kind(kind).doing("reading the frequencies of the time embedding")?;
        Ok(TimeProjection::GaussianFourier { frequencies })
    }

    /// A learned table `weight` [timesteps, width].
    pub fn learned(weights: &Weights, timesteps: i64, width: i64) -> Result<Self> {
        Ok(TimeProjection::Learned { table: weights.tensor("weight", &[timesteps, width], Init::Normal(1.0))? })
    }

    /// t `[B]` → [B, width] in the dtype `kind` of the network.
    pub fn forward(&self, t: &Dual, kind: Kind) -> Result<Dual> {
        self.forward_in(t, None, kind)
    }

    /// The same with t and the features computed in the dtype `compute`, where there is one, whatever the network's.
    pub fn forward_in(&self, t: &Dual, compute: Option<Kind>, kind: Kind) -> Result<Dual> {
        let doing = "embedding the timestep";
        let t = t.linear(|t| t.f_to_kind(compute.unwrap_or(at_least_float(kind))))?;
        let features = match self {
            TimeProjection::Sinusoid { width, cos_first, omega } => {
                sinusoid(&t, *width, *cos_first, omega).doing(doing)?
            }
            TimeProjection::GaussianFourier { frequencies } => gaussian_fourier(&t, frequencies).doing(doing)?,
            TimeProjection::Fourier { frequencies } => {
                let time = t.linear(|t| t.f_unsqueeze(1))?;
                Dual::cat(&[&time, &waves_of(&t, frequencies).doing(doing)?], -1)?
            }
            TimeProjection::Waves { frequencies } => turning(&t, frequencies).doing(doing)?,
            TimeProjection::Phased { frequencies, phases } => phased(&t, frequencies, phases).doing(doing)?,
            TimeProjection::Learned { table } => {
                // Elsewhere this would have to wait for the device: there the times were checked before they were uploaded.
                if t.value.device() == Device::Cpu {
                    let times = t.value.f_to_kind(Kind::Double).doing(doing)?;
                    self.check_times(&Vec::<f64>::try_from(times).doing(doing)?)?;
                }
                learned(&t, table)?
            }
        };
        features.linear(|x| x.f_to_kind(kind))
    }
}

/// float64 for float64, else float32.
fn at_least_float(kind: Kind) -> Kind {
    if kind == Kind::Double { Kind::Double } else { Kind::Float }
}

/// ω_i = exp(−ln(10000) i / (half − shift)), in float32 and in this order of operations even for a float64 network:
/// these rounded numbers are the frequencies that the weights were trained with.
fn frequencies(half: i64, freq_shift: f64, device: Device) -> std::result::Result<Tensor, TchError> {
    let exponent = Tensor::f_arange(half, (Kind::Float, device))?.f_mul_scalar(-10000f64.ln())?;
    exponent.f_div_scalar(half as f64 - freq_shift)?.f_exp()
}

fn sinusoid(t: &Dual, width: i64, cos_first: bool, omega: &Tensor) -> std::result::Result<Dual, TchError> {
    let omega = omega.f_to_kind(t.value.kind())?.f_unsqueeze(0)?;
    // φ = t ω,  φ̇ = ṫ ω
    let phase = t.value.f_unsqueeze(1)?.f_mul(&omega)?;
    let d_phase = match &t.tangent {
        Some(dt) => Some(dt.f_unsqueeze(1)?.f_mul(&omega)?),
        None => None,
    };
    let waves = waves(&phase, d_phase.as_ref(), cos_first)?;
    if width % 2 == 0 {
        return Ok(waves);
    }
    let pad = |x: &Tensor| x.f_constant_pad_nd([0, 1]);
    let tangent = match &waves.tangent {
        Some(tangent) => Some(pad(tangent)?),
        None => None,
    };
    Ok(Dual { value: pad(&waves.value)?, tangent })
}

fn gaussian_fourier(t: &Dual, frequencies: &Tensor) -> std::result::Result<Dual, TchError> {
    // ∂ log t = ṫ/t
    let tangent = match &t.tangent {
        Some(dt) => Some(dt.f_div(&t.value)?),
        None => None,
    };
    waves_of(&Dual { value: t.value.f_log()?, tangent }, frequencies)
}

/// [sin φ, cos φ],  φ = x W 2π,  φ̇ = ẋ W 2π
fn waves_of(x: &Dual, frequencies: &Tensor) -> std::result::Result<Dual, TchError> {
    let w = frequencies.f_to_kind(x.value.kind())?.f_unsqueeze(0)?;
    let angular = |x: &Tensor| x.f_unsqueeze(1)?.f_mul(&w)?.f_mul_scalar(2.0)?.f_mul_scalar(PI);
    let d_phase = match &x.tangent {
        Some(dx) => Some(angular(dx)?),
        None => None,
    };
    waves(&angular(&x.value)?, d_phase.as_ref(), false)
}

/// The same with φ = x (2π W), in the order in which EDM's networks round it: phases reach hundreds of radians.
fn turning(x: &Dual, frequencies: &Tensor) -> std::result::Result<Dual, TchError> {
    let w = frequencies.f_mul_scalar(2.0 * PI)?.f_to_kind(x.value.kind())?.f_unsqueeze(0)?;
    let d_phase = match &x.tangent {
        Some(dx) => Some(dx.f_unsqueeze(1)?.f_mul(&w)?),
        None => None,
    };
    waves(&x.value.f_unsqueeze(1)?.f_mul(&w)?, d_phase.as_ref(), false)
}

/// √2 cos(x f + φ); ∂ = −√2 sin(x f + φ) f ẋ.
fn phased(x: &Dual, frequencies: &Tensor, phases: &Tensor) -> std::result::Result<Dual, TchError> {
    let kind = x.value.kind();
    let f = frequencies.f_to_kind(kind)?.f_unsqueeze(0)?;
    let phase = x.value.f_unsqueeze(1)?.f_mul(&f)?.f_add(&phases.f_to_kind(kind)?)?;
    let tangent = match &x.tangent {
        Some(dx) => {
            Some(phase.f_sin()?.f_mul(&dx.f_unsqueeze(1)?.f_mul(&f)?)?.f_mul_scalar(-std::f64::consts::SQRT_2)?)
        }
        None => None,
    };
    Ok(Dual { value: phase.f_cos()?.f_mul_scalar(std::f64::consts::SQRT_2)?, tangent })
}

/// [sin φ, cos φ] along the last axis, or cosines first.
fn waves(phase: &Tensor, d_phase: Option<&Tensor>, cos_first: bool) -> std::result::Result<Dual, TchError> {
    let (sin, cos) = (phase.f_sin()?, phase.f_cos()?);
    let join = |sin: &Tensor, cos: &Tensor| Tensor::f_cat(&if cos_first { [cos, sin] } else { [sin, cos] }, -1);
    let tangent = match d_phase {
        // ∂ sin φ = cos φ · φ̇,  ∂ cos φ = −sin φ · φ̇
        Some(d_phase) => Some(join(&cos.f_mul(d_phase)?, &sin.f_mul(d_phase)?.f_neg()?)?),
        None => None,
    };
    Ok(Dual { value: join(&sin, &cos)?, tangent })
}

/// Rows of the table; t must hold integers in its range, as [`TimeProjection::check_times`] makes sure.
fn learned(t: &Dual, table: &Tensor) -> Result<Dual> {
    let doing = "looking up the timestep";
    if t.tangent.is_some() {
        return Err(Error::unsupported(
            "a time derivative of a learned time embedding",
            "the table has rows for integer timesteps only, so ∂/∂t does not exist",
            "Use finite differences of neighbouring timesteps.",
        ));
    }
    let index = t.value.f_to_kind(Kind::Int64).doing(doing)?;
    Ok(Dual::constant(Tensor::f_embedding(table, &index, -1, false, false).doing(doing)?))
}
