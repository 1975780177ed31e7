//! The connections between ranks: a store through which they tell each other things, and a group in which they sum.

use super::watchman::Watchman;
use super::{Collective, Place};
use crate::error::{Error, Result};
use crate::libtorch::group::{Group, KeyStore, has_nccl};
use std::cell::{Cell, OnceCell};
use std::net::ToSocketAddrs;
use std::time::{Duration, Instant};
use tch::{Device, Tensor};

/// How long ranks wait for each other at the start, and in a collective: a killed rank is noticed at once, and one that
/// does not answer by its watchman.
const JOIN: Duration = Duration::from_secs(300);
const COLLECTIVE: Duration = Duration::from_secs(600);
/// Time between two looks at whether another rank has failed.
const LOOK: Duration = Duration::from_millis(200);

pub(super) struct Links {
    pub rank: usize,
    pub of: usize,
    /// Whether the store is in this process.
    pub serves: bool,
    /// Whether the connection has failed: then the cause is with another rank.
    pub lost: Cell<bool>,
    group: Option<Group>,
    /// The group of the GPUs, from the first tensor of one on.
    on_gpus: OnceCell<Group>,
    watchman: Watchman,
    pub store: KeyStore,
}

/// Says where a rank is.
pub(super) fn name(rank: usize) -> String {
    format!("name/{rank}")
}

impl Links {
    /// Meets the others.
    ///
    /// # Errors
    /// Those of `World::join`.
    pub fn open(place: &Place) -> std::result::Result<Self, Option<Error>> {
        let Place { rank, of, host, port, serves, .. } = place;
        let store = store(place, *serves)?;
        if store.count(&format!("came/{rank}"))? > 1 {
            let problem = format!("there is another rank {rank} at {host}, port {port}");
            let next = "Each process needs a RANK, and each training a MASTER_PORT of its own.";
            return Err(Some(Error::mismatch(problem, next)));
        }
        store.set(&name(*rank), &format!("{}, process {}", hostname(), std::process::id()))?;
        // It has a client of its own: a thread that waits in one would keep the other out.
        let watchman = Watchman::start(self::store(place, false)?, *rank, *of);
        let (lost, group, on_gpus) = (Cell::new(false), None, OnceCell::new());
        let mut links = Links { rank: *rank, of: *of, serves: *serves, lost, group, on_gpus, watchman, store };
        match links.connect() {
            Err(error) => Err(links.conclude(error)),
            Ok(group) => {
                links.group = Some(group);
                Ok(links)
            }
        }
    }

    fn connect(&self) -> Result<Group> {
        self.meet()?;
        Group::open(&self.store, self.rank, self.of, COLLECTIVE).map_err(|error| {
            let next =
                "If the machines' names lead to wrong addresses, name the network interface in GLOO_SOCKET_IFNAME.";
            Error::mismatch(format!("a rank cannot connect with the others: {}", error.problem()), next)
        })
    }

    /// Waits until all ranks are there: rank 0 looks for each, the others for its word.
    fn meet(&self) -> Result<()> {
        let until = Instant::now() + JOIN;
        if self.rank > 0 {
            // Rank 0 gives up first, and says who is missing.
            let complete = self.wait_for("complete", Some(until + Duration::from_secs(10)))?;
            let silent = || Error::mismatch("rank 0 has not answered", "Start all ranks anew.");
            return complete.map(|_| ()).ok_or_else(silent);
        }
        let mut missing = Vec::new();
        for rank in 1..self.of {
            if self.wait_for(&name(rank), Some(until))?.is_none() {
                missing.push(rank.to_string());
            }
        }
        if missing.is_empty() {
            return self.say("complete", "");
        }
        let (ranks, of, seconds) = (missing.join(", "), self.of, JOIN.as_secs());
        let problem = format!("of {of} ranks these have not come within {seconds} s: {ranks}");
        Err(Error::mismatch(problem, "Start as many processes as WORLD_SIZE says, each with a RANK of its own."))
    }

    /// Sets a key for the others.
    pub fn say(&self, key: &str, value: &str) -> Result<()> {
        self.store.set(key, value).inspect_err(|_| self.lost.set(true))
    }

    /// The value of a key; `None` where it does not come in time.
    ///
    /// # Errors
    /// Another rank has failed meanwhile.
    pub fn wait_for(&self, key: &str, until: Option<Instant>) -> Result<Option<String>> {
        let mut pause = Duration::from_millis(2);
        loop {
            if let Some(value) = self.store.get(key).inspect_err(|_| self.lost.set(true))? {
                return Ok(Some(value));
            }
            self.goes_on()?;
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(None);
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(LOOK);
        }
    }

    /// Does something with a tensor, in place, together with all others.
    ///
    /// # Errors
    /// Another rank has failed.
    pub fn together(&self, what: Collective, tensor: &Tensor) -> Result<()> {
        let Some(group) = &self.group else { return Ok(()) };
        let group = match tensor.device() {
            Device::Cuda(_) if has_nccl() => self.on_gpus()?,
            _ => group,
        };
        let work = group.begin(what, tensor).inspect_err(|_| self.lost.set(true))?;
        while !work.wait(LOOK).inspect_err(|_| self.lost.set(true))? {
            self.goes_on()?;
        }
        Ok(())
    }

    /// All ranks come here at the same tensor, as they call the same collectives in the same order.
    fn on_gpus(&self) -> Result<&Group> {
        if let Some(group) = self.on_gpus.get() {
            return Ok(group);
        }
        let group = Group::open_on_gpus(&self.store, self.rank, self.of, COLLECTIVE)?;
        Ok(self.on_gpus.get_or_init(|| group))
    }

    fn goes_on(&self) -> Result<()> {
        if !self.watchman.is_down() {
            return Ok(());
        }
        self.lost.set(true);
        Err(Error::mismatch("another rank has stopped", "See what it says."))
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        if self.lost.get() {
            // c10d would wait for a sum that cannot end.
            std::mem::forget(self.group.take());
            std::mem::forget(self.on_gpus.take());
        }
    }
}

/// A client of the place's store, which this process may serve.
fn store(place: &Place, serve: bool) -> Result<KeyStore> {
    let Place { rank, of, host, port, attempt, .. } = place;
    // c10d would try for the whole time.
    (host.as_str(), *port).to_socket_addrs().map_err(|error| {
        let problem = format!("rank {rank} of {of} cannot find rank 0's machine, `{host}` ({error})");
        Error::mismatch(problem, "Set MASTER_ADDR to a name or an address of that machine.")
    })?;
    KeyStore::open(host, *port, serve, JOIN, &format!("lipscope/{attempt}")).map_err(|error| match serve {
        true => Error::mismatch(
            format!("rank 0 cannot listen on port {port}: {}", error.problem()),
            "Choose a free port as MASTER_PORT.",
        ),
        false => Error::mismatch(
            format!("rank {rank} of {of} cannot reach rank 0 at {host}, port {port}: {}", error.problem()),
            "Check MASTER_ADDR and MASTER_PORT, and that rank 0 has started.",
        ),
    })
}

fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map_or("this machine".into(), |name| name.trim().to_string())
}
