//! Progress on stderr, and a clean stop on Ctrl-C.

use crate::error::{Error, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A bar over timesteps that also watches for Ctrl-C.
pub(super) struct Progress {
    bar: ProgressBar,
    stopped: Arc<AtomicBool>,
}

impl Progress {
    /// A bar of `length` units named `unit`; hidden where quiet or where stderr is no terminal.
    pub fn new(length: u64, unit: &str, quiet: bool, stopped: &Arc<AtomicBool>) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        let template = format!("{{bar:30}} {{pos}}/{{len}} {unit}  {{elapsed}} elapsed, {{eta}} left  {{msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Progress { bar, stopped: Arc::clone(stopped) }
    }

    /// One unit done; `false` once Ctrl-C was pressed.
    pub fn advance(&self) -> bool {
        self.bar.inc(1);
        self.goes_on()
    }

    /// Shows a few words behind the bar.
    pub fn say(&self, words: String) {
        self.bar.set_message(words);
    }

    /// A line on stderr, above the bar.
    pub fn line(&self, text: &str) {
        self.bar.suspend(|| super::output::note(text));
    }

    /// So many units in all, after all.
    pub fn lengthen_to(&self, length: u64) {
        self.bar.set_length(length);
    }

    /// Units that an earlier run did.
    pub fn skip(&self, count: u64) {
        self.bar.inc(count);
        self.bar.reset_eta();
    }

    /// Whether Ctrl-C was not pressed.
    pub fn goes_on(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The first Ctrl-C asks for a clean stop, the second ends the program at once with 130.
/// Asked again, it gives the same flag.
pub(super) fn watch_interrupts() -> Result<Arc<AtomicBool>> {
    static STOPPED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(stopped) = STOPPED.get() {
        return Ok(Arc::clone(stopped));
    }
    let stopped = Arc::clone(STOPPED.get_or_init(|| Arc::new(AtomicBool::new(false))));
    let flag = Arc::clone(&stopped);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        super::output::note("stopping after this batch; press Ctrl-C again to stop at once");
    })
    .map_err(|e| Error::mismatch(format!("Ctrl-C cannot be watched ({e})"), "Try again."))?;
    Ok(stopped)
}
