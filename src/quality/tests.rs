//! Metrics against closed forms, and against numpy and scipy (tests/fixtures/quality/make.py).

use super::features::{Extractor, Identity, Preprocessing, TorchScriptFeatures, read_statistics};
use super::*;
use crate::data::{Spread, eight_gaussians};
use crate::draws::CleanSamples;
use crate::ideal::Gaussian;
use crate::random::{Purpose, fill_normal, stream};
use crate::tensor_file::{self, IntoTensor};
use crate::testing::{self, Tolerance};
use ndarray::{Array1, Array2, Ix1, Ix2, Ix3};
use std::path::{Path, PathBuf};
use tch::{Device, Kind};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quality").join(name)
}

fn array(name: &str) -> Tensor {
    tensor_file::read(fixture("features.safetensors")).unwrap().get(name).unwrap().clone().into_tensor().unwrap()
}

fn expected(name: &str) -> f64 {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()[name].as_f64().unwrap()
}

fn setting(samples: u64) -> Setting {
    Setting { seed: 0, samples }
}

fn reference(features: &Tensor) -> Reference {
    Reference { features: Some(features.shallow_clone()), ..Reference::default() }
}

fn measure(name: &str, generated: &Tensor, reference: &Reference) -> f64 {
    let metric = (find(name).unwrap().build)(reference, &setting(10_000)).unwrap();
    metric.measure(generated).unwrap()
}

fn normal(rows: i64, columns: i64, seed: u64) -> Tensor {
    let mut values = vec![0.0; (rows * columns) as usize];
    fill_normal(&mut stream(seed, Purpose::Noise, 0.0, 0), &mut values);
    Tensor::from_slice(&values).to_kind(Kind::Double).reshape([rows, columns])
}

fn assert_close(got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() <= tolerance * expected.abs(), "{got} is not {expected}");
}

#[test]
fn metrics_agree_with_numpy_and_scipy() {
    let (real, generated) = (array("real"), array("generated"));
    for name in ["frechet", "kernel", "precision", "recall", "density", "coverage"] {
        // Both sides are float64; scipy's matrix square root is good to about 1e-10.
        assert_close(measure(name, &generated, &reference(&real)), expected(name), 1e-9);
    }
}

/// 15 and 20 samples of 40 features: both covariances are singular.
#[test]
fn covariances_of_any_rank_agree() {
    let distance = measure("frechet", &array("wide_generated"), &reference(&array("wide_real")));
    // The fixture takes square roots of eigenvalues that are zero up to rounding, about 1e-8 each.
    assert_close(distance, expected("frechet_wide"), 1e-6);
}

fn moments(mean: &[f64], covariance: &[f64]) -> Moments {
    let width = mean.len() as i64;
    Moments::from_covariance(Tensor::from_slice(mean), &Tensor::from_slice(covariance).reshape([width, width])).unwrap()
}

#[test]
fn the_frechet_distance_of_known_gaussians_is_exact() {
    // Of commuting covariances: Σ (√λ − √λ′)², here with a singular one.
    let (a, b) = (moments(&[1.0, 0.0], &[4.0, 0.0, 0.0, 0.0]), moments(&[0.0, 2.0], &[1.0, 0.0, 0.0, 9.0]));
    assert_close(frechet::distance(&a, &b).unwrap(), 5.0 + 1.0 + 9.0, 1e-14);
    // Of any two in the plane: tr (ΣΣ′)^½ = √(tr ΣΣ′ + 2√(det Σ det Σ′)).
    let (a, b) = (moments(&[0.0; 2], &[2.0, 1.0, 1.0, 3.0]), moments(&[0.0; 2], &[5.0, -2.0, -2.0, 1.0]));
    let (trace, determinants) = (2.0 * 5.0 - 2.0 * 2.0 + 3.0, 5.0f64 * 1.0);
    let exact = 5.0 + 6.0 - 2.0 * (trace + 2.0 * determinants.sqrt()).sqrt();
    assert_close(frechet::distance(&a, &b).unwrap(), exact, 1e-13);
}

/// Turning few features into many by an isometry changes no distance, but turns QR into Gram factors.
#[test]
fn the_way_through_few_samples_gives_the_same_distance() {
    let (x, y) = (normal(30, 5, 1), normal(25, 5, 2) * 1.5 + 0.1);
    let turn = Tensor::linalg_qr(&normal(100, 5, 3), "reduced").0.tr();
    let narrow = measure("frechet", &x, &reference(&y));
    assert_close(measure("frechet", &x.matmul(&turn), &reference(&y.matmul(&turn))), narrow, 1e-12);
    // Of a set to itself it is 0 up to rounding of its total variance, about 5.
    assert!(measure("frechet", &x, &reference(&x)) < 1e-12);
}

#[test]
fn one_dimensional_distances_agree_for_unequal_numbers() {
    let sorted = |name: &str| array(name).sort(0, false).0;
    let squared = sliced_wasserstein::squared_wasserstein(&sorted("generated"), &sorted("real")).unwrap();
    assert_close(squared, expected("wasserstein_squared"), 1e-12);
}

#[test]
fn a_shift_has_its_known_sliced_distance() {
    let x = normal(40, 3, 4);
    let shifted = &x + Tensor::from_slice(&[3.0, 0.0, -4.0]);
    let distance = measure("sliced-wasserstein", &shifted, &reference(&x));
    // E (θ·s)² = ‖s‖²/3. (θ·s)² has a relative deviation of √(4/5), so four standard errors of 512 are 16 %.
    assert_close(distance * distance, 25.0 / 3.0, 0.16);
    assert!(measure("sliced-wasserstein", &x, &reference(&x)) < 1e-12);
}

#[test]
fn neighbours_of_a_line_can_be_counted() {
    let line = Tensor::arange(8, (Kind::Double, Device::Cpu)).unsqueeze(1);
    // Balls of 3: the third neighbour of 0 is 3 away, of 1 and of the inner ones 2. Beyond 7 + 3 lies none.
    let generated = Tensor::from_slice(&[-2.5, 3.2, 9.5, 20.0]).unsqueeze(1);
    assert_eq!(measure("precision", &generated, &reference(&line)), 0.75);
    assert_eq!(measure("precision", &line, &reference(&line)), 1.0);
    assert_eq!(measure("recall", &line, &reference(&line)), 1.0);
    assert_eq!(measure("coverage", &(&line + 100.0), &reference(&line)), 0.0);
    assert_eq!(measure("density", &(&line + 100.0), &reference(&line)), 0.0);
}

/// Real ones are thinned to the number of generated ones: the first of every pair, here.
#[test]
fn metrics_of_neighbours_take_no_more_real_samples_than_generated() {
    let pairs = Tensor::from_slice(&[0.0, 50.0, 1.0, 51.0, 2.0, 52.0, 3.0, 53.0, 4.0, 54.0, 5.0, 55.0]).unsqueeze(1);
    let generated = Tensor::from_slice(&[0.0, 1.0, 2.0, 51.0, 52.0, 53.0]).unsqueeze(1);
    let metric = |samples| (find("precision").unwrap().build)(&reference(&pairs), &setting(samples)).unwrap();
    assert_eq!(metric(12).measure(&generated).unwrap(), 1.0);
    assert_eq!(metric(6).measure(&generated).unwrap(), 0.5);
}

fn mixture() -> MixtureParameters {
    let read = |name: &str| tensor_file::read(fixture("features.safetensors")).unwrap().get(name).unwrap().to_f64();
    MixtureParameters {
        weights: read("weights").unwrap().into_dimensionality::<Ix1>().unwrap(),
        means: read("means").unwrap().into_dimensionality::<Ix2>().unwrap(),
        spread: Spread::Full(read("covariances").unwrap().into_dimensionality::<Ix3>().unwrap()),
    }
}

#[test]
fn the_discrepancy_to_a_mixture_agrees_with_scipy() {
    let reference = Reference { density: Some(mixture()), ..Reference::default() };
    assert_close(measure("mixture-mmd", &array("points"), &reference), expected("mixture_mmd"), 1e-10);
}

/// Diagonal and full covariances are two ways through the same integrals.
#[test]
fn diagonal_and_full_mixtures_give_the_same() {
    let diagonal = eight_gaussians();
    let full = ndarray::Array3::from_shape_fn((8, 2, 2), |(_, i, j)| if i == j { 0.01 } else { 0.0 });
    let full = MixtureParameters { spread: Spread::Full(full), ..diagonal.clone() };
    let of = |density: MixtureParameters| {
        let moments = Moments::of_mixture(&density).unwrap();
        let reference = Reference { density: Some(density), moments: Some(moments), ..Reference::default() };
        let x = normal(200, 2, 6);
        [measure("mixture-mmd", &x, &reference), measure("frechet", &x, &reference)]
    };
    let (one, other) = (of(diagonal), of(full));
    one.iter().zip(other).for_each(|(a, b)| assert_close(*a, b, 1e-12));
}

/// Draws of the density itself: an unbiased estimate of 0, and samples of another density are far from it.
#[test]
fn exact_draws_have_no_discrepancy_on_average() {
    let gaussian = Gaussian::diagonal(&[0.3, -0.1], &[0.04, 0.5], Device::Cpu).samples();
    let density = MixtureParameters {
        weights: Array1::ones(1),
        means: Array2::from_shape_vec((1, 2), vec![0.3, -0.1]).unwrap(),
        spread: Spread::Diagonal(Array2::from_shape_vec((1, 2), vec![0.2, 0.5f64.sqrt()]).unwrap()),
    };
    let metric = mixture_mmd::MEMBER.build;
    let metric = metric(&Reference { density: Some(density), ..Reference::default() }, &setting(100)).unwrap();
    let values: Vec<f64> = (0..40)
        .map(|repetition| {
            let mut points = vec![0.0f32; 200];
            for (i, point) in points.chunks_exact_mut(2).enumerate() {
                gaussian.draw(&mut stream(repetition, Purpose::CleanSample, 0.0, i as u64), point).unwrap();
            }
            metric.measure(&Tensor::from_slice(&points).to_kind(Kind::Double).reshape([100, 2])).unwrap()
        })
        .collect();
    let found = crate::stats::statistics(&values);
    let (mean, error) = (found.mean.unwrap(), found.std_error.unwrap());
    // Four standard errors; single values scatter about 0.
    assert!(mean.abs() < 4.0 * error && error < 1e-3, "{mean} ± {error}");
    assert!(values.iter().any(|value| *value < 0.0));
    assert!(metric.measure(&normal(100, 2, 9)).unwrap() > 0.05);
}

#[test]
fn moments_of_a_mixture_are_exact() {
    let moments = Moments::of_mixture(&eight_gaussians()).unwrap();
    // Eight points on the unit circle have the covariance I/2.
    let covariance = moments.factor.tr().matmul(&moments.factor);
    let exact = Tensor::eye(2, (Kind::Double, Device::Cpu)) * 0.51;
    let rounding = |size| Tolerance::absolute(size, "rounding of float64");
    testing::assert_close("covariance", &covariance, &exact, rounding(1e-14));
    testing::assert_close("mean", &moments.mean, &moments.mean.zeros_like(), rounding(1e-15));
}

#[test]
fn what_a_reference_lacks_is_said() {
    let statistics = || Reference { moments: Some(moments(&[0.0], &[1.0])), ..Reference::default() };
    let refused = |name: &str, reference: &Reference| match (find(name).unwrap().build)(reference, &setting(10)) {
        Ok(_) => panic!("{name} was built"),
        Err(error) => error.to_string(),
    };
    for name in ["kernel", "sliced-wasserstein", "precision", "recall", "density", "coverage"] {
        assert!(refused(name, &statistics()).contains("with statistics alone"));
    }
    assert!(refused("mixture-mmd", &statistics()).contains("density in closed form"));
    assert!(refused("coverage", &reference(&normal(5, 2, 0))).contains("at least 6 samples"));
    assert!(find("fid").is_err_and(|error| error.to_string().contains("frechet, kernel")));
}

#[test]
fn feature_networks_give_what_they_give_in_python() {
    let images = array("images");
    for (file, name, input, asks) in
        [("detector.pt", "of_detector", "uint8", true), ("floats.pt", "of_floats", "float", false)]
    {
        let network =
            TorchScriptFeatures::load(&fixture(file), &[1, 5, 5], Preprocessing::default(), Device::Cpu).unwrap();
        let about = network.describe();
        assert_eq!((about["input"].as_str(), about["return_features"].as_bool()), (Some(input), Some(asks)));
        let tolerance = Tolerance::absolute(1e-4, "float32 throughout; features of bytes are of the order of 200");
        testing::assert_close(file, &network.extract(&images).unwrap(), &array(name), tolerance);
    }
    let points = TorchScriptFeatures::load(&fixture("detector.pt"), &[2], Preprocessing::default(), Device::Cpu);
    assert!(points.is_err_and(|error| error.to_string().contains("gives no features of samples of shape [2]")));
    assert_eq!(Identity.extract(&images).unwrap().size(), [6, 25]);
}

#[test]
fn statistics_are_read_and_checked() {
    let read = read_statistics(&fixture("statistics.npz")).unwrap();
    assert_close(read.total_variance(), 1.02, 1e-15);
    let wrong = read_statistics(&fixture("features.safetensors")).unwrap_err().to_string();
    assert!(wrong.contains("no array named mu"), "{wrong}");
}

/// Arguments are checked, and help is written, without the metrics.
#[test]
fn the_arguments_name_every_metric() {
    let names: Vec<&str> = super::MEMBERS.iter().map(|member| member.name).chain(["all"]).collect();
    assert_eq!(names, lipscope_core::cli::args::METRICS);
}
