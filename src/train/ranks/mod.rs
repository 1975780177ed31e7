//! Several processes that train one network: each takes its rows of every batch, gradients are summed over all, and every
//! rank then takes the same step (synchronous data parallelism, as PyTorch's DistributedDataParallel).
//!
//! The sums go over Gloo, in the CPU's memory; gradients of a GPU are copied there and back, a bucket at a time. Sums do not
//! overlap with the backward pass.

mod node_list;
mod place;
mod verdict;
mod watchman;

pub use place::{Place, place};

use super::Plan;
use crate::device::{self, DeviceChoice};
use crate::error::{Doing, Error, Result};
pub use crate::libtorch::group::Collective;
use crate::libtorch::group::{Group, KeyStore};
use serde_json::Value;
use std::cell::Cell;
use std::ops::Range;
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};
use watchman::Watchman;

/// How long ranks wait for each other at the start, and in a collective: a killed rank is noticed at once, and one that
/// does not answer by its watchman.
const JOIN: Duration = Duration::from_secs(300);
const COLLECTIVE: Duration = Duration::from_secs(600);
/// Time between two looks at whether another rank has failed.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes of a bucket, as in PyTorch's DistributedDataParallel.
const BUCKET: usize = 25 << 20;

/// The processes that train one network; this is one of them.
pub struct World {
    rank: usize,
    of: usize,
    links: Option<Links>,
}

/// The connections with the others.
struct Links {
    rank: usize,
    of: usize,
    serves: bool,
    /// Whether a collective has failed: then the cause is with another rank.
    lost: Cell<bool>,
    group: Option<Group>,
    watchman: Watchman,
    store: KeyStore,
}

/// Says where a rank is.
fn name(rank: usize) -> String {
    format!("name/{rank}")
}

impl World {
    /// One process alone.
    pub fn alone() -> Self {
        World { rank: 0, of: 1, links: None }
    }

    /// Meets the others.
    ///
    /// # Errors
    /// The port is taken, rank 0 cannot be reached, a rank is there twice, or one does not come. `None` where another rank
    /// tells the user.
    pub fn join(place: &Place) -> std::result::Result<Self, Option<Error>> {
        let Place { rank, of, host, port, serves, .. } = place;
        let open = |serve: bool| {
            let prefix = format!("lipscope/{}", place.attempt);
            KeyStore::open(host, *port, serve, JOIN, &prefix).map_err(|error| {
                let message = error.problem();
                let (problem, next) = if serve {
                    (format!("rank 0 cannot listen on port {port}: {message}"), "Choose a free port as MASTER_PORT.")
                } else {
                    let problem = format!("rank {rank} of {of} cannot reach rank 0 at {host}, port {port}: {message}");
                    (problem, "Check MASTER_ADDR and MASTER_PORT, and that rank 0 has started.")
                };
                Error::mismatch(problem, next)
            })
        };
        let store = open(*serves)?;
        if store.count(&format!("came/{rank}"))? > 1 {
            let problem = format!("there is another rank {rank} at {host}, port {port}");
            let next = "Each process needs a RANK, and each training a MASTER_PORT of its own.";
            return Err(Some(Error::mismatch(problem, next)));
        }
        store.set(&name(*rank), &format!("{}, process {}", hostname(), std::process::id()))?;
        let watchman = Watchman::start(open(false)?, *rank, *of);
        let (lost, group) = (Cell::new(false), None);
        let mut links = Links { rank: *rank, of: *of, serves: *serves, lost, group, watchman, store };
        match links.connect() {
            Err(error) => Err(links.conclude(error)),
            Ok(group) => {
                links.group = Some(group);
                Ok(World { rank: *rank, of: *of, links: Some(links) })
            }
        }
    }

    /// Number of ranks.
    pub fn of(&self) -> usize {
        self.of
    }

    /// Whether this is rank 0, which alone writes and reports.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// The part of `total` rows that this rank takes: parts differ by one row at most, and lie in the order of ranks.
    pub fn rows(&self, total: u64) -> Range<u64> {
        let edge = |rank: usize| (u128::from(total) * rank as u128 / self.of as u128) as u64;
        edge(self.rank)..edge(self.rank + 1)
    }

    /// Does something with a contiguous tensor of the CPU, in place, together with all others.
    pub fn together(&self, what: Collective, tensor: &Tensor) -> Result<()> {
        match &self.links {
            None => Ok(()),
            Some(links) => links.together(what, tensor).inspect_err(|_| links.lost.set(true)),
        }
    }

    /// Does something with all of these tensors, in place, wherever they are: in buckets.
    pub fn in_buckets(&self, what: Collective, tensors: &[&Tensor]) -> Result<()> {
        if self.links.is_none() {
            return Ok(());
        }
        let doing = "averaging over all ranks";
        for bucket in buckets(tensors) {
            let flat = bucket.iter().map(|tensor| tensor.detach().f_flatten(0, -1));
            let flat = flat.collect::<std::result::Result<Vec<_>, _>>();
            let flat = flat
                .and_then(|flat| Tensor::f_cat(&flat, 0))
                .and_then(|flat| flat.f_to_device(Device::Cpu))
                .doing(doing)?;
            self.together(what, &flat)?;
            let mut from = 0;
            for tensor in bucket {
                let length = tensor.numel() as i64;
                let part = flat.f_narrow(0, from, length).and_then(|part| part.f_view(&tensor.size()[..]));
                part.and_then(|part| tensor.detach().f_copy_(&part)).doing(doing)?;
                from += length;
            }
        }
        Ok(())
    }

    /// Whether all ranks say yes.
    pub fn all(&self, yes: bool) -> Result<bool> {
        if self.links.is_none() {
            return Ok(yes);
        }
        let against = Tensor::from_slice(&[f64::from(u8::from(!yes))]);
        self.together(Collective::Sum, &against)?;
        Ok(against.double_value(&[0]) == 0.0)
    }

    /// Checks that all ranks were asked for the same training, on the same kind of device.
    pub fn agree(&self, plan: &Plan) -> Result<()> {
        let Some(links) = &self.links else { return Ok(()) };
        let part = plan.batch / plan.accumulate;
        if part < self.of as u64 {
            let allowed = format!("there are {} ranks, and each takes a part of its {part} samples", self.of);
            let next = format!("Give {} or more, or start fewer processes.", self.of as u64 * plan.accumulate);
            return Err(Error::argument("--batch", plan.batch, allowed, next));
        }
        let mut mine = plan.to_json()?;
        if let Some(device) = mine.get_mut("device") {
            *device = plan.device.split(':').next().into();
        }
        if self.is_first() {
            links.store.set("plan", &mine.to_string())?;
            return self.all(true).map(|_| ());
        }
        let text = links.wait_for("plan", None)?.unwrap_or_default();
        let first: Value = serde_json::from_str(&text).unwrap_or_default();
        let keys = mine.as_object().into_iter().chain(first.as_object()).flat_map(|object| object.keys());
        match keys.into_iter().find(|key| mine.get(key.as_str()) != first.get(key.as_str())) {
            None => self.all(true).map(|_| ()),
            Some(key) => Err(Error::mismatch(
                format!("it was asked for another training than rank 0: `{key}` differs"),
                "Start all ranks with the same arguments, on data that is the same.",
            )),
        }
    }

    /// Ends the training of all ranks with an error; returns it where this rank is the one to tell it.
    pub fn conclude(self, error: Error) -> Option<Error> {
        let Some(mut links) = self.links else { return Some(error) };
        // All ranks stop at the same step, and rank 0 has saved it.
        if matches!(error, Error::Interrupted { .. }) {
            return (self.rank == 0).then_some(error);
        }
        let told = links.conclude(error);
        // c10d would wait for a sum that cannot end.
        std::mem::forget(links.group.take());
        told
    }
}

impl Links {
    fn together(&self, what: Collective, tensor: &Tensor) -> Result<()> {
        let Some(group) = &self.group else { return Ok(()) };
        let work = group.begin(what, tensor)?;
        while !work.wait(LOOK)? {
            if self.watchman.is_down() {
                return Err(stopped());
            }
        }
        Ok(())
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
            return self.wait_for("complete", Some(until + Duration::from_secs(10))).and_then(|there| match there {
                Some(_) => Ok(()),
                None => Err(Error::mismatch("rank 0 has not answered", "Start all ranks anew.")),
            });
        }
        let mut missing = Vec::new();
        for rank in 1..self.of {
            if self.wait_for(&name(rank), Some(until))?.is_none() {
                missing.push(rank.to_string());
            }
        }
        if missing.is_empty() {
            return self.store.set("complete", "");
        }
        let (ranks, of, seconds) = (missing.join(", "), self.of, JOIN.as_secs());
        let problem = format!("of {of} ranks these have not come within {seconds} s: {ranks}");
        Err(Error::mismatch(problem, "Start as many processes as WORLD_SIZE says, each with a RANK of its own."))
    }

    /// The value of a key; `None` where it does not come in time.
    ///
    /// # Errors
    /// Another rank has failed meanwhile.
    fn wait_for(&self, key: &str, until: Option<Instant>) -> Result<Option<String>> {
        let mut pause = Duration::from_millis(2);
        loop {
            if let Some(value) = self.store.get(key).inspect_err(|_| self.lost.set(true))? {
                return Ok(Some(value));
            }
            if self.watchman.is_down() {
                self.lost.set(true);
                return Err(stopped());
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(None);
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(LOOK);
        }
    }
}

fn stopped() -> Error {
    Error::mismatch("another rank has stopped", "See what it says.")
}

fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map_or("this machine".into(), |name| name.trim().to_string())
}

/// Runs of tensors of one dtype whose bytes fit a bucket; a larger tensor is one of its own.
fn buckets<'a>(tensors: &[&'a Tensor]) -> Vec<Vec<&'a Tensor>> {
    let mut buckets: Vec<(Kind, usize, Vec<&Tensor>)> = Vec::new();
    for &tensor in tensors {
        let (kind, bytes) = (tensor.kind(), tensor.numel() * tensor.kind().elt_size_in_bytes());
        match buckets.last_mut() {
            Some((of, filled, bucket)) if *of == kind && *filled + bytes <= BUCKET => {
                *filled += bytes;
                bucket.push(tensor);
            }
            _ => buckets.push((kind, bytes, vec![tensor])),
        }
    }
    buckets.into_iter().map(|(_, _, bucket)| bucket).collect()
}

/// The device of a rank: of several GPUs the one of its number on this machine, unless one is named.
///
/// # Errors
/// MPS, whose tensors no sum of this kind takes.
pub fn device_of(choice: DeviceChoice, place: &Place) -> Result<DeviceChoice> {
    let gpus = || device::available().iter().filter(|device| matches!(device, Device::Cuda(_))).count();
    match choice {
        DeviceChoice::Mps => Err(Error::unsupported(
            "training by several processes on mps",
            "several processes train on CPUs and on CUDA devices",
            "Use --device cpu, or one process.",
        )),
        DeviceChoice::Auto | DeviceChoice::Cuda(0) => match gpus() {
            0 => Ok(choice),
            count => Ok(DeviceChoice::Cuda(place.local.unwrap_or(place.rank) % count)),
        },
        named => Ok(named),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shared_out_without_gaps() {
        for (total, of) in [(12, 3), (64, 3), (7, 7), (5, 2), (u64::MAX, 5)] {
            let parts: Vec<Range<u64>> = (0..of).map(|rank| World { rank, of, links: None }.rows(total)).collect();
            assert_eq!((parts[0].start, parts[of - 1].end), (0, total));
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
            let sizes = || parts.iter().map(|part| part.end - part.start);
            assert!(sizes().max().unwrap() - sizes().min().unwrap() <= 1, "{total} {of}");
        }
        assert_eq!(World::alone().rows(64), 0..64);
    }

    #[test]
    fn buckets_keep_order_dtype_and_size() {
        let zeros = |count: usize, kind| Tensor::zeros([count as i64], (kind, Device::Cpu));
        let (small, large, int) = (zeros(3, Kind::Float), zeros(BUCKET / 4, Kind::Float), zeros(1, Kind::Int));
        let tensors = [&small, &small, &large, &small, &int, &small];
        let sizes: Vec<Vec<usize>> =
            buckets(&tensors).iter().map(|bucket| bucket.iter().map(|t| t.numel()).collect()).collect();
        assert_eq!(sizes, [vec![3, 3], vec![BUCKET / 4], vec![3], vec![1], vec![3]]);
        assert!(buckets(&[]).is_empty());
    }

    #[test]
    fn one_process_needs_nobody() {
        let world = World::alone();
        let tensor = Tensor::from_slice(&[2f32]);
        world.together(Collective::Sum, &tensor).unwrap();
        world.in_buckets(Collective::Sum, &[&tensor]).unwrap();
        assert_eq!(tensor.double_value(&[0]), 2.0);
        assert!(world.all(true).unwrap() && !world.all(false).unwrap());
        assert!(world.conclude(stopped()).is_some());
    }
}
