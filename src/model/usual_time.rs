//! The number that a network gets for t, where its trainers give it more than one and a checkpoint does not say which.

use crate::checkpoint::Declared;
use crate::error::{Error, Result};
use crate::network::{Takes, UsualTime};
use crate::process::ProcessSpec;
use lipscope_core::options::Overrides;

/// Refuses to guess: 4 for 1 in t is 4 for 1 in K.
pub fn check(takes: &Takes, declared: &Declared, overrides: &Overrides) -> Result<()> {
    if overrides.time_input.is_some() || declared.conditioning.is_some() {
        return Ok(());
    }
    match takes.time {
        UsualTime::Steps => Ok(()),
        UsualTime::StepsOrThousandths => thousandths(takes, declared, overrides),
        // A schedule in the file is one over steps.
        UsualTime::NoiseLevel if declared.schedule.is_some() => Ok(()),
        UsualTime::NoiseLevel => Err(noise_level(takes)),
    }
}

fn thousandths(takes: &Takes, declared: &Declared, overrides: &Overrides) -> Result<()> {
    // Trainers that keep their schedule in the file give steps.
    let kept = declared.schedule.is_some() && declared.said_in.schedule.as_deref() != Some("--config");
    let named = overrides.schedule.as_ref().or(declared.schedule.as_ref());
    match named.map_or(1000, ProcessSpec::timesteps) {
        1000 => Ok(()),
        _ if kept => Ok(()),
        timesteps => Err(Error::mismatch(
            format!(
                "T is {timesteps}, and the file does not say whether this {} got t in steps or, by the option \
                 rescale_timesteps of its trainers, as 1000 t/T",
                takes.architecture
            ),
            format!(
                "Give --time-input step*{} where it was rescaled (the default of improved-diffusion), or --time-input step \
                 (that of guided-diffusion).",
                1000.0 / timesteps as f64
            ),
        )),
    }
}

fn noise_level(takes: &Takes) -> Error {
    Error::mismatch(
        format!(
            "the frequencies of the time embedding of this {} are random or learned, which its trainers use where the network \
             gets a noise level and no step, and the file does not say which",
            takes.architecture
        ),
        "For ElucidatedDiffusion give --schedule edm --prediction edm:sigma-data=0.5 --time-input c-noise; for the classes in \
         continuous time --schedule cosine --time-input log-snr, with --prediction epsilon or v.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::SaidIn;
    use crate::network::Additions;

    fn takes(time: UsualTime) -> Takes {
        Takes {
            architecture: "UNetModel".into(),
            class: false,
            classes: None,
            null_label: None,
            context: false,
            context_width: None,
            additions: Additions::default(),
            time,
            inputs: Vec::new(),
            times: Vec::new(),
            symbols: None,
        }
    }

    fn said(flags: [Option<&str>; 2]) -> Overrides {
        let [schedule, time_input] = flags;
        Overrides {
            schedule: schedule.map(|text| text.parse().unwrap()),
            time_input: time_input.map(|text| text.parse().unwrap()),
            ..Overrides::default()
        }
    }

    #[test]
    fn rescaled_steps_are_asked_for_where_they_differ() {
        let takes = takes(UsualTime::StepsOrThousandths);
        let silent = Declared::default();
        let four = Some("cosine:timesteps=4000");
        assert!(check(&takes, &silent, &said([None, None])).is_ok());
        assert!(check(&takes, &silent, &said([Some("cosine"), None])).is_ok());
        let error = check(&takes, &silent, &said([four, None])).unwrap_err().to_string();
        assert!(error.contains("--time-input step*0.25") && error.contains("--time-input step "), "{error}");
        for answer in ["step*0.25", "step"] {
            assert!(check(&takes, &silent, &said([four, Some(answer)])).is_ok(), "{answer}");
        }
        let in_file = |part: &str| Declared {
            schedule: four.map(|text| text.parse().unwrap()),
            said_in: SaidIn { schedule: Some(part.into()), ..SaidIn::default() },
            ..Declared::default()
        };
        assert!(check(&takes, &in_file("buffers beside the weights"), &said([None, None])).is_ok());
        assert!(check(&takes, &in_file("--config"), &said([None, None])).is_err());
    }

    #[test]
    fn noise_levels_are_never_taken_for_steps() {
        let takes = takes(UsualTime::NoiseLevel);
        let error = check(&takes, &Declared::default(), &said([Some("cosine"), None])).unwrap_err().to_string();
        assert!(error.contains("--time-input c-noise") && error.contains("--time-input log-snr"), "{error}");
        assert!(check(&takes, &Declared::default(), &said([Some("cosine"), Some("log-snr")])).is_ok());
        let betas = Declared { schedule: Some("linear".parse().unwrap()), ..Declared::default() };
        assert!(check(&takes, &betas, &said([None, None])).is_ok());
    }
}
