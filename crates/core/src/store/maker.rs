//! Who did which units, and whether their numbers can be put together.

use super::Shard;
use crate::report::{Contribution, Warning};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The process that did a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maker {
    /// Unlike that of any other process.
    pub process: String,
    /// Name of the machine.
    pub host: String,
    /// `cpu`, `cuda:0`, …
    pub device: String,
    /// What the device is, such as the model of the CPU or GPU.
    pub hardware: String,
    /// CPU threads.
    pub threads: usize,
    /// Version of libtorch.
    pub libtorch: String,
    /// The part of the work that it was asked for.
    pub shard: Option<Shard>,
    /// The job of a scheduler that it belongs to, with its task and how often it was started again.
    pub job: Option<String>,
}

/// The makers of some units, those of one machine, device and number of threads together.
pub(super) fn contributions<'a>(units: impl Iterator<Item = &'a Maker>) -> Vec<Contribution> {
    let mut found: Vec<(Contribution, BTreeSet<&str>)> = Vec::new();
    for maker in units {
        let is_same = |(own, _): &&mut (Contribution, BTreeSet<&str>)| {
            let own = (&own.host, &own.device, &own.hardware, own.threads, &own.libtorch);
            own == (&maker.host, &maker.device, &maker.hardware, maker.threads, &maker.libtorch)
        };
        let place = match found.iter_mut().position(|own| is_same(&own)) {
            Some(place) => place,
            None => {
                found.push((Contribution::new(maker), BTreeSet::new()));
                found.len() - 1
            }
        };
        let (own, processes) = &mut found[place];
        processes.insert(&maker.process);
        own.units += 1;
        own.processes = processes.len();
        own.jobs.extend(maker.job.iter().filter(|job| !own.jobs.contains(job)).cloned().collect::<Vec<_>>());
    }
    let mut found: Vec<Contribution> = found.into_iter().map(|(own, _)| own).collect();
    found.iter_mut().for_each(|own| own.jobs.sort());
    found.sort_by(|a, b| (&a.host, &a.device, a.threads).cmp(&(&b.host, &b.device, b.threads)));
    found
}

impl Contribution {
    /// Of this maker, before its units are counted.
    fn new(maker: &Maker) -> Self {
        Contribution {
            host: maker.host.clone(),
            device: maker.device.clone(),
            hardware: maker.hardware.clone(),
            threads: maker.threads,
            libtorch: maker.libtorch.clone(),
            processes: 0,
            units: 0,
            jobs: Vec::new(),
        }
    }
}

/// Whether units come from unlike devices or versions of libtorch, whose numbers agree to rounding only.
pub(super) fn mixed(contributions: &[Contribution]) -> Option<Warning> {
    let kinds: BTreeSet<(&str, &str)> =
        contributions.iter().map(|own| (own.hardware.as_str(), own.libtorch.as_str())).collect();
    (kinds.len() > 1).then(|| Warning::MixedHardware { contributions: contributions.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maker(process: &str, host: &str, hardware: &str) -> Maker {
        let text = |text: &str| text.to_string();
        let (device, libtorch) = (text("cpu"), text("2.13.0"));
        let (process, host, hardware) = (text(process), text(host), text(hardware));
        Maker { process, host, device, hardware, threads: 2, libtorch, shard: None, job: Some("7_1".into()) }
    }

    #[test]
    fn processes_of_one_machine_are_told_together_and_unlike_hardware_is_a_warning() {
        let makers = [maker("a", "n1", "X"), maker("b", "n1", "X"), maker("a", "n1", "X"), maker("c", "n2", "X")];
        let found = contributions(makers.iter());
        let counts: Vec<_> = found.iter().map(|own| (own.host.as_str(), own.processes, own.units)).collect();
        assert_eq!(counts, [("n1", 2, 3), ("n2", 1, 1)]);
        assert_eq!(found[0].jobs, ["7_1"]);
        assert!(mixed(&found).is_none());
        let unlike = [&makers[..], &[maker("d", "n3", "Y")]].concat();
        let warning = mixed(&contributions(unlike.iter())).unwrap().to_string();
        assert!(warning.contains("X") && warning.contains("n3") && warning.contains("Y"), "{warning}");
    }
}
