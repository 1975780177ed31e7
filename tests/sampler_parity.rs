//! Samplers against diffusers' schedulers, on the same closed-form model, noise and timesteps.
//!
//! The fixtures and how they were made: `tests/fixtures/samplers/make.py`.

mod common;

use common::closeness::{Tolerance, assert_close};
use lipscope::ideal::{Gaussian, IdealDenoiser, Mixture};
use lipscope::random::{Purpose, fill_normal, stream};
use lipscope::sampler::{self, Sampling, Which, draw, spacing};
use lipscope::schedule::{self, NoiseSchedule, Table};
use lipscope::timestep_map::Identity;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::{Device, Kind};

const SEED: u64 = 3;
const SAMPLES: u64 = 6;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/samplers").join(name)
}

fn read(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(parts) => parts.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn model(schedule: Arc<dyn NoiseSchedule>) -> IdealDenoiser {
    let part = |mean: [f64; 2], std: f64| Gaussian::diagonal(&mean, &[std * std; 2], Device::Cpu);
    let parts = vec![part([0.8, 0.0], 0.3), part([-0.6, 0.5], 0.2), part([-0.2, -0.7], 0.4)];
    IdealDenoiser {
        distribution: Box::new(Mixture::new(&[0.5, 0.3, 0.2], parts)),
        process: schedule.into(),
        map: Arc::new(Identity),
        sample_shape: vec![2],
        device: Device::Cpu,
    }
}

/// The streams that the fixtures rest on, as JSON.
fn noise() -> Value {
    let rows = |purpose, t: f64| -> Vec<[f32; 2]> {
        (0..SAMPLES)
            .map(|sample| {
                let mut row = [0.0; 2];
                fill_normal(&mut stream(SEED, purpose, t, sample), &mut row);
                row
            })
            .collect()
    };
    let added: serde_json::Map<String, Value> = (0..10)
        .map(|step| (format!("{}", 100 * step), serde_json::json!(rows(Purpose::Ancestral, 100.0 * f64::from(step)))))
        .collect();
    serde_json::json!({"start": rows(Purpose::Start, 0.0), "added": added})
}

#[test]
fn the_fixtures_rest_on_todays_streams() {
    if std::env::var_os("LIPSCOPE_WRITE_NOISE").is_some() {
        std::fs::write(path("noise.json"), noise().to_string() + "\n").unwrap();
    }
    assert_eq!(numbers(&read("noise.json")["start"]), numbers(&noise()["start"]));
    for step in 0..10 {
        let t = format!("{}", 100 * step);
        assert_eq!(numbers(&read("noise.json")["added"][&t]), numbers(&noise()["added"][&t]));
    }
}

#[test]
fn samples_are_those_of_diffusers() {
    let expected = read("expected.json");
    let cases = expected["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 13);
    for case in cases {
        let schedule: Arc<dyn NoiseSchedule> = match case["schedule"].as_str().unwrap() {
            "even" => Arc::new(Table::from_alpha_bar(&numbers(&expected["even"]).to_vec()).unwrap()),
            name => schedule::parse(name).unwrap(),
        };
        let name = case["sampler"].as_str().unwrap();
        let sampling = Sampling {
            sampler: sampler::parse(name).unwrap(),
            spacing: spacing::parse(case["spacing"].as_str().unwrap()).unwrap(),
            nfe: case["nfe"].as_u64().unwrap() as usize,
            clip: case["clip"].as_f64(),
        };
        let x0 =
            draw(&model(schedule), &sampling, Which { seed: SEED, samples: 0..SAMPLES, labels: None }, &mut || true)
                .unwrap()
                .unwrap();
        let x0: Vec<f64> = Vec::try_from(x0.reshape([-1]).to_kind(Kind::Double)).unwrap();
        let reason = "diffusers keeps alpha and sigma in float32, and a flow between modes magnifies that";
        let what = format!("{name}, clip {:?}", sampling.clip);
        assert_close(what, &x0, &numbers(&case["x0"]), Tolerance::absolute(1e-4, reason));
    }
}
