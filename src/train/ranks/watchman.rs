//! A thread of every rank that says that it is alive and hears when training is to stop, whatever the rank itself is
//! busy with.
//!
//! A process that ends closes its connections, which the others notice at once. One whose machine is gone, or that is
//! stopped, is noticed by rank 0's watchman, who counts the beats of all.

use crate::error::Result;
use crate::libtorch::group::KeyStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Set as soon as a rank has failed.
pub(super) const DOWN: &str = "down";

/// Time between two looks, looks between two beats, and beats that a rank may miss: a minute in all.
const LOOK: Duration = Duration::from_millis(500);
const BEAT: u64 = 10;
const MISSED: usize = 9;

pub(super) struct Watchman {
    down: Arc<AtomicBool>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Says that the watchman of this rank has heard of a failure.
pub(super) fn here(rank: usize) -> String {
    format!("here/{rank}")
}

/// What a rank says about a failure.
pub(super) fn cause(rank: usize) -> String {
    format!("cause/{rank}")
}

fn beat(rank: usize) -> String {
    format!("beat/{rank}")
}

impl Watchman {
    /// Starts with a client of the store of its own.
    pub fn start(store: KeyStore, rank: usize, of: usize) -> Self {
        let (stop, stopped) = channel::<()>();
        let down = Arc::new(AtomicBool::new(false));
        let heard = down.clone();
        let watch = move || {
            let mut beats = vec![(String::new(), 0); if rank == 0 { of } else { 0 }];
            for round in 0u64.. {
                if stopped.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                // Without the store nothing works any more.
                if !look(&store, rank, round, &mut beats).unwrap_or(false) {
                    heard.store(true, Ordering::Relaxed);
                    return;
                }
            }
        };
        let thread = thread::spawn(watch);
        Watchman { down, stop: Some(stop), thread: Some(thread) }
    }

    /// Whether training is to stop.
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }
}

impl Drop for Watchman {
    fn drop(&mut self) {
        drop(self.stop.take());
        // After a failure it may wait for a store that does not answer.
        if let Some(thread) = self.thread.take().filter(|_| !self.is_down()) {
            let _ = thread.join();
        }
    }
}

/// One look; `false` where training is to stop.
fn look(store: &KeyStore, rank: usize, round: u64, beats: &mut [(String, usize)]) -> Result<bool> {
    if store.get(DOWN)?.is_some() {
        store.set(&here(rank), "")?;
        return Ok(false);
    }
    if !round.is_multiple_of(BEAT) {
        return Ok(true);
    }
    store.count(&beat(rank))?;
    for (other, (last, missed)) in beats.iter_mut().enumerate() {
        let now = store.get(&beat(other))?.unwrap_or_default();
        (*last, *missed) = if now == *last { (now, *missed + 1) } else { (now, 0) };
        if *missed > MISSED {
            store.set(DOWN, "")?;
        }
    }
    Ok(true)
}
