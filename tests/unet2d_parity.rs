//! The native UNet2DModel against diffusers' own, and its tangents against finite differences.
//!
//! The fixtures and how they were made: `tests/fixtures/unet2d/make.py`.

mod common;

use common::closeness::{Tolerance, assert_close, compare};
use lipscope::dual::Dual;
use lipscope::network::unet2d::{UNet2d, UNet2dConfig};
use lipscope::network::{Condition, Network};
use lipscope::nn::Weights;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

struct Fixture {
    name: String,
    folder: PathBuf,
    expected: BTreeMap<String, Tensor>,
}

impl Fixture {
    fn open(folder: &Path) -> Self {
        let expected = Tensor::read_safetensors(folder.join("expected.safetensors")).unwrap().into_iter().collect();
        let name = folder.file_name().unwrap().to_str().unwrap().to_string();
        Fixture { name, folder: folder.to_path_buf(), expected }
    }

    fn named(name: &str) -> Self {
        Self::open(&fixtures_folder().join(name))
    }

    fn all() -> Vec<Self> {
        let entries = std::fs::read_dir(fixtures_folder()).unwrap().map(|entry| entry.unwrap().path());
        let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
        folders.sort();
        assert_eq!(folders.len(), 19, "the number of fixtures: {folders:?}");
        folders.iter().map(|folder| Self::open(folder)).collect()
    }

    fn config(&self) -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(self.folder.join("config.json")).unwrap()).unwrap()
    }

    fn weights(&self) -> Weights {
        let path = self.folder.join("diffusion_pytorch_model.safetensors");
        Weights::new(Tensor::read_safetensors(&path).unwrap().into_iter().collect(), &path)
    }

    fn network(&self, kind: Kind) -> UNet2d {
        let config = UNet2dConfig::from_json(&self.config(), &self.folder.join("config.json")).unwrap();
        let mut network = UNet2d::new(&config, &self.weights()).unwrap();
        network.to(Device::Cpu, kind).unwrap();
        network
    }

    fn tensor(&self, name: &str, kind: Kind) -> Tensor {
        self.expected[name].to_kind(kind)
    }

    fn condition(&self) -> Condition {
        Condition { labels: self.expected.get("labels").map(Tensor::shallow_clone), ..Condition::default() }
    }

    fn epsilon(&self, network: &UNet2d, x: &Tensor, t: &Tensor) -> Tensor {
        let (x, t) = (Dual::constant(x.shallow_clone()), Dual::constant(t.shallow_clone()));
        let epsilon = network.forward(&x, &t, &self.condition()).unwrap();
        assert!(epsilon.tangent.is_none(), "{}: a tangent came out of nothing", self.name);
        assert_eq!(epsilon.value.kind(), x.value.kind(), "{}", self.name);
        epsilon.value
    }

    fn learned_time(&self) -> bool {
        self.config()["time_embedding_type"] == "learned"
    }
}

fn fixtures_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/unet2d")
}

/// df/dh at 0, by central differences of steps h, 2h, 4h extrapolated twice: error O(h⁶).
fn derivative(f: impl Fn(f64) -> Tensor, h: f64) -> Tensor {
    let central = |h: f64| (f(h) - f(-h)) / (2.0 * h);
    let (wide, middle, narrow) = (central(4.0 * h), central(2.0 * h), central(h));
    let (coarse, fine): (Tensor, Tensor) = ((4.0 * &middle - wide) / 3.0, (4.0 * narrow - &middle) / 3.0);
    (16.0 * fine - coarse) / 15.0
}

/// The Fourier features turn over a hundred times between t and 2t.
fn time_step(fixture: &Fixture) -> f64 {
    if fixture.name == "fourier" { 1e-5 } else { 5e-3 }
}

/// What is not close, of all fixtures at once.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    fn compare(&mut self, name: &str, found: &Tensor, expected: &Tensor, tolerance: Tolerance) {
        self.0.extend(compare(found, expected, tolerance).err().map(|why| format!("{name}: {why}")));
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{:#?}", self.0);
    }
}

/// ε of every fixture in a dtype against a column of what diffusers gave.
fn agrees_with_diffusers(kind: Kind, column: &str, tolerance: Tolerance) {
    let _guard = tch::no_grad_guard();
    let mut failures = Failures::default();
    for fixture in Fixture::all() {
        let (x, t) = (fixture.tensor("x", kind), fixture.tensor("t", kind));
        let epsilon = fixture.epsilon(&fixture.network(kind), &x, &t);
        failures.compare(&fixture.name, &epsilon, &fixture.expected[column], tolerance);
    }
    failures.none();
}

const DOUBLE: &str = "rounding of float64, and of ln t times some hundred radians in the Fourier fixture";
const DIFFERENCES: &str = "the error of the differences: O(h⁶) and float64 rounding over h";

#[test]
fn float32_agrees_with_diffusers() {
    // Both sum some hundred float32 products per output in an order of their own; a wrong term is at 1e-2.
    let tolerance = Tolerance::of_largest(1e-5, "rounding is 1e-6; ten times that for other processors");
    agrees_with_diffusers(Kind::Float, "epsilon", tolerance);
}

#[test]
fn float64_agrees_with_diffusers() {
    agrees_with_diffusers(Kind::Double, "epsilon_f64", Tolerance::of_largest(2e-12, DOUBLE));
}

#[test]
fn time_derivative_agrees_with_diffusers_and_with_finite_differences() {
    let _guard = tch::no_grad_guard();
    let (tolerance, mut failures) = (Tolerance::of_largest(1e-6, DIFFERENCES), Failures::default());
    for fixture in Fixture::all().iter().filter(|fixture| !fixture.learned_time()) {
        let network = fixture.network(Kind::Double);
        let (x, t) = (fixture.tensor("x", Kind::Double), fixture.tensor("t", Kind::Double));
        let seeded = Dual::new(t.shallow_clone(), t.ones_like());
        let epsilon = network.forward(&Dual::constant(x.shallow_clone()), &seeded, &fixture.condition()).unwrap();
        let exact = Tolerance::of_largest(2e-12, DOUBLE);
        failures.compare(&fixture.name, &epsilon.value, &fixture.expected["epsilon_f64"], exact);
        let tangent = epsilon.tangent.unwrap();
        let differences = derivative(|h| fixture.epsilon(&network, &x, &(&t + h)), time_step(fixture));
        // Each sample against its own scale: ∂ε/∂t at t = 0 can be many times that at t = 731.
        for sample in 0..2 {
            let name = format!("{} at t = {}", fixture.name, t.double_value(&[sample]));
            let tangent = tangent.get(sample);
            failures.compare(&name, &tangent, &fixture.expected["epsilon_dt"].get(sample), tolerance);
            failures.compare(&format!("{name}, ourselves"), &tangent, &differences.get(sample), tolerance);
        }
    }
    failures.none();
}

#[test]
fn tangent_of_x_is_a_jacobian_vector_product() {
    let _guard = tch::no_grad_guard();
    tch::manual_seed(0);
    let (tolerance, mut failures) = (Tolerance::of_largest(1e-6, DIFFERENCES), Failures::default());
    for name in ["ddpm_cifar10", "scale_shift_attention_norm", "learned_time", "fourier", "centered_gelu"] {
        let fixture = Fixture::named(name);
        let network = fixture.network(Kind::Double);
        let (x, t) = (fixture.tensor("x", Kind::Double), fixture.tensor("t", Kind::Double));
        let v = x.randn_like();
        let seeded = Dual::new(x.shallow_clone(), v.shallow_clone());
        let epsilon = network.forward(&seeded, &Dual::constant(t.shallow_clone()), &fixture.condition()).unwrap();
        let expected = derivative(|h| fixture.epsilon(&network, &(&x + h * &v), &t), 2e-3);
        failures.compare(name, &epsilon.tangent.unwrap(), &expected, tolerance);
    }
    failures.none();
}

#[test]
fn tangents_of_x_and_t_add_up() {
    let _guard = tch::no_grad_guard();
    let fixture = Fixture::named("fourier");
    let network = fixture.network(Kind::Double);
    let (x, t) = (fixture.tensor("x", Kind::Double), fixture.tensor("t", Kind::Double));
    let tangent = |x: &Dual, t: &Dual| network.forward(x, t, &Condition::default()).unwrap().tangent.unwrap();
    let (x_alone, t_alone) = (Dual::constant(x.shallow_clone()), Dual::constant(t.shallow_clone()));
    let (x_seeded, t_seeded) = (Dual::new(x.shallow_clone(), x.cos()), Dual::new(t.shallow_clone(), t.ones_like()));
    let sum = tangent(&x_seeded, &t_alone) + tangent(&x_alone, &t_seeded);
    let tolerance = Tolerance::of_largest(1e-11, "a derivative is linear in its direction, up to rounding");
    assert_close("sum", &tangent(&x_seeded, &t_seeded), &sum, tolerance);
}

#[test]
fn legacy_names_stay_in_the_parameters() {
    let fixture = Fixture::named("ddpm_cifar10_legacy_names");
    let names: Vec<String> = fixture.network(Kind::Float).parameters().into_iter().map(|(name, _)| name).collect();
    assert!(names.iter().any(|name| name == "mid_block.attentions.0.proj_attn.weight"));
    assert_eq!(names.len(), fixture.weights().named().len());
}

#[test]
fn gradients_reach_every_parameter_through_value_and_tangent() {
    let fixture = Fixture::named("several_heads");
    let network = fixture.network(Kind::Double);
    let parameters: Vec<(String, Tensor)> =
        network.parameters().into_iter().map(|(name, tensor)| (name, tensor.set_requires_grad(true))).collect();
    let (x, t) = (fixture.tensor("x", Kind::Double), fixture.tensor("t", Kind::Double));
    let seeded = Dual::new(t.shallow_clone(), t.ones_like());
    let epsilon = network.forward(&Dual::constant(x), &seeded, &Condition::default()).unwrap();
    epsilon.tangent.unwrap().square().sum(Kind::Double).backward();
    // ∂ε/∂t does not depend on the last bias, nor, at first order, on others behind the last use of t: all but that one.
    let without: Vec<&String> =
        parameters.iter().filter(|(_, tensor)| !tensor.grad().defined()).map(|(name, _)| name).collect();
    assert_eq!(without, ["conv_out.bias"]);
}

#[test]
fn half_precision_networks_embed_time_in_float32() {
    let _guard = tch::no_grad_guard();
    let fixture = Fixture::named("fourier");
    let (x, t) = (fixture.tensor("x", Kind::BFloat16), fixture.tensor("t", Kind::Float));
    let epsilon = fixture.epsilon(&fixture.network(Kind::BFloat16), &x, &t);
    // A wrong phase would give order 1.
    let tolerance = Tolerance::of_largest(0.1, "bfloat16 has 8 bits: 2⁻⁸ per operation, growing over the layers");
    assert_close("fourier", &epsilon, &fixture.expected["epsilon_f64"], tolerance);
}
