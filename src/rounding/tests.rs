use super::*;
use crate::denoiser::AskedNetwork;
use crate::draws::CleanSamples;
use crate::network::mlp::{MlpConfig, ResidualMlp};
use crate::nn::Weights;
use crate::prediction::Prediction;
use crate::random::fill_normal;
use crate::schedule;
use crate::time::Conditioning;
use crate::timestep_map::Identity;
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::sync::Arc;

struct Normal;

impl CleanSamples for Normal {
    fn draw(&self, rng: &mut ChaCha8Rng, out: &mut [f32]) -> Result<Option<usize>> {
        fill_normal(rng, out);
        Ok(None)
    }
}

const SHAPE: [i64; 2] = [2, 3];

fn mlp() -> Subject {
    let config = MlpConfig::new(SHAPE.to_vec(), 32, 2, Path::new("test")).unwrap();
    let mut network = ResidualMlp::new(&config, &Weights::fresh(0)).unwrap();
    crate::network::Network::to(&mut network, Device::Cpu, Kind::Double).unwrap();
    subject(Box::new(network))
}

fn subject(network: Box<dyn crate::network::Network>) -> Subject {
    Subject::new(NetworkDenoiser {
        asked: AskedNetwork {
            network,
            map: Arc::new(Identity),
            conditioning: Conditioning::default(),
            given: Default::default(),
            sample_shape: SHAPE.to_vec(),
            device: Device::Cpu,
            kind: Kind::Double,
        },
        process: schedule::parse("linear").unwrap().into(),
        prediction: Prediction::Epsilon,
        guidance: None,
    })
}

fn measure(subject: Subject, timesteps: &[f64]) -> Rounding {
    let draws = Draws::new(Arc::new(Normal), 0, SHAPE.to_vec());
    let settings = Settings::new(timesteps, 1.0, Some(8), 3, &SHAPE);
    let most = subject.steps(&settings);
    let mut steps = 0;
    let mut advance = || {
        steps += 1;
        true
    };
    let found = subject.measure("mlp", &draws, &settings, &mut advance).unwrap().unwrap();
    assert!(steps <= most, "{steps} of {most}");
    found
}

fn row<'a>(found: &'a Rounding, quantity: &str, dtypes: (&str, &str), t: f64) -> &'a RoundingRow {
    let matches = |row: &&RoundingRow| {
        (row.quantity.name(), row.timestep) == (quantity, t)
            && (row.network_dtype.as_str(), row.time_embedding_dtype.as_str()) == dtypes
    };
    found.rows.iter().find(matches).unwrap()
}

fn error(found: &Rounding, quantity: &str, dtypes: (&str, &str), t: f64) -> f64 {
    row(found, quantity, dtypes, t).median_relative_error.unwrap()
}

/// The bounds are those of the features alone: their tangent is ω (cos φ, −sin φ) with φ = t ω, so where φ is off by δ the
/// tangent is off by δ of itself. In float32 δ ≤ 2⁻²⁴ φ, in bfloat16 2⁻⁹ for each of ω and the product (t = 1, 2, 3, 4 are
/// exact), and sines and cosines are rounded once more. The layers behind may magnify that, tenfold at most.
#[test]
fn errors_are_those_of_the_dtypes() {
    let found = measure(mlp(), &[1.0, 2.0, 998.0]);
    assert!(found.unavailable.is_empty() && found.rows.len() == 2 * 9 * 3, "{found:?}");
    let (single, half) = (2f64.powi(-24), 2f64.powi(-9));
    for t in [1.0, 2.0, 998.0] {
        for quantity in ["derivative", "secant"] {
            assert_eq!(row(&found, quantity, ("f64", "f64"), t).max_relative_error, Some(0.0));
            assert_eq!(row(&found, quantity, ("f64", "f64"), t).mean_norm_relative_error, Some(0.0));
        }
        // The network's own rounding in float32: some 2⁻²⁴ for each of its layers.
        let network = error(&found, "derivative", ("f32", "f64"), t);
        assert!((single..100.0 * single).contains(&network), "{t}: {network:e}");
        let embedding = error(&found, "derivative", ("f64", "f32"), t);
        assert!((0.01 * single..10.0 * single * t.max(1.0)).contains(&embedding), "{t}: {embedding:e}");
    }
    // A secant over one step loses what ‖ε‖ is larger than the change, on top of that.
    let (derivative, secant) =
        (error(&found, "derivative", ("f32", "f32"), 1.0), error(&found, "secant", ("f32", "f32"), 1.0));
    assert!(secant > derivative && secant < 1e-3, "{secant:e} {derivative:e}");
    // Far from 0 the phase is large, and float32 has fewer digits behind the point.
    let (near, far) =
        (error(&found, "derivative", ("f32", "f32"), 1.0), error(&found, "derivative", ("f32", "f32"), 998.0));
    assert!(far > 5.0 * near, "{far:e} {near:e}");
    // bfloat16: a few 2⁻⁹ near 0; at 998 the phase is off by radians.
    let near = error(&found, "derivative", ("f32", "bf16"), 1.0);
    assert!((0.1 * half..30.0 * half).contains(&near), "{near}");
    assert!(error(&found, "derivative", ("f32", "bf16"), 998.0) > 0.3);
}

#[test]
fn times_that_bfloat16_does_not_tell_apart_have_no_secant() {
    // Its spacing is 4 between 512 and 1024, so that 998 and 999 are both rounded to 1000; 2 and 3 are exact.
    let found = measure(mlp(), &[2.0, 998.0]);
    for network in ["f64", "f32", "bf16"] {
        let lost = row(&found, "secant", (network, "bf16"), 998.0);
        assert_eq!((lost.median_relative_error, lost.max_relative_error), (Some(1.0), Some(1.0)));
        assert_eq!((lost.mean_norm_relative_error, lost.t_next), (Some(-1.0), Some(999.0)));
    }
    assert!(error(&found, "secant", ("f64", "bf16"), 2.0) < 0.1);
}

#[test]
fn what_does_not_exist_is_listed_or_left_out() {
    // The last timestep has no t′; and no change has no relative error.
    let found = measure(mlp(), &[998.0, 999.0]);
    assert!(found.rows.iter().all(|row| row.timestep == 998.0 || row.quantity == Quantity::Derivative));
    let zero = Tensor::zeros([2, 3], (Kind::Double, Device::Cpu));
    let one = Tensor::ones([2, 3], (Kind::Double, Device::Cpu));
    let errors = Errors::of(&one, &zero).unwrap();
    assert_eq!((errors.relative.len(), errors.undefined), (0, 2));
    let errors = Errors::of(&Tensor::cat(&[one.narrow(0, 0, 1), &one.narrow(0, 0, 1) * f64::NAN], 0), &one).unwrap();
    assert_eq!((errors.relative, errors.undefined), (vec![0.0], 1));
    assert_eq!(errors.mean_norms.map(|(v, r)| v / r), Some(1.0));
}

#[test]
fn few_samples_are_taken_where_they_are_large() {
    let all: Vec<f64> = (0..999).map(f64::from).collect();
    // Few samples where they are large: 24 float64 vectors of 2²² elements are 0.8 GB.
    assert_eq!(Settings::new(&all, 1.0, None, 4, &[1 << 22]).samples, 1);
    assert_eq!(Settings::new(&all, 1.0, None, 4, &[3, 64, 64]).samples, SAMPLES);
}
