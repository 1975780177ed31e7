//! Every registered sampler against closed forms in float64.

use super::*;
use crate::ideal::{Gaussian, IdealDenoiser};
use crate::random::{Purpose, fill_normal, stream};
use crate::schedule;
use crate::timestep_map::Identity;
use std::sync::Arc;
use tch::{Device, Kind};

fn gaussian(schedule: &str) -> IdealDenoiser {
    IdealDenoiser {
        distribution: Box::new(Gaussian::diagonal(&[0.5], &[0.09], Device::Cpu)),
        schedule: schedule::parse(schedule).unwrap(),
        map: Arc::new(Identity),
        sample_shape: vec![1],
        device: Device::Cpu,
    }
}

fn sampling(sampler: &str, spacing: &str, nfe: usize) -> Sampling {
    Sampling { sampler: parse(sampler).unwrap(), spacing: spacing::parse(spacing).unwrap(), nfe, clip: None }
}

fn samples(denoiser: &dyn Denoiser, sampling: &Sampling, range: Range<u64>) -> Vec<f64> {
    let x = draw(denoiser, sampling, 3, range, &mut || true).unwrap().unwrap();
    Vec::try_from(x.reshape([-1]).to_kind(Kind::Double)).unwrap()
}

#[test]
fn samples_do_not_depend_on_the_batch() {
    for member in MEMBERS {
        let (denoiser, sampling) = (gaussian("linear"), sampling(member.name, "uniform", 10));
        let together = samples(&denoiser, &sampling, 0..4);
        for i in 0..4 {
            let alone = samples(&denoiser, &sampling, i..i + 1)[0];
            assert!((alone - together[i as usize]).abs() < 1e-12, "{}", member.name);
        }
    }
}

fn start() -> f64 {
    let mut noise = [0.0f32];
    fill_normal(&mut stream(3, Purpose::Start, 0.0, 0), &mut noise);
    f64::from(noise[0])
}
