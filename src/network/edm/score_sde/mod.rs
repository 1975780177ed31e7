//! `NCSNpp` of yang-song/score_sde_pytorch (Song et al., 2021, arXiv 2011.13456), which is NCSN++ and DDPM++: the layers of
//! [`SongUNet`](super) under other names. Residual blocks are those of BigGAN.
//!
//! With noise of growing variance (VE) data lies in [0, 1] there and is brought to [−1, 1] by the network, so that σ in
//! units of [−1, 1] is twice the trainer's; the output, divided by the trainer's σ, is the score, and hence −ε before that.
//! The network gets ln σ of the trainer, which is c_noise of [`c-noise-ve`](crate::preconditioning). With noise of bounded
//! variance (VP, sub-VP) the output is ε, and the network gets 999 u, u ∈ (0, 1].
//!
//! nv-tlabs/CLD-SGM (arXiv 2112.07068) has the same network, of x and a velocity v: twice the channels go in, and the mixed score
//! of v comes out. It gets ln t, t the time of the process in (0, 1].
//!
//! References for tests: yang-song/score_sde_pytorch, nv-tlabs/CLD-SGM.

mod list;
mod read;
mod state_dict;
mod usage;

pub(super) use read::config;

use super::NCSNPP;
use super::model::EdmUNet;
use crate::network::Architecture;

/// With random Fourier features of ln σ.
pub const FOURIER: Architecture = Architecture::of::<EdmUNet>(NCSNPP, Some(state_dict::FOURIER));

/// With sinusoids of 999 u.
pub const POSITIONAL: Architecture = Architecture::of::<EdmUNet>(NCSNPP, Some(state_dict::POSITIONAL));
