//! Which rank of how many this process is, as torchrun or srun says it in the environment.

use super::node_list;
use crate::error::{Error, Result};

/// A process among those that train one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// 0 to `of` − 1.
    pub rank: usize,
    /// Number of processes, above 1.
    pub of: usize,
    /// The rank among those on this machine, where it is known.
    pub local: Option<usize>,
    /// Machine of the store through which the ranks find each other.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether rank 0 serves the store; torchrun may serve it itself.
    pub serves: bool,
    /// Which start this is, where torchrun starts the ranks again.
    pub attempt: String,
}

const ALONE: &str = "To train in one process, unset RANK and WORLD_SIZE.";

/// The place that the environment names; `None` for a training in one process.
///
/// # Errors
/// Variables that are half set, or that name no place.
pub fn place(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Place>> {
    let variable = |name: &str| variable(name).map(|value| value.trim().to_string()).filter(|value| !value.is_empty());
    if variable("RANK").is_some() || variable("WORLD_SIZE").is_some() {
        of_torchrun(&variable)
    } else {
        of_slurm(&variable)
    }
}

/// RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, and what torchrun says besides.
fn of_torchrun(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Place>> {
    let size = variable("WORLD_SIZE").map(|text| number("WORLD_SIZE", &text)).transpose()?;
    if size == Some(1) {
        return Ok(None);
    }
    let needed = ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"];
    let (set, missing): (Vec<&str>, Vec<&str>) = needed.iter().partition(|name| variable(name).is_some());
    if !missing.is_empty() {
        let verb = |names: &[&str]| format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" });
        let problem = format!("{} set for a training by several processes, and {} not", verb(&set), verb(&missing));
        return Err(Error::mismatch(problem, format!("torchrun sets all four. {ALONE}")));
    }
    let text = |name: &str| variable(name).unwrap_or_default();
    let (rank, of) = (number("RANK", &text("RANK"))?, size.unwrap_or_default());
    within(("RANK", rank), ("WORLD_SIZE", of))?;
    Ok(Some(Place {
        rank,
        of,
        local: variable("LOCAL_RANK").map(|text| number("LOCAL_RANK", &text)).transpose()?,
        host: text("MASTER_ADDR"),
        port: port(&text("MASTER_PORT"))?,
        serves: rank == 0 && variable("TORCHELASTIC_USE_AGENT_STORE").as_deref() != Some("True"),
        attempt: variable("TORCHELASTIC_RESTART_COUNT").unwrap_or_else(|| "0".into()),
    }))
}

/// A step of a Slurm job with several tasks. A batch script itself is none: a plain `lipscope train` in it is one process.
fn of_slurm(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Place>> {
    let tasks = variable("SLURM_STEP_NUM_TASKS").or_else(|| variable("SLURM_NTASKS"));
    let (Some(step), Some(tasks)) = (variable("SLURM_STEP_ID"), tasks) else { return Ok(None) };
    let of = number("SLURM_NTASKS", &tasks)?;
    if of < 2 {
        return Ok(None);
    }
    let needed = |name: &str| {
        variable(name).ok_or_else(|| {
            let problem = format!("this is a step of {of} tasks of a Slurm job, and {name} is not set");
            Error::mismatch(problem, "srun sets it; to train in one process, set WORLD_SIZE=1.")
        })
    };
    let rank = number("SLURM_PROCID", &needed("SLURM_PROCID")?)?;
    within(("SLURM_PROCID", rank), ("SLURM_NTASKS", of))?;
    let host = match variable("MASTER_ADDR") {
        Some(host) => host,
        None => {
            let list = needed("SLURM_STEP_NODELIST")?;
            node_list::first(&list).ok_or_else(|| {
                let allowed = "it is a list of nodes such as n[01-03]";
                Error::argument("SLURM_STEP_NODELIST", &list, allowed, "Set MASTER_ADDR to the machine of rank 0.")
            })?
        }
    };
    let port = match variable("MASTER_PORT") {
        Some(text) => port(&text)?,
        None => step_port(number("SLURM_JOB_ID", &needed("SLURM_JOB_ID")?)?, number("SLURM_STEP_ID", &step)?),
    };
    let local = variable("SLURM_LOCALID").map(|text| number("SLURM_LOCALID", &text)).transpose()?;
    let attempt = variable("SLURM_RESTART_COUNT").unwrap_or_else(|| "0".into());
    Ok(Some(Place { rank, of, local, host, port, serves: rank == 0, attempt }))
}

/// A port for a step: below those that Linux gives to connections (32768 and up), and another one for jobs and steps that
/// may run beside it.
fn step_port(job: usize, step: usize) -> u16 {
    const FIRST: usize = 16_000;
    const PORTS: usize = 16_000;
    (FIRST + (job % PORTS + 61 * (step % PORTS)) % PORTS) as u16
}

fn number(name: &str, text: &str) -> Result<usize> {
    text.parse().map_err(|_| Error::argument(name, text, "it is a whole number", ALONE))
}

fn port(text: &str) -> Result<u16> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| {
        Error::argument(
            "MASTER_PORT",
            text,
            "it is a port from 1 to 65535",
            "Give one that is free on rank 0's machine.",
        )
    })
}

fn within((name, rank): (&str, usize), (of_name, of): (&str, usize)) -> Result<()> {
    if rank < of {
        return Ok(());
    }
    Err(Error::argument(name, rank, format!("{of_name} is {of}, and ranks count from 0"), ALONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Place>> {
        place(&|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string()))
    }

    fn refusal(variables: &[(&str, &str)]) -> String {
        let error = of(variables).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    const TORCHRUN: [(&str, &str); 4] =
        [("RANK", "1"), ("WORLD_SIZE", "4"), ("MASTER_ADDR", "n1"), ("MASTER_PORT", "29500")];
    const SRUN: [(&str, &str); 6] = [
        ("SLURM_STEP_ID", "0"),
        ("SLURM_NTASKS", "4"),
        ("SLURM_PROCID", "3"),
        ("SLURM_LOCALID", "1"),
        ("SLURM_STEP_NODELIST", "n[07-08]"),
        ("SLURM_JOB_ID", "123"),
    ];

    #[test]
    fn torchrun_and_srun_name_the_place() {
        let place = of(&TORCHRUN).unwrap().unwrap();
        assert_eq!((place.rank, place.of, place.local, place.serves), (1, 4, None, false));
        assert_eq!((place.host.as_str(), place.port, place.attempt.as_str()), ("n1", 29500, "0"));
        let agent =
            [("TORCHELASTIC_USE_AGENT_STORE", "True"), ("TORCHELASTIC_RESTART_COUNT", "2"), ("LOCAL_RANK", "0")];
        let first = [&[("RANK", "0")][..], &TORCHRUN[1..]].concat();
        assert!(of(&first).unwrap().unwrap().serves);
        let place = of(&[&first[..], &agent].concat()).unwrap().unwrap();
        assert!(!place.serves && place.attempt == "2" && place.local == Some(0));

        let place = of(&SRUN).unwrap().unwrap();
        assert_eq!((place.rank, place.of, place.local, place.serves), (3, 4, Some(1), false));
        assert_eq!((place.host.as_str(), place.port), ("n07", 16_123));
        let named = [&SRUN[..], &[("MASTER_ADDR", "ib7"), ("MASTER_PORT", "5000")]].concat();
        let place = of(&named).unwrap().unwrap();
        assert_eq!((place.host.as_str(), place.port), ("ib7", 5000));
        // Each of them may start a torchrun.
        assert_eq!(of(&[&SRUN[..], &TORCHRUN].concat()).unwrap().unwrap().rank, 1);
    }

    #[test]
    fn one_process_is_no_place() {
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&[("MASTER_ADDR", "n1"), ("MASTER_PORT", "1")]).unwrap(), None);
        assert_eq!(of(&[("WORLD_SIZE", "1")]).unwrap(), None);
        assert_eq!(of(&[&SRUN[..], &[("WORLD_SIZE", "1")]].concat()).unwrap(), None);
        assert_eq!(of(&SRUN[1..]).unwrap(), None, "a batch script");
        assert_eq!(of(&[&SRUN[..], &[("SLURM_STEP_NUM_TASKS", "1")]].concat()).unwrap_or(None).map(|p| p.of), None);
    }

    #[test]
    fn what_is_half_set_or_wrong_is_refused_by_name() {
        let error = refusal(&[("RANK", "0")]);
        assert!(
            error.starts_with("RANK is set") && error.contains("WORLD_SIZE, MASTER_ADDR, MASTER_PORT are not"),
            "{error}"
        );
        assert!(refusal(&TORCHRUN[..3]).contains("MASTER_PORT is not"));
        assert!(refusal(&[&[("RANK", "4")], &TORCHRUN[1..]].concat()).contains("RANK is `4`, but WORLD_SIZE is 4"));
        assert!(refusal(&[&[("RANK", "one")], &TORCHRUN[1..]].concat()).contains("whole number"));
        assert!(refusal(&[&TORCHRUN[..3], &[("MASTER_PORT", "0")]].concat()).contains("65535"));
        assert!(refusal(&[("WORLD_SIZE", "0"), ("RANK", "0")]).contains("MASTER_ADDR"));
        assert!(refusal(&SRUN[..2]).contains("SLURM_PROCID is not set"));
        assert!(refusal(&SRUN[..4]).contains("SLURM_STEP_NODELIST is not set"));
    }

    #[test]
    fn ports_of_steps_are_below_those_of_connections() {
        for (job, step) in [(0, 0), (15_999, 0), (16_000, 1), (usize::MAX / 2, 7), (4_294_901_759, 400)] {
            assert!((16_000..32_000).contains(&step_port(job, step)), "{job} {step}");
        }
        assert_ne!(step_port(5, 0), step_port(5, 1));
    }
}
