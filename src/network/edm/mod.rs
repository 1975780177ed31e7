//! The U-Nets of EDM (Karras et al., 2022, arXiv 2206.00364; NVlabs/edm): `SongUNet`, which covers DDPM++ and NCSN++ (Song et
//! al., 2021, arXiv 2011.13456), and `DhariwalUNet`, which is ADM (Dhariwal & Nichol, 2021, arXiv 2105.05233).
//!
//! F(u, c), where u = c_in x and c = c_noise are made outside: [`crate::preconditioning`]. With features(c) [B, F]:
//!
//! SongUNet: emb = a(MLP(features(c) + √n W y)); DhariwalUNet: emb = a(MLP(features(c)) + W y)
//!
//! for n classes, y the one-hot label, all zeros for none. The encoder keeps the output of every layer for the decoder. In
//! SongUNet `encoder_type` and `decoder_type` add a second path beside it: skip and residual connections of downsampled
//! images, and sums of upsampled outputs. Augmentation labels are those of an image that was not augmented, zeros.
//!
//! Configurations are the arguments of the original constructors. Reference for tests: NVlabs/edm.

mod block;
mod config;
mod layers;
mod model;
mod names;
mod read;
pub mod score_sde;

use super::Architecture;

/// `_class_name` of DDPM++ and NCSN++.
const SONG: &str = "SongUNet";
/// `_class_name` of ADM.
const DHARIWAL: &str = "DhariwalUNet";

/// `_class_name` of DDPM++ and NCSN++ as score_sde itself has them.
const NCSNPP: &str = "NCSNpp";

/// DDPM++ and NCSN++.
pub const SONG_UNET: Architecture = Architecture::of::<model::EdmUNet>(SONG, None);

/// ADM.
pub const DHARIWAL_UNET: Architecture = Architecture::of::<model::EdmUNet>(DHARIWAL, None);
