//! Where the steps of a sampler lie.
//!
//! Every spacing gives whole timesteps, each once, because that is what networks are trained on; `NAME-real` leaves them
//! between the whole ones where they fall.
//!
//! A new spacing is one file with a [`Member`] and one line in [`MEMBERS`].

mod karras;
mod lipschitz;
mod log_snr;
mod quadratic;
#[cfg(test)]
mod tests;
mod times;
mod uniform;
mod whole;

use crate::error::{Error, Result};
use crate::schedule::NoiseSchedule;
use crate::time::Timestep;
use lipscope_core::cli::args::REAL;
use whole::Whole;

/// Places the timesteps of a path.
pub trait Spacing: std::fmt::Debug + Send + Sync {
    /// As it is typed.
    fn name(&self) -> String;

    /// As many timesteps as shares, descending from `span.0` (share 0, noise) to `span.1` (share 1).
    ///
    /// # Errors
    ///
    /// There are not so many timesteps, or what they are made from does not cover the span.
    fn timesteps(
        &self,
        schedule: &dyn NoiseSchedule,
        span: (Timestep, Timestep),
        shares: &[f64],
    ) -> Result<Vec<Timestep>>;

    /// Whether steps of several evaluations are longer in proportion, as for the time-uniform grid of DPM-Solver's
    /// authors; else all steps are alike.
    fn per_evaluation(&self) -> bool {
        false
    }
}

/// One spacing of the family: its name, and how it is built.
pub struct Member {
    /// Name as it is typed.
    pub name: &'static str,
    /// What stands behind the colon, such as `REPORT`; empty for nothing.
    pub argument: &'static str,
    /// One line.
    pub about: &'static str,
    /// Builds it from what stands behind the colon.
    pub build: fn(&str) -> Result<Box<dyn Spacing>>,
}

/// The family.
pub const MEMBERS: &[Member] =
    &[uniform::MEMBER, quadratic::MEMBER, log_snr::MEMBER, karras::MEMBER, lipschitz::MEMBER, times::MEMBER];

/// Builds the spacing that `text` names, such as `uniform`, `log-snr-real` or `lipschitz:REPORT`.
///
/// # Errors
///
/// There is no such spacing, or its argument is missing, superfluous or cannot be used.
pub fn parse(text: &str) -> Result<Box<dyn Spacing>> {
    let (name, argument) = text.split_once(':').unwrap_or((text, ""));
    let (base, real) = name.strip_suffix(REAL).map_or((name, false), |base| (base, true));
    let typed = |member: &Member| match member.argument {
        "" => member.name.to_string(),
        argument => format!("{}:{argument}", member.name),
    };
    let fits = |member: &&Member| member.name == base && member.argument.is_empty() == argument.is_empty();
    let Some(member) = MEMBERS.iter().find(fits) else {
        let names: Vec<String> = MEMBERS.iter().map(typed).collect();
        let allowed = format!("it is one of {}, each also as NAME{REAL} for real timesteps", names.join(", "));
        return Err(Error::argument("--spacing", text, allowed, "Choose one of them."));
    };
    let spacing = (member.build)(argument)?;
    Ok(Box::new(Whole { spacing, real }))
}
