//! `lipscope sample CKPT`.

use super::present;
use super::setup::setup;
use super::watch::Terminal;
use crate::error::Result;
use crate::run::Store;
use crate::run::sampling::Samples;
use lipscope_core::cli::args::{Global, SampleArgs};
use lipscope_core::cli::{Outcome, output};

/// Makes samples.
pub(super) fn run(args: &SampleArgs, global: &Global) -> Result<Option<Outcome>> {
    let samples = Samples::new(args, &setup(global))?;
    if global.dry_run {
        return output::print_json(samples.plan());
    }
    // Before anything is written, so that a signal finds no half-written file.
    let watch = Terminal::new(global.quiet)?;
    let mut store = Store::open(&samples.folder(args.out.as_deref()), samples.plan())?;
    let (account, artifacts) = samples.run(&mut store, &watch)?;
    store.publish(&artifacts)?;
    present::show(&account, &account.warnings, global, || {
        let sampling = samples.sampling();
        let clipped = sampling.clip.map_or(String::new(), |clip| format!(", clamped to ±{clip}"));
        let seconds = account.provenance.wall_seconds;
        format!(
            "{} samples of {} by {}, {} network evaluations each, steps by {}{clipped}, in {seconds:.1} s ({:.1} \
             samples/s)\n{}{}",
            account.samples,
            samples.label(),
            sampling.sampler.name(),
            account.nfe,
            sampling.spacing.name(),
            account.samples as f64 / seconds.max(1e-9),
            present::basis(&account.provenance),
            present::place(&store, &artifacts)
        )
    })?;
    Ok(None)
}
