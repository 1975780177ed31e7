//! The native UNet2DModel against diffusers' own, and its tangents against finite differences.
//!
//! The fixtures and how they were made: `tests/fixtures/unet2d/make.py`.

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
        let mut folders: Vec<PathBuf> = entries.filter(|path| path.join("expected.safetensors").exists()).collect();
        folders.sort();
        assert!(folders.len() >= 19, "fixtures are missing: {folders:?}");
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
        Condition { labels: self.expected.get("labels").map(Tensor::shallow_clone), context: None }
    }

    fn epsilon(&self, network: &UNet2d, x: &Tensor, t: &Tensor) -> Tensor {
        let (x, t) = (Dual::constant(x.shallow_clone()), Dual::constant(t.shallow_clone()));
        let epsilon = network.forward(&x, &t, &self.condition()).unwrap();
        assert!(epsilon.tangent.is_none(), "{}: a tangent came out of nothing", self.name);
        epsilon.value
    }

    fn learned_time(&self) -> bool {
        self.config()["time_embedding_type"] == "learned"
    }
}

fn fixtures_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/unet2d")
}

/// max |a − b| / max |b|; NaN and infinity count as infinitely far.
fn relative_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!((a.size(), a.kind()), (b.size(), b.kind()));
    let difference = (a - b).abs().max().double_value(&[]) / b.abs().max().double_value(&[]);
    if difference.is_finite() { difference } else { f64::INFINITY }
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

/// Checks |Δ| ≤ tolerance for all fixtures at once, so that a failure shows all numbers.
fn assert_all(differences: &[(String, f64)], tolerance: f64) {
    assert!(differences.iter().all(|(_, difference)| *difference <= tolerance), "{differences:#?}");
}

#[test]
fn float32_agrees_with_diffusers() {
    let _guard = tch::no_grad_guard();
    // Both sum some hundred float32 products per output in an order of their own: 1e-6 is rounding, 1e-5 leaves room
    // for other processors, and a wrong term is at 1e-2.
    let difference = |fixture: &Fixture| {
        let (x, t) = (fixture.tensor("x", Kind::Float), fixture.tensor("t", Kind::Float));
        let epsilon = fixture.epsilon(&fixture.network(Kind::Float), &x, &t);
        relative_difference(&epsilon, &fixture.expected["epsilon"])
    };
    let differences: Vec<_> = Fixture::all().iter().map(|f| (f.name.clone(), difference(f))).collect();
    assert_all(&differences, 1e-5);
}

#[test]
fn float64_agrees_with_diffusers() {
    let _guard = tch::no_grad_guard();
    // Rounding of float64, and of log t times some hundred radians in the Fourier fixture.
    let difference = |fixture: &Fixture| {
        let (x, t) = (fixture.tensor("x", Kind::Double), fixture.tensor("t", Kind::Double));
        let epsilon = fixture.epsilon(&fixture.network(Kind::Double), &x, &t);
        relative_difference(&epsilon, &fixture.expected["epsilon_f64"])
    };
    let differences: Vec<_> = Fixture::all().iter().map(|f| (f.name.clone(), difference(f))).collect();
    assert_all(&differences, 2e-12);
}

#[test]
fn time_derivative_agrees_with_diffusers_and_with_finite_differences() {
    let _guard = tch::no_grad_guard();
    let mut against_diffusers = vec![];
    let mut against_ourselves = vec![];
    for fixture in Fixture::all().iter().filter(|fixture| !fixture.learned_time()) {
        let network = fixture.network(Kind::Double);
        let (x, t) = (fixture.tensor("x", Kind::Double), fixture.tensor("t", Kind::Double));
        let seeded = Dual::new(t.shallow_clone(), t.ones_like());
        let epsilon = network.forward(&Dual::constant(x.shallow_clone()), &seeded, &fixture.condition()).unwrap();
        assert!(relative_difference(&epsilon.value, &fixture.expected["epsilon_f64"]) < 2e-12);
        let tangent = epsilon.tangent.unwrap();
        let differences = derivative(|h| fixture.epsilon(&network, &x, &(&t + h)), time_step(fixture));
        // Each sample against its own scale: ∂ε/∂t at t = 0 can be many times that at t = 731.
        for sample in 0..2 {
            let name = format!("{} at t = {}", fixture.name, t.double_value(&[sample]));
            let tangent = tangent.get(sample);
            let theirs = fixture.expected["epsilon_dt"].get(sample);
            against_diffusers.push((name.clone(), relative_difference(&tangent, &theirs)));
            against_ourselves.push((name, relative_difference(&tangent, &differences.get(sample))));
        }
    }
    // The error of the differences, not of the tangent: O(h⁶) and float64 rounding over h.
    assert_all(&against_diffusers, 1e-6);
    assert_all(&against_ourselves, 1e-6);
}

#[test]
fn tangent_of_x_is_a_jacobian_vector_product() {
    let _guard = tch::no_grad_guard();
    tch::manual_seed(0);
    let mut differences = vec![];
    for name in ["ddpm_cifar10", "scale_shift_attention_norm", "learned_time", "fourier", "centered_gelu"] {
        let fixture = Fixture::named(name);
        let network = fixture.network(Kind::Double);
        let (x, t) = (fixture.tensor("x", Kind::Double), fixture.tensor("t", Kind::Double));
        let v = x.randn_like();
        let seeded = Dual::new(x.shallow_clone(), v.shallow_clone());
        let epsilon = network.forward(&seeded, &Dual::constant(t.shallow_clone()), &fixture.condition()).unwrap();
        let expected = derivative(|h| fixture.epsilon(&network, &(&x + h * &v), &t), 2e-3);
        differences.push((fixture.name.clone(), relative_difference(&epsilon.tangent.unwrap(), &expected)));
    }
    assert_all(&differences, 1e-6);
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
    // A derivative is linear in its direction, up to rounding.
    assert!(relative_difference(&tangent(&x_seeded, &t_seeded), &sum) < 1e-11);
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
    assert_eq!(epsilon.kind(), Kind::BFloat16);
    // bfloat16 has 8 bits: 2⁻⁸ per operation, growing over the layers. A wrong phase would give order 1.
    let reference = fixture.tensor("epsilon_f64", Kind::Float);
    assert!(relative_difference(&epsilon.to_kind(Kind::Float), &reference) < 0.1);
}
