//! Models of the Hub that a command names, brought into the cache before it begins.

use crate::error::Result;
use crate::hub::{self, HubId, Progress};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use lipscope_core::cli::args::{Command, Global};
use lipscope_core::cli::output;
use std::cell::RefCell;

/// Fetches what is not there yet; an interrupted download goes on where it broke off.
pub(super) fn fetch(command: &Command, global: &Global) -> Result<()> {
    let told = Told { quiet: global.quiet, bar: RefCell::new(None) };
    let ids = command.checkpoints();
    ids.into_iter().filter_map(HubId::of).try_for_each(|id| hub::fetch(&id, &told).map(|_| ()))
}

/// Progress on stderr.
struct Told {
    quiet: bool,
    bar: RefCell<Option<ProgressBar>>,
}

impl Progress for Told {
    fn begin(&self, id: &HubId, files: usize, bytes: u64) {
        if self.quiet || files == 0 {
            return;
        }
        output::note(&format!(
            "fetching {id}: {files} file{}, {}",
            if files == 1 { "" } else { "s" },
            HumanBytes(bytes)
        ));
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}, {eta} left") {
            bar.set_style(style);
        }
        *self.bar.borrow_mut() = Some(bar);
    }

    fn advance(&self, bytes: u64) {
        if let Some(bar) = &*self.bar.borrow() {
            bar.inc(bytes);
        }
    }

    fn end(&self) {
        if let Some(bar) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }
}
