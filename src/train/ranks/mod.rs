//! Several processes that train one network: each takes its rows of every batch, gradients are summed over all, and every
//! rank then takes the same step (synchronous data parallelism, as PyTorch's DistributedDataParallel).
//!
//! Gradients are summed bucket by bucket: those of GPUs over NCCL where every rank was built with it and has a GPU of its own, and
//! otherwise over Gloo, in the CPU's memory, to which those of a GPU are copied and back. Sums do not overlap with the backward pass.

mod links;
mod node_list;
mod place;
mod transport;
mod verdict;
mod watchman;

pub use place::{Place, place};

use super::Plan;
use crate::device::{self, DeviceChoice};
use crate::error::{Doing, Error, Result};
pub use crate::libtorch::group::Collective;
use links::Links;
use serde_json::Value;
use std::ops::Range;
use tch::{Device, Kind, Tensor};
use transport::Transport;

/// Bytes of a bucket, as in PyTorch's DistributedDataParallel.
const BUCKET: usize = 25 << 20;

/// The processes that train one network; this is one of them.
pub struct World {
    rank: usize,
    of: usize,
    links: Option<Links>,
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
        Ok(World { rank: place.rank, of: place.of, links: Some(Links::open(place)?) })
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

    /// Does something with a contiguous tensor, of the CPU or where gradients are summed, in place, together with all others.
    pub fn together(&self, what: Collective, tensor: &Tensor) -> Result<()> {
        match &self.links {
            None => Ok(()),
            Some(links) => links.together(what, tensor),
        }
    }

    /// Does something with all of these tensors, in place, wherever they are: in buckets.
    pub fn in_buckets(&self, what: Collective, tensors: &[&Tensor]) -> Result<()> {
        let Some(links) = &self.links else { return Ok(()) };
        let doing = "averaging over all ranks";
        for bucket in buckets(tensors) {
            let flat = bucket.iter().map(|tensor| tensor.detach().f_flatten(0, -1));
            let flat = flat.collect::<std::result::Result<Vec<_>, _>>();
            let flat = flat
                .and_then(|flat| Tensor::f_cat(&flat, 0))
                .and_then(|flat| flat.f_to_device(links.sums_on(flat.device())))
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

    /// Finds out, together with all others, how the gradients of a network on `device` are summed; what there is to say of it.
    ///
    /// # Errors
    /// Another rank has failed, or NCCL cannot be set up.
    pub fn settle(&self, device: Device) -> Result<Option<String>> {
        Ok(match self.links.as_ref().map(|links| links.settle(device)).transpose()? {
            Some(Transport::Copied(why)) => Some(format!("gradients are summed over Gloo, in the CPU's memory: {why}")),
            _ => None,
        })
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
            links.say("plan", &mine.to_string())?;
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
        let Some(links) = self.links else { return Some(error) };
        // All ranks stop at the same step, and rank 0 has saved it.
        if matches!(error, Error::Interrupted { .. }) {
            return (self.rank == 0).then_some(error);
        }
        links.conclude(error)
    }
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
        assert!(world.conclude(Error::mismatch("no", "Stop.")).is_some());
    }
}
