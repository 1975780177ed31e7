//! What a U-Net keeps on the way down and takes back on the way up.

use crate::dual::Dual;
use crate::error::{Error, Result};

/// Outputs [B, C, H, W] of the way down.
#[derive(Debug, Default)]
pub(super) struct Skips(Vec<Dual>);

impl Skips {
    /// Keeps a second handle on h.
    pub fn keep(&mut self, h: &Dual) {
        self.0.push(h.shallow_clone());
    }

    /// Keeps h in place of the newest; gives it back.
    pub fn replace(&mut self, h: Dual) -> Dual {
        if let Some(newest) = self.0.last_mut() {
            *newest = h.shallow_clone();
        }
        h
    }

    /// [h, skip] along the channels, with the newest skip that was not taken yet.
    pub fn beside(&mut self, h: &Dual) -> Result<Dual> {
        let skip =
            self.0.pop().ok_or_else(|| Error::mismatch("the way up takes more than was kept", "Report this."))?;
        Dual::cat(&[h, &skip], 1)
    }
}
