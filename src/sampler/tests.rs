//! Every registered sampler against closed forms in float64.

use super::*;
use crate::ideal::{Distribution, Gaussian, IdealDenoiser, Mixture};
use crate::of::Of;
use crate::process::ForwardProcess;
use crate::random::{Purpose, fill_normal, stream};
use crate::response::Response;
use crate::schedule::{self, NoiseSchedule};
use crate::state::State;
use crate::testing::{SmallDevice, Tolerance, assert_close, distance};
use crate::timestep_map::{Identity, TimestepMap};
use lipscope_core::cli::args::Clip;
use std::sync::Arc;
use tch::{Device, Kind};

const MEAN: f64 = 0.5;
const VARIANCE: f64 = 0.09;
/// Some samples of the stream.
fn which(samples: std::ops::Range<u64>) -> Which<'static> {
    Which { seed: SEED, samples, labels: None }
}

const SEED: u64 = 3;

fn ideal(distribution: Box<dyn Distribution>, schedule: &str) -> IdealDenoiser {
    IdealDenoiser {
        sample_shape: vec![distribution.dim()],
        distribution,
        process: schedule::parse(schedule).unwrap().into(),
        map: Arc::new(Identity),
        device: Device::Cpu,
    }
}

fn gaussian(schedule: &str) -> IdealDenoiser {
    ideal(Box::new(Gaussian::diagonal(&[MEAN], &[VARIANCE], Device::Cpu)), schedule)
}

/// Three modes in the plane: a flow that is not affine.
fn mixture(schedule: &str) -> IdealDenoiser {
    let part = |mean: [f64; 2], std: f64| Gaussian::diagonal(&mean, &[std * std; 2], Device::Cpu);
    let parts = vec![part([0.8, 0.0], 0.3), part([-0.6, 0.5], 0.2), part([-0.2, -0.7], 0.4)];
    ideal(Box::new(Mixture::new(&[0.5, 0.3, 0.2], parts)), schedule)
}

fn sampling(sampler: &str, spacing: &str, nfe: usize) -> Sampling {
    Sampling { sampler: parse(sampler).unwrap(), spacing: spacing::parse(spacing).unwrap(), nfe, clip: None }
}

fn samples(denoiser: &dyn Denoiser, sampling: &Sampling, range: Range<u64>) -> Vec<f64> {
    let x = draw(denoiser, sampling, which(range), &mut || true).unwrap().unwrap();
    Vec::try_from(x.reshape([-1]).to_kind(Kind::Double)).unwrap()
}

fn start(sample: u64) -> f64 {
    let mut noise = [0.0f32];
    fill_normal(&mut stream(SEED, Purpose::Start, 0.0, sample), &mut noise);
    f64::from(noise[0])
}

/// The least NFE for `steps` steps that are all of the sampler's own order, but for one of order 2 that ends order 3.
fn nfe(sampler: &dyn Sampler, steps: usize) -> usize {
    match sampler.deal(6)[0] {
        3 => 3 * steps,
        each => each * steps + 1,
    }
}

/// The flow of a Gaussian is affine: x_t = α_t μ + √(V_t/V_T) (x_T − α_T μ), V = α² s² + σ²; then x̂₀ at t = 0.
fn exact(schedule: &dyn NoiseSchedule, x: f64) -> f64 {
    let variance = |t: f64| schedule.alpha(t).powi(2) * VARIANCE + schedule.sigma(t).powi(2);
    let (first, alpha) = ((schedule.timesteps() - 1) as f64, schedule.alpha(0.0));
    let x = x * schedule.start_std(first);
    let y = (variance(0.0) / variance(first)).sqrt() * (x - schedule.alpha(first) * MEAN);
    MEAN + alpha * VARIANCE / variance(0.0) * y
}

/// Orders measured by halving all steps: on an affine flow against its closed form, and on one that is not affine against
/// far finer steps.
#[test]
fn every_sampler_converges_at_the_order_that_it_declares() {
    let mut seen = Vec::new();
    let denoisers = [("gaussian", gaussian("linear")), ("from σ_max", gaussian("edm")), ("mixture", mixture("cosine"))];
    for (name, denoiser) in denoisers {
        let reference = match name {
            "gaussian" | "from σ_max" => (0..4).map(|sample| exact(denoiser.schedule(), start(sample))).collect(),
            _ => samples(&denoiser, &sampling("dpm-solver-3", "log-snr-real", 6000), 0..4),
        };
        for member in MEMBERS {
            let Some(order) = parse(member.name).unwrap().order() else { continue };
            let error = |steps| {
                let nfe = nfe(&*parse(member.name).unwrap(), steps);
                distance(&samples(&denoiser, &sampling(member.name, "log-snr-real", nfe), 0..4), &reference)
            };
            let (coarse, fine) = (error(40), error(80));
            let measured = (coarse / fine).log2();
            println!("{name} {}: order {measured:.2}, error {fine:.1e}", member.name);
            seen.push((member.name, name, f64::from(order), measured, fine));
        }
    }
    for (member, name, order, measured, fine) in seen {
        // 40 steps are not yet the limit of small ones: the next power of the step still shows.
        assert!((order - 0.3..order + 0.7).contains(&measured), "{member}, {name}: order {measured}");
        assert!(fine < 10f64.powf(-order), "{member}, {name}: off by {fine}");
    }
}

/// A stochastic step on a Gaussian is x_next = a x + b + c z, so that mean and variance follow a recursion. It is written
/// here in the β and ᾱ of DDPM's paper.
fn moments(schedule: &dyn NoiseSchedule, path: &Path, large: bool) -> (f64, f64) {
    let (mut mean, mut variance) = (0.0, 1.0);
    let posterior_mean = |t: f64| {
        let (alpha, bar) = (schedule.alpha(t), schedule.alpha_bar(t));
        let gain = alpha * VARIANCE / (bar * VARIANCE + 1.0 - bar);
        (gain, MEAN - gain * alpha * MEAN)
    };
    for step in path.steps() {
        let (bar, bar_next) = (schedule.alpha_bar(step.t_cur), schedule.alpha_bar(step.t_next));
        let beta = 1.0 - bar / bar_next;
        let of_x0 = bar_next.sqrt() * beta / (1.0 - bar);
        let of_x = (1.0 - beta).sqrt() * (1.0 - bar_next) / (1.0 - bar);
        let (gain, offset) = posterior_mean(step.t_cur);
        let added = if large { beta } else { beta * (1.0 - bar_next) / (1.0 - bar) };
        mean = (of_x0 * gain + of_x) * mean + of_x0 * offset;
        variance = (of_x0 * gain + of_x).powi(2) * variance + added;
    }
    let (gain, offset) = posterior_mean(path.last());
    (gain * mean + offset, gain * gain * variance)
}

#[test]
fn stochastic_samplers_have_the_mean_and_variance_of_their_recursion() {
    let denoiser = gaussian("linear");
    for (name, large) in [("ddpm", false), ("ddpm:variance=large", true), ("ddim:eta=1", false)] {
        let sampling = sampling(name, "uniform", 12);
        let (mean, variance) = moments(denoiser.schedule(), &Path::new(&denoiser, &sampling).unwrap(), large);
        let drawn = samples(&denoiser, &sampling, 0..20_000);
        let n = drawn.len() as f64;
        let found = drawn.iter().sum::<f64>() / n;
        let spread = drawn.iter().map(|x| (x - found).powi(2)).sum::<f64>() / (n - 1.0);
        // Five standard errors of the mean and of the variance of normal numbers; small and large differ by far more.
        assert!((found - mean).abs() < 5.0 * (variance / n).sqrt(), "{name}: mean {found}, not {mean}");
        assert!((spread / variance - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{name}: variance {spread}, not {variance}");
    }
}

/// The same noise enters both, and the two formulas are algebraically one.
#[test]
fn ddim_with_all_noise_is_ddpm() {
    let denoiser = mixture("linear");
    let [ddim, ddpm] = ["ddim:eta=1", "ddpm"].map(|name| samples(&denoiser, &sampling(name, "uniform", 25), 0..8));
    assert_close("ddim", &ddim, &ddpm, Tolerance::absolute(1e-11, "rounding of float64 over 25 steps"));
    let [half, none] = ["ddim:eta=0.5", "ddim"].map(|name| samples(&denoiser, &sampling(name, "uniform", 25), 0..8));
    assert!(distance(&half, &none) > 0.01 && distance(&half, &ddpm) > 0.01);
}

#[test]
fn the_first_dpm_solver_is_ddim() {
    let denoiser = mixture("cosine");
    let [a, b] = ["ddim", "dpm-solver-1"].map(|name| samples(&denoiser, &sampling(name, "uniform", 25), 0..8));
    let reason = "ε̂ from x̂₀ and back is divided by σ₀ = 0.006 at the last step";
    assert_close("ddim", &a, &b, Tolerance::absolute(1e-11, reason));
}

#[test]
fn samples_do_not_depend_on_the_batch() {
    for member in MEMBERS {
        let (denoiser, sampling) = (gaussian("linear"), sampling(member.name, "uniform", 10));
        let together = samples(&denoiser, &sampling, 0..4);
        for i in 0..4 {
            let (alone, i) = (samples(&denoiser, &sampling, i..i + 1), i as usize);
            assert_close(member.name, &alone[..], &together[i..=i], Tolerance::absolute(1e-12, "rounding of float64"));
        }
    }
}

#[test]
fn every_budget_is_spent_to_the_last_evaluation() {
    let denoiser = gaussian("linear");
    for member in MEMBERS {
        for nfe in 1..15 {
            let sampling = sampling(member.name, "uniform", nfe);
            let mut spent = 0;
            let mut count = || {
                spent += 1;
                true
            };
            let x = draw(&denoiser, &sampling, which(0..2), &mut count).unwrap().unwrap();
            assert!(bool::try_from(x.isfinite().all()).unwrap(), "{} with {nfe}", member.name);
            assert_eq!((spent, Path::new(&denoiser, &sampling).unwrap().nfe()), (nfe, nfe), "{}", member.name);
        }
    }
}

#[test]
fn an_interrupt_stops_after_its_step() {
    let (denoiser, sampling) = (gaussian("linear"), sampling("dpm-solver-3", "uniform", 30));
    let mut left = 7;
    let mut stop = || {
        left -= 1;
        left > 0
    };
    assert!(draw(&denoiser, &sampling, which(0..1), &mut stop).unwrap().is_none());
    assert!(left > -3, "{left}");
}

#[test]
fn the_clip_bounds_what_comes_out() {
    let denoiser = gaussian("linear");
    for member in MEMBERS {
        let clipped = Sampling { clip: Some(0.6), ..sampling(member.name, "uniform", 12) };
        let x = samples(&denoiser, &clipped, 0..16);
        assert!(x.iter().all(|x| x.abs() <= 0.6) && x.contains(&0.6), "{}: {x:?}", member.name);
    }
    let refused = Sampling { clip: Some(0.0), ..sampling("ddim", "uniform", 2) };
    assert!(draw(&denoiser, &refused, which(0..1), &mut || true).is_err());
}

#[test]
fn auto_clips_where_the_sampler_does() {
    let own = |name: &str| clip(Clip::Auto, Some(1.0), &*parse(name).unwrap());
    assert_eq!((own("ddim"), own("ddpm"), own("dpm-solver-3"), own("heun")), (Some(1.0), Some(1.0), None, None));
    let sampler = parse("heun").unwrap();
    assert_eq!(clip(Clip::At(2.5), None, &*sampler), Some(2.5));
    assert_eq!(clip(Clip::None, Some(1.0), &*parse("ddim").unwrap()), None);
}

#[test]
fn nonsense_is_refused() {
    for text in ["euler", "ddim:eta=2", "ddim:eta=x", "ddim:size=1", "ddpm:variance=tiny", "heun:eta=1", ""] {
        assert!(parse(text).is_err(), "{text}");
    }
    let denoiser = gaussian("linear");
    assert!(Path::new(&denoiser, &sampling("ddim", "uniform", 0)).unwrap_err().to_string().contains("--nfe"));
}

/// A network that predicts x₀, and so also where there is no signal: there it is the mean.
struct PredictsX0(IdealDenoiser);

impl Response for PredictsX0 {
    fn process(&self) -> &dyn ForwardProcess {
        self.0.process()
    }
    fn timestep_map(&self) -> &dyn TimestepMap {
        self.0.timestep_map()
    }
    fn sample_shape(&self) -> &[i64] {
        self.0.sample_shape()
    }
    fn device(&self) -> Device {
        Device::Cpu
    }
    fn kind(&self) -> Kind {
        Kind::Double
    }
    fn value(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        self.0.value(state, t)
    }
    fn rate(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        self.0.rate(state, t)
    }
    fn offers(&self) -> &'static [Of] {
        &[Of::Epsilon]
    }
    fn asked_for(self: Box<Self>, _of: Of, _scales: &[f64]) -> Box<dyn Response> {
        self
    }
}

impl Denoiser for PredictsX0 {
    fn schedule(&self) -> &dyn NoiseSchedule {
        self.0.schedule()
    }
    fn along(&self, state: &State, v: &Tensor, with_time: bool, t: &[Timestep]) -> Result<Tensor> {
        self.0.along(state, v, with_time, t)
    }
    fn predicts_without_signal(&self) -> bool {
        true
    }
    fn x0(&self, state: &State, t: &[Timestep]) -> Result<Tensor> {
        if self.schedule().alpha(t[0]) == 0.0 { Ok(state.x.full_like(MEAN)) } else { self.0.x0(state, t) }
    }
}

/// Where α = 0 at T−1, sampling starts there if network and sampler can, and else one timestep further; all of them then
/// follow the flow.
#[test]
fn schedules_without_a_signal_at_their_end_are_sampled() {
    for schedule in ["linear-zero-terminal-snr", "trigflow", "flow"] {
        for member in MEMBERS {
            for spacing in ["uniform", "log-snr", "karras"] {
                let (sampler, sampling) = (parse(member.name).unwrap(), sampling(member.name, spacing, 301));
                let (noise, x0) = (gaussian(schedule), PredictsX0(gaussian(schedule)));
                let from_noise = Path::new(&noise, &sampling).unwrap().timesteps[0];
                let from_x0 = Path::new(&x0, &sampling).unwrap().timesteps[0];
                assert_eq!(from_noise, 998.0);
                assert_eq!(from_x0, if sampler.starts_without_signal() { 999.0 } else { 998.0 }, "{}", member.name);
                if sampler.order().is_none() {
                    continue;
                }
                for denoiser in [&noise as &dyn Denoiser, &x0] {
                    let error = (samples(denoiser, &sampling, 0..1)[0] - exact(denoiser.schedule(), start(0))).abs();
                    // First-order steps, and a start at T−2 as if it were T−1.
                    assert!(error < 0.02, "{} {schedule} {spacing}: off by {error}", member.name);
                }
            }
        }
    }
}

#[test]
fn where_memory_runs_out_samples_come_in_smaller_pieces_and_are_the_same() {
    let sampling = sampling("ddpm", "uniform", 5);
    let all = samples(&gaussian("linear"), &sampling, 2..13);
    let drawn = |rows: i64| {
        let gaussian = Gaussian::diagonal(&[MEAN], &[VARIANCE], Device::Cpu);
        let denoiser = ideal(Box::new(SmallDevice { gaussian, rows }), "linear");
        let (mut most, mut pieces, mut values) = (8, Vec::new(), Vec::new());
        let mut take = |x: Tensor| {
            pieces.push(x.size()[0]);
            values.extend(Vec::<f64>::try_from(x.reshape([-1]).to_kind(Kind::Double)).unwrap());
            Ok(())
        };
        let complete = draw_in_pieces(&denoiser, &sampling, &which(2..13), &mut most, &mut || true, &mut take);
        complete.map(|complete| (complete, most, pieces, values))
    };
    assert_eq!(drawn(8).unwrap(), (true, 8, vec![8, 3], all.clone()));
    assert_eq!(drawn(5).unwrap(), (true, 4, vec![4, 4, 3], all.clone()));
    assert_eq!(drawn(1).unwrap(), (true, 1, vec![1; 11], all));
    assert!(drawn(0).unwrap_err().is_out_of_memory());
}
