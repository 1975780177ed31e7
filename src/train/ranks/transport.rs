//! By what gradients are summed. All ranks find it alike, from what each of them says of its machine, its GPU and its program.

use crate::device;
use crate::libtorch::group;
use serde::{Deserialize, Serialize};
use tch::Device;

/// What a rank says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spot {
    /// The host's name, and on Linux the number of its start, which containers of one host share.
    pub machine: String,
    /// The GPU's place in the machine where the program can ask for it: each of several processes may know its own as `cuda:0`.
    /// `None` where gradients lie in the CPU's memory.
    pub gpu: Option<String>,
    /// Whether the program was built with NCCL.
    pub nccl: bool,
}

impl Spot {
    /// This process, whose network is on `device`.
    pub fn here(device: Device) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_string();
        let gpu = match device {
            Device::Cuda(index) => Some(group::gpu(index).unwrap_or_else(|_| format!("cuda:{index}"))),
            Device::Cpu => None,
            other => Some(device::name(other)),
        };
        let machine = format!("{} {}", device::host_name(), read("/proc/sys/kernel/random/boot_id"));
        Spot { machine, gpu, nccl: group::has_nccl() && matches!(device, Device::Cuda(_)) }
    }
}

/// What sums gradients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Transport {
    /// NCCL, where they lie.
    Nccl,
    /// Gloo, in the CPU's memory, for gradients that lie there.
    Gloo,
    /// Gloo, for gradients of GPUs, which are copied there and back; and why.
    Copied(String),
}

/// What sums the gradients of ranks at these spots, in the order of ranks.
pub(super) fn transport(spots: &[Spot]) -> Transport {
    if spots.iter().all(|spot| spot.gpu.is_none()) {
        return Transport::Gloo;
    }
    let without: Vec<String> =
        spots.iter().enumerate().filter(|(_, spot)| !spot.nccl).map(|(rank, _)| rank.to_string()).collect();
    if without.len() == spots.len() {
        return Transport::Copied("this program was built without NCCL".into());
    }
    if !without.is_empty() {
        let ranks = if without.len() == 1 { "rank" } else { "ranks" };
        return Transport::Copied(format!("the program of {ranks} {} was built without NCCL", without.join(", ")));
    }
    let shares = |(rank, spot): (usize, &Spot)| {
        let other = spots[..rank].iter().position(|earlier| earlier.machine == spot.machine && earlier.gpu == spot.gpu);
        other.map(|other| (other, rank))
    };
    match spots.iter().enumerate().find_map(shares) {
        None => Transport::Nccl,
        Some((one, other)) => {
            Transport::Copied(format!("ranks {one} and {other} share a GPU, and NCCL takes one rank on each"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(machine: &str, gpu: &str, nccl: bool) -> Spot {
        Spot { machine: machine.into(), gpu: (!gpu.is_empty()).then(|| gpu.into()), nccl }
    }

    #[test]
    fn nccl_sums_where_every_rank_has_it_and_a_gpu_of_its_own() {
        let here = |gpu: &str| spot("a", gpu, true);
        assert_eq!(transport(&[here("0:1b:0"), here("0:1c:0")]), Transport::Nccl);
        assert_eq!(transport(&[here("0:1b:0"), spot("b", "0:1b:0", true)]), Transport::Nccl, "two machines");
        let why = |spots: &[Spot]| match transport(spots) {
            Transport::Copied(why) => why,
            other => panic!("{other:?}"),
        };
        let shared = [here("0:1b:0"), here("0:1c:0"), spot("b", "0:1b:0", true), here("0:1c:0")];
        assert_eq!(why(&shared), "ranks 1 and 3 share a GPU, and NCCL takes one rank on each");
        let without = |gpu: &str| spot("a", gpu, false);
        assert_eq!(why(&[without("cuda:0"), without("cuda:1")]), "this program was built without NCCL");
        assert_eq!(why(&[here("0:1b:0"), without("cuda:1")]), "the program of rank 1 was built without NCCL");
        let two = [without("cuda:1"), here("0:1b:0"), without("cuda:2")];
        assert_eq!(why(&two), "the program of ranks 0, 2 was built without NCCL");
    }

    #[test]
    fn gradients_of_cpus_go_over_gloo_without_a_word() {
        assert_eq!(transport(&[Spot::here(Device::Cpu), Spot::here(Device::Cpu)]), Transport::Gloo);
        let spot = Spot::here(Device::Cpu);
        assert_eq!(serde_json::from_str::<Spot>(&serde_json::to_string(&spot).unwrap()).unwrap(), spot);
    }
}
