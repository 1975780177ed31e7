//! Progress on stderr, and a clean stop on Ctrl-C or TERM.

use crate::error::{Error, Result};
use crate::run::Watch;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lipscope_core::cli::output;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Once, PoisonError, RwLock};
use std::time::Duration;

/// The signal that asks for a clean stop; 0 before there is one. HUP is left alone, so that `nohup` works.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Whether another process says that the work stops.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Shows progress where stderr is a terminal, and knows when to stop.
pub(super) struct Terminal {
    quiet: bool,
    bar: RefCell<Option<ProgressBar>>,
}

impl Terminal {
    /// From now on Ctrl-C and TERM ask for a clean stop; a second one ends the program at once.
    pub fn new(quiet: bool) -> Result<Self> {
        listen()?;
        Ok(Terminal { quiet, bar: RefCell::new(None) })
    }

    /// The same without a word: another process shows the progress of the same work.
    pub fn silent() -> Result<Self> {
        SILENT.store(true, Ordering::Relaxed);
        Terminal::new(true)
    }

    fn with_bar(&self, f: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = &*self.bar.borrow() {
            f(bar);
        }
    }
}

impl Watch for Terminal {
    fn begin(&self, length: u64, unit: &str) {
        self.end();
        let target = if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        let template = format!("{{bar:30}} {{pos}}/{{len}} {unit}  {{elapsed}} elapsed, {{eta}} left  {{msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        *self.bar.borrow_mut() = Some(bar);
    }

    fn lengthen_to(&self, length: u64) {
        self.with_bar(|bar| bar.set_length(length));
    }

    fn skip(&self, count: u64) {
        self.with_bar(|bar| {
            bar.inc(count);
            bar.reset_eta();
        });
    }

    fn advance(&self) {
        self.with_bar(|bar| bar.inc(1));
    }

    fn say(&self, words: &str) {
        self.with_bar(|bar| bar.set_message(words.to_string()));
    }

    fn note(&self, text: &str) {
        if self.quiet {
            return;
        }
        match &*self.bar.borrow() {
            Some(bar) => bar.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }

    fn end(&self) {
        if let Some(bar) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }

    fn goes_on(&self) -> bool {
        signal().is_none()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.end();
    }
}

/// The signal that asked for a stop.
pub(super) fn signal() -> Option<i32> {
    Some(SIGNAL.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}

/// Watches for signals in a thread of its own, once for the process.
fn listen() -> Result<()> {
    static ONCE: Once = Once::new();
    static FAILED: RwLock<Option<String>> = RwLock::new(None);
    ONCE.call_once(|| match Signals::new([SIGINT, SIGTERM]) {
        Ok(mut signals) => {
            std::thread::spawn(move || signals.forever().for_each(stop));
        }
        Err(e) => *FAILED.write().unwrap_or_else(PoisonError::into_inner) = Some(e.to_string()),
    });
    match &*FAILED.read().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(()),
        Some(e) => Err(Error::mismatch(format!("Ctrl-C cannot be watched ({e})"), "Try again.")),
    }
}

fn stop(signal: i32) {
    if SIGNAL.swap(signal, Ordering::Relaxed) != 0 {
        std::process::exit(128 + signal);
    }
    if SILENT.load(Ordering::Relaxed) {
        return;
    }
    let again = if signal == SIGINT { "; press Ctrl-C again to stop at once" } else { "" };
    output::note(&format!("stopping after this batch{again}"));
}
