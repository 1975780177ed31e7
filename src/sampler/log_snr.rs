//! λ = ln(α/σ), half the log-SNR, in which DPM-Solver takes its steps, and its inverse.

use crate::schedule::NoiseSchedule;
use crate::time::Timestep;

/// λ_t = ln(α_t/σ_t), falling in t; −∞ where α = 0.
pub(super) fn half_log_snr(schedule: &dyn NoiseSchedule, t: Timestep) -> f64 {
    (schedule.alpha(t) / schedule.sigma(t)).ln()
}

/// t_λ, the inverse of λ_t within the steps from `t_cur` to the less noisy `t_next`. Halving the interval works for every
/// schedule, those given by tables included, down to neighbouring floats.
pub(super) fn time_of(schedule: &dyn NoiseSchedule, lambda: f64, (t_cur, t_next): (Timestep, Timestep)) -> Timestep {
    let (mut low, mut high) = (t_next, t_cur);
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        if half_log_snr(schedule, middle) > lambda {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::parse;

    #[test]
    fn time_and_log_snr_invert_each_other() {
        for name in ["linear", "cosine", "trigflow", "flow", "scaled-linear-zero-terminal-snr"] {
            let schedule = parse(name).unwrap();
            for t in [0.25, 3.0, 41.7, 500.5, 998.0] {
                let found = time_of(&*schedule, half_log_snr(&*schedule, t), (999.0, 0.0));
                // λ is known to 1e-16 of its size, t to that over dλ/dt, which is at least 1e-3 per step.
                assert!((found - t).abs() < 1e-9, "{name} {t}: {found}");
            }
        }
    }
}
