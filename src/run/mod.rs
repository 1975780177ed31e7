//! Runs: what is asked, resolved and checked; carried out unit by unit under the eyes of a watcher; kept in a folder; and
//! told as a report.
//!
//! Every command that takes long has the same life: a plan, a [`Store`] that knows which of its units are finished, a
//! [`Watch`] that sees progress and says when to stop, and a report that follows from the units alone. The same command
//! goes on from what is there.

mod attribution;
pub(crate) mod before_weights;
mod carry_out;
mod closed_form;
mod coordinates;
mod enumerated;
mod finish;
mod jumps;
mod measurement;
mod memorisation;
mod plan;
mod points;
mod record;
mod refusals;
mod rounding;
pub mod sampling;
pub mod setup;
mod several;
mod terminal;
#[cfg(test)]
mod tests;
mod warnings;
mod watch;

pub use lipscope_core::store::{Folder, Store, Unit};
pub use measurement::Measurement;
pub use plan::{Facts, Missing, Plan, Times, common_timesteps, describe};
pub use setup::Setup;
pub use watch::Watch;

use crate::device;
use crate::error::Error;
use crate::report::{Provenance, Warning};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How numbers of a run that begins now come about.
pub fn provenance(plan: Value, device: String) -> Provenance {
    let versions = [("lipscope", env!("CARGO_PKG_VERSION")), ("libtorch", device::LIBTORCH_VERSION)];
    Provenance {
        plan,
        versions: versions.map(|(name, version)| (name.to_string(), version.to_string())).into(),
        device,
        threads: tch::get_num_threads().max(1) as usize,
        began: now(),
        wall_seconds: 0.0,
        parts: Vec::new(),
    }
}

/// Says in a report who measured what, and what a reader must know of it.
pub(crate) fn told_of_parts(store: &Store, provenance: &mut Provenance, warnings: &mut Vec<Warning>) {
    provenance.parts = store.contributions();
    warnings.extend(store.warnings());
}

/// The time of day, RFC 3339, UTC.
pub fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

/// A clean stop: what was finished is in the store.
pub fn interrupted(store: Option<&Store>) -> Error {
    let next = match store {
        Some(store) => {
            format!("What was finished is in {}; the same command goes on from there.", store.folder().display())
        }
        None => "Nothing was kept.".into(),
    };
    Error::Interrupted { next }
}
