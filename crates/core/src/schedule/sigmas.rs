//! Noise levels from a file: `sigmas:file=PATH`, α = 1 and one σ per timestep, as NCSN's and discrete SMLD's lists have them
//! (Song and Ermon, arXiv 1907.05600). The file is that of `betas`; its values rise or fall, and index 0 has the smallest.
//!
//! Between the indices σ is geometric, which is exact for the geometric lists of NCSNv2 and score_sde; below index 0 the first
//! two values are carried on.

use super::custom::read;
use super::{Built, Member, NoiseSchedule, Parameters, Timestep};
use crate::error::{Error, Result};

pub(super) const MEMBER: Member =
    Member { name: "sigmas", parameters: &[("file", "")], about: "α = 1, σ from a file", build };

fn build(parameters: &Parameters) -> Result<Built> {
    let mut sigmas = read(parameters)?;
    if sigmas.first() > sigmas.last() {
        sigmas.reverse();
    }
    let rises = sigmas.windows(2).all(|pair| pair[0] < pair[1]);
    let positive = sigmas.iter().all(|sigma| sigma.is_finite() && *sigma > 0.0);
    if sigmas.len() < 2 || !rises || !positive {
        let shown: Vec<String> = sigmas.iter().take(4).map(f64::to_string).collect();
        let value = format!("{} values, {} …", sigmas.len(), shown.join(", "));
        let allowed = "its σ are two or more, all above 0, and rise or fall throughout";
        return Err(Error::argument("the schedule's sigmas", value, allowed, "Check the values and their order."));
    }
    Ok(Built::Continuous(Box::new(Sigmas { logs: sigmas.iter().map(|sigma| sigma.ln()).collect(), sigmas })))
}

#[derive(Debug)]
struct Sigmas {
    sigmas: Vec<f64>,
    /// ln σ.
    logs: Vec<f64>,
}

impl Sigmas {
    /// The index left of t, and d ln σ/dt from there to the next.
    fn locate(&self, t: Timestep) -> (usize, f64) {
        let left = (t.max(0.0).floor() as usize).min(self.logs.len() - 2);
        (left, self.logs[left + 1] - self.logs[left])
    }
}

impl NoiseSchedule for Sigmas {
    fn timesteps(&self) -> usize {
        self.sigmas.len()
    }

    fn alpha(&self, _t: Timestep) -> f64 {
        1.0
    }

    fn sigma(&self, t: Timestep) -> f64 {
        if t >= 0.0 && t.fract() == 0.0 && (t as usize) < self.sigmas.len() {
            return self.sigmas[t as usize];
        }
        let (left, slope) = self.locate(t);
        (self.logs[left] + (t - left as f64) * slope).exp()
    }

    fn d_alpha_dt(&self, _t: Timestep) -> f64 {
        0.0
    }

    fn d_sigma_dt(&self, t: Timestep) -> f64 {
        self.locate(t).1 * self.sigma(t)
    }

    fn start_std(&self, t: Timestep) -> f64 {
        self.sigma(t)
    }

    /// As with `ve`, the levels are what the model knows, and their number and places are its trainer's.
    fn has_steps(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::schedule::parse;

    /// score_sde's discrete list is geometric: `ve` of the same ends, at the indices and between them.
    #[test]
    fn a_geometric_list_is_ve() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, values: &[f64]| {
            let path = folder.path().join(name);
            std::fs::write(&path, serde_json::to_string(values).unwrap()).unwrap();
            format!("sigmas:file={}", path.display())
        };
        let rising: Vec<f64> = (0..50).map(|i| 0.01 * 5000f64.powf(f64::from(i) / 49.0)).collect();
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        let ve = parse("ve:sigma-min=0.01,sigma-max=50,timesteps=50").unwrap();
        for list in [file("rising.json", &rising), file("falling.json", &falling)] {
            let sigmas = parse(&list).unwrap();
            assert_eq!((sigmas.timesteps(), sigmas.has_steps(), sigmas.sigma(7.0)), (50, false, rising[7]));
            for t in [-0.5, 0.0, 7.0, 20.25, 48.9, 49.0] {
                // A few roundings of logarithms of size 5.
                let close =
                    |got: f64, expected: f64| assert!((got / expected - 1.0).abs() < 1e-13, "{t}: {got} {expected}");
                close(sigmas.sigma(t), ve.sigma(t));
                close(sigmas.d_sigma_dt(t), ve.d_sigma_dt(t));
                close(sigmas.start_std(t), ve.start_std(t));
            }
        }
        for (name, wrong) in
            [("one", vec![0.1]), ("bends", vec![0.1, 0.3, 0.2]), ("zero", vec![0.0, 0.1]), ("none", vec![])]
        {
            let refused = parse(&file(name, &wrong)).unwrap_err().to_string();
            assert!(refused.contains("rise or fall throughout"), "{name}: {refused}");
        }
    }
}
