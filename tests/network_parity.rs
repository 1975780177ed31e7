//! Native networks against the implementations that their checkpoints come from, and their tangents against finite
//! differences.
//!
//! Below `tests/fixtures/networks/` lies a folder per architecture, with the script that made it and a folder per case:
//!
//! - `weights.safetensors`: a small state dict, as its trainer saves it;
//! - `config.json`: the configuration, where one always comes along; or `told.json`: what a user has to say because no
//!   shape tells it (a JSON object, as `--config` takes it; may be left out);
//! - `expected.safetensors`: x [2, …], of symbols as integers, t [2], where there are some labels [2], context [2, L, D], pooled embeddings [2, P]
//!   and numbers [2, N], and the original's epsilon in float32, epsilon_f64 in float64, and epsilon_dt, d epsilon_f64 / dt, unless t is an integer there.

mod common;

use common::closeness::{Tolerance, assert_close, compare};
use lipscope::dual::Dual;
use lipscope::network::recognise::{Shapes, Told};
use lipscope::network::{self, Condition, Entrance, Network};
use lipscope::nn::{Sites, Weights};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

struct Fixture {
    name: String,
    folder: PathBuf,
    expected: BTreeMap<String, Tensor>,
}

/// How many cases each family has, so that none can go missing unnoticed.
const FAMILIES: [(&str, usize); 12] = [
    ("consistency_models", 2),
    ("denoising_diffusion_pytorch", 4),
    ("dit", 6),
    ("edm", 6),
    ("edm2", 3),
    ("mmdit", 6),
    ("openai_unet", 7),
    ("score_sde", 4),
    ("sedd", 2),
    ("sit", 3),
    ("unet1d", 3),
    ("unet2d_condition", 9),
];

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

impl Fixture {
    fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks");
        let families: Vec<(String, Vec<PathBuf>)> = (folders(&root).iter())
            .map(|family| (family.file_name().unwrap().to_string_lossy().into_owned(), folders(family)))
            .collect();
        let counts: Vec<(&str, usize)> = families.iter().map(|(name, cases)| (name.as_str(), cases.len())).collect();
        assert_eq!(counts, FAMILIES, "the number of fixtures by family");
        families.into_iter().flat_map(|(_, cases)| cases).map(Self::open).collect()
    }

    fn open(folder: PathBuf) -> Self {
        let expected = Tensor::read_safetensors(folder.join("expected.safetensors")).unwrap().into_iter().collect();
        let name = folder.iter().rev().take(2).map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join(" of ");
        Fixture { name, folder, expected }
    }

    fn json(&self, name: &str) -> Option<serde_json::Value> {
        let text = std::fs::read_to_string(self.folder.join(name)).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }

    fn network(&self, kind: Kind) -> Box<dyn Network> {
        let path = self.folder.join("weights.safetensors");
        let tensors: BTreeMap<String, Tensor> = Tensor::read_safetensors(&path).unwrap().into_iter().collect();
        let config = self.json("config.json").unwrap_or_else(|| {
            let shapes: Shapes = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.size())).collect();
            let told = self.json("told.json").and_then(|told| told.as_object().cloned()).unwrap_or_default();
            let (_, state_dict) = network::recognise(&shapes).unwrap_or_else(|| panic!("{} is not known", self.name));
            (state_dict.config)(&shapes, &Told::new(told)).unwrap_or_else(|e| panic!("{}: {e}", self.name))
        });
        let weights = Weights::new(tensors, &path);
        let mut network = network::build(&config, &weights, &path).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        weights.finish().unwrap();
        network.to(Device::Cpu, kind).unwrap();
        network
    }

    fn tensor(&self, name: &str, kind: Kind) -> Tensor {
        self.expected[name].to_kind(kind)
    }

    fn condition(&self, kind: Kind) -> Condition {
        Condition {
            labels: self.expected.get("labels").map(Tensor::shallow_clone),
            context: self.expected.get("context").map(|context| context.to_kind(kind)),
            pooled: self.expected.get("pooled").map(|pooled| pooled.to_kind(kind)),
            numbers: self.expected.get("numbers").map(|numbers| numbers.to_kind(time_kind(kind))),
            ..Condition::default()
        }
    }

    fn epsilon(&self, network: &dyn Network, x: &Tensor, t: &Tensor) -> Tensor {
        let (x, t) = (Dual::constant(x.shallow_clone()), Dual::constant(t.shallow_clone()));
        let condition = self.condition(x.value.kind());
        let epsilon = network.forward(&x, &t, &condition).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        assert!(epsilon.tangent.is_none(), "{}: a tangent came out of nothing", self.name);
        assert_eq!(epsilon.value.kind(), x.value.kind(), "{}", self.name);
        epsilon.value
    }
}

/// The dtype of t and other numbers: never half.
fn time_kind(kind: Kind) -> Kind {
    if kind == Kind::Double { Kind::Double } else { Kind::Float }
}

/// df/dh at 0, by central differences of steps h, 2h, 4h extrapolated twice: error O(h⁶).
fn derivative(f: impl Fn(f64) -> Tensor, h: f64) -> Tensor {
    let central = |h: f64| (f(h) - f(-h)) / (2.0 * h);
    let (wide, middle, narrow) = (central(4.0 * h), central(2.0 * h), central(h));
    let (coarse, fine): (Tensor, Tensor) = ((4.0 * &middle - wide) / 3.0, (4.0 * narrow - &middle) / 3.0);
    (16.0 * fine - coarse) / 15.0
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

#[test]
fn values_agree_with_the_originals() {
    common::exponentials_of_the_fixtures();
    let _guard = tch::no_grad_guard();
    // Both sum some hundred products per output in an order of their own: 1e-6 is rounding in float32, and a wrong term is
    // at 1e-2.
    let single = Tolerance::of_largest(1e-5, "rounding of float32 is 1e-6; ten times that for other processors");
    let double =
        Tolerance::of_largest(1e-12, "rounding of float64: all agree to 2e-13; five times that for other processors");
    let mut failures = Failures::default();
    for (kind, column, tolerance) in [(Kind::Float, "epsilon", single), (Kind::Double, "epsilon_f64", double)] {
        for fixture in Fixture::all() {
            let (x, t) = (fixture.tensor("x", kind), fixture.tensor("t", kind));
            let epsilon = fixture.epsilon(&*fixture.network(kind), &x, &t);
            failures.compare(&fixture.name, &epsilon, &fixture.expected[column], tolerance);
        }
    }
    failures.none();
}

#[test]
fn time_derivatives_agree_with_the_originals() {
    common::exponentials_of_the_fixtures();
    let _guard = tch::no_grad_guard();
    let tolerance = Tolerance::of_largest(1e-6, "of the script's differences: O(h⁶) and float64 rounding over h");
    let mut failures = Failures::default();
    let fixtures: Vec<Fixture> = Fixture::all();
    let continuous = || fixtures.iter().filter(|fixture| fixture.expected.contains_key("epsilon_dt"));
    assert_eq!(continuous().count(), 55, "fixtures with a derivative");
    for fixture in continuous() {
        let network = fixture.network(Kind::Double);
        let (x, t) = (fixture.tensor("x", Kind::Double), fixture.tensor("t", Kind::Double));
        let seeded = Dual::new(t.shallow_clone(), t.ones_like());
        let condition = fixture.condition(Kind::Double);
        let epsilon = network.forward(&Dual::constant(x), &seeded, &condition).unwrap();
        let tangent = epsilon.tangent.unwrap();
        // Each sample against its own scale: ∂ε/∂t at t = 0 can be many times that at t = 731.
        for sample in 0..2 {
            let name = format!("{} at t = {}", fixture.name, t.double_value(&[sample]));
            let theirs = fixture.expected["epsilon_dt"].get(sample);
            failures.compare(&name, &tangent.get(sample), &theirs, tolerance);
        }
    }
    failures.none();
}

/// The tangent by itself, and the sum of those that enter at each site, or through each frequency.
fn sums(fixture: &Fixture, kind: Kind) -> (Tensor, [(usize, Tensor); 2]) {
    let network = fixture.network(kind);
    let inside = network.inside().unwrap();
    let (x, t) = (fixture.tensor("x", kind), fixture.tensor("t", time_kind(kind)));
    let (x, t) = (Dual::constant(x), Dual::new(t.shallow_clone(), t.ones_like()));
    let condition = fixture.condition(kind);
    let by = |entrance: &Entrance| inside.forward_by(&x, &t, &condition, entrance).unwrap();
    let noted = Entrance::At(Sites::noted());
    let whole = network.forward(&x, &t, &condition).unwrap();
    assert!(by(&noted).value.equal(&whole.value), "{}: the value changes where sites are chosen", fixture.name);
    let Entrance::At(sites) = noted else { unreachable!() };
    let sites = sites.into_names().into_iter().map(|name| Entrance::At(Sites::Only(name)));
    let frequencies = inside.frequencies().unwrap().into_iter().map(|group| Entrance::Through(group.columns));
    let sum = |entrances: Vec<Entrance>| {
        let tangents: Vec<Tensor> = entrances.iter().filter_map(|entrance| by(entrance).tangent).collect();
        (entrances.len(), Tensor::stack(&tangents, 0).sum_dim_intlist(0, false, kind))
    };
    let both = [sum(sites.collect()), sum(frequencies.chain([Entrance::PastFeatures]).collect())];
    (whole.tangent.unwrap(), both)
}

#[test]
fn tangents_of_sites_and_of_frequencies_add_up() {
    common::exponentials_of_the_fixtures();
    let _guard = tch::no_grad_guard();
    let mut failures = Failures::default();
    let fixtures: Vec<Fixture> = Fixture::all();
    let continuous = || fixtures.iter().filter(|fixture| fixture.expected.contains_key("epsilon_dt"));
    // Rounding in sums of parts that may be larger than the total. In float32 it is the same for a family's cases.
    for (kind, every, allowed) in [(Kind::Double, 1, 1e-12), (Kind::Float, 4, 3e-6)] {
        for fixture in continuous().step_by(every) {
            let (whole, both) = sums(fixture, kind);
            for (what, (count, sum)) in ["sites", "frequencies"].into_iter().zip(both) {
                assert!(count > 1, "{}: {count} {what}", fixture.name);
                let norm = |tensor: Tensor| tensor.to_kind(Kind::Double).norm().double_value(&[]);
                let error = norm(sum - &whole) / norm(whole.shallow_clone());
                let close = (0.0..=allowed).contains(&error);
                let wrong = (!close).then(|| format!("{what} of {}: {error:.1e} in {kind:?}", fixture.name));
                failures.0.extend(wrong);
            }
        }
    }
    failures.none();
}

#[test]
fn tangents_of_x_are_jacobian_vector_products() {
    common::exponentials_of_the_fixtures();
    let _guard = tch::no_grad_guard();
    let tolerance = Tolerance::of_largest(1e-6, "of the differences: O(h⁶) and float64 rounding over h");
    let mut failures = Failures::default();
    for fixture in Fixture::all() {
        let network = fixture.network(Kind::Double);
        if network.symbols().is_some() {
            continue;
        }
        let (x, t) = (fixture.tensor("x", Kind::Double), fixture.tensor("t", Kind::Double));
        // The same direction however many fixtures come before.
        tch::manual_seed(0);
        let v = x.randn_like();
        let seeded = Dual::new(x.shallow_clone(), v.shallow_clone());
        let condition = fixture.condition(Kind::Double);
        let epsilon = network.forward(&seeded, &Dual::constant(t.shallow_clone()), &condition).unwrap();
        let expected = derivative(|h| fixture.epsilon(&*network, &(&x + h * &v), &t), 2e-3);
        failures.compare(&fixture.name, &epsilon.tangent.unwrap(), &expected, tolerance);
    }
    failures.none();
}

#[test]
fn networks_are_built_again_from_what_they_say_of_themselves() {
    common::exponentials_of_the_fixtures();
    for fixture in Fixture::all() {
        let network = fixture.network(Kind::Float);
        let weights = Weights::new(network.parameters().into_iter().collect(), &fixture.folder);
        let again = network::build(&network.config().unwrap(), &weights, &fixture.folder).unwrap();
        weights.finish().unwrap();
        let (x, t) = (fixture.tensor("x", Kind::Float), fixture.tensor("t", Kind::Float));
        let [first, second] = [&network, &again].map(|network| fixture.epsilon(&**network, &x, &t));
        assert_close(&fixture.name, &first, &second, Tolerance::absolute(0.0, "the same weights and kernels"));
    }
}

#[test]
fn half_precision_networks_embed_time_in_float32() {
    common::exponentials_of_the_fixtures();
    let _guard = tch::no_grad_guard();
    for fixture in Fixture::all() {
        let (x, t) = (fixture.tensor("x", Kind::BFloat16), fixture.tensor("t", Kind::Float));
        let epsilon = fixture.epsilon(&*fixture.network(Kind::BFloat16), &x, &t);
        // A wrong phase would give order 1.
        let tolerance = Tolerance::of_largest(0.15, "bfloat16 has 8 bits: 2⁻⁸ per operation, growing over the layers");
        assert_close(&fixture.name, &epsilon, &fixture.expected["epsilon_f64"], tolerance);
    }
}
