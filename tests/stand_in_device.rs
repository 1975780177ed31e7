//! Code for GPUs on a machine without one: networks, estimators, samplers, training and metrics on the stand-in device of
//! `lipscope::libtorch::stand_in`. A tensor that was left on the CPU fails these tests, and so does a loop that reads
//! numbers back more often, or uploads them more often, than is written here. Results must be those of the CPU.

#![cfg(not(target_os = "macos"))]

mod common;

use common::closeness::{Tolerance, assert_close};
use lipscope::checkpoint::{self, Request};
use lipscope::denoiser::{AskedNetwork, NetworkDenoiser};
use lipscope::draws::{CleanSamples, Draws};
use lipscope::dual::Dual;
use lipscope::error::Result;
use lipscope::estimator::{Norm, Quantity, estimator};
use lipscope::ideal::{Gaussian, IdealDenoiser, Mixture};
use lipscope::libtorch::stand_in::{self, Waits};
use lipscope::measure::{AtTimestep, Observer, SampleRule, Settings, Subject, Sweep};
use lipscope::network::recognise::{Shapes, Told};
use lipscope::network::{self, Condition, Network};
use lipscope::nn::Weights;
use lipscope::prediction::Prediction;
use lipscope::quality;
use lipscope::response::Denoiser;
use lipscope::sampler::{self, Sampling, Which, draw, spacing};
use lipscope::time::Conditioning;
use lipscope::timestep_map::Identity;
use lipscope::train::ranks::{self, Collective, World};
use lipscope::train::{Batches, Data, Plan, RateSchedule, Trainer, Weighting, variant};
use lipscope::{random, schedule};
use lipscope_core::cli::args::Precision;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tch::{Device, Kind, Tensor};

/// The device, and the right to count alone: counts are the whole process's.
fn device() -> (Device, MutexGuard<'static, ()>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    (stand_in::device().unwrap(), alone)
}

/// What `work` gives, and what the host waited for meanwhile.
fn counted<T>(work: impl FnOnce() -> T) -> (T, Waits) {
    stand_in::waits();
    let done = work();
    (done, stand_in::waits())
}

fn rounding() -> Tolerance {
    Tolerance::of_largest(2e-5, "float32; attention is cut into other parts on the CPU")
}

#[test]
fn the_device_refuses_and_counts() {
    let (device, _alone) = device();
    let (x, waits) = counted(|| Tensor::ones([2, 3], (Kind::Float, device)));
    assert_eq!((x.device(), waits), (device, Waits::default()));
    for mixed in [
        x.f_add(&Tensor::ones([2, 3], (Kind::Float, Device::Cpu))),
        x.f_matmul(&Tensor::ones([3, 2], (Kind::Float, Device::Cpu))),
    ] {
        assert!(mixed.is_err(), "tensors of two devices were taken");
    }
    let count = |work: &dyn Fn()| counted(work).1;
    assert_eq!(count(&|| drop(&x * 2.0 + 1.0)), Waits::default());
    assert_eq!(count(&|| assert_eq!(x.sum(Kind::Float).double_value(&[]), 6.0)), Waits { reads: 1, uploads: 0 });
    assert_eq!(count(&|| drop(x.to_device(Device::Cpu))), Waits { reads: 1, uploads: 0 });
    assert_eq!(count(&|| drop(x.gt(0).nonzero())), Waits { reads: 1, uploads: 0 });
    assert_eq!(count(&|| drop(Tensor::from_slice(&[1f32, 2.0]).to_device(device))), Waits { reads: 0, uploads: 1 });
}

fn root(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(below)
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn tensors(path: &Path) -> BTreeMap<String, Tensor> {
    Tensor::read_safetensors(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).into_iter().collect()
}

/// The network of a fixture, in float32 on the CPU.
fn network(folder: &Path) -> Box<dyn Network> {
    let json = |name: &str| -> Option<serde_json::Value> {
        Some(serde_json::from_str(&std::fs::read_to_string(folder.join(name)).ok()?).unwrap())
    };
    let files = ["weights.safetensors", "diffusion_pytorch_model.safetensors"].map(|name| folder.join(name));
    let path = files.iter().find(|path| path.exists()).unwrap();
    let tensors = tensors(path);
    let config = json("config.json").unwrap_or_else(|| {
        let shapes: Shapes = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.size())).collect();
        let told = json("told.json").and_then(|told| told.as_object().cloned()).unwrap_or_default();
        let (_, state_dict) = network::recognise(&shapes).unwrap();
        (state_dict.config)(&shapes, &Told::new(told)).unwrap()
    });
    let mut network = network::build(&config, &Weights::new(tensors, path), path).unwrap();
    network.to(Device::Cpu, Kind::Float).unwrap();
    network
}

/// One forward pass, with a tangent of ones on t where there is a derivative.
fn forward(network: &dyn Network, given: &BTreeMap<String, Tensor>, device: Device) -> Dual {
    let get = |name: &str| given.get(name).map(|tensor| tensor.to_device(device));
    let float = |name: &str| get(name).map(|tensor| tensor.to_kind(Kind::Float));
    let condition = Condition {
        labels: get("labels").or_else(|| get("class_labels")),
        context: float("context"),
        pooled: float("pooled"),
        numbers: float("numbers"),
        ..Condition::default()
    };
    let t = float("t").unwrap();
    let tangent = given.contains_key("epsilon_dt").then(|| t.ones_like());
    let (x, t) = (Dual::constant(float("x").unwrap()), Dual { value: t, tangent });
    stand_in::waits();
    network.forward(&x, &t, &condition).unwrap()
}

#[test]
fn a_forward_pass_of_every_network_reads_and_uploads_nothing() {
    let (device, _alone) = device();
    let _no_grad = tch::no_grad_guard();
    let mut all: Vec<PathBuf> = folders(&root("networks")).iter().flat_map(|family| folders(family)).collect();
    all.extend(folders(&root("unet2d")));
    assert!(all.len() > 65, "{} fixtures", all.len());
    let mut classes = std::collections::BTreeSet::new();
    for folder in all {
        let name = folder.display();
        let given = tensors(&folder.join("expected.safetensors"));
        let mut network = network(&folder);
        classes.insert(network.architecture());
        let expected = forward(&*network, &given, Device::Cpu);
        network.to(device, Kind::Float).unwrap();
        let found = forward(&*network, &given, device);
        assert_eq!(stand_in::waits(), Waits::default(), "{name}");
        assert_eq!(found.value.device(), device, "{name}");
        assert_close(&name, &found.value.to_device(Device::Cpu), &expected.value, rounding());
        assert_eq!(found.tangent.is_some(), expected.tangent.is_some(), "{name}");
        if let (Some(found), Some(expected)) = (found.tangent, expected.tangent) {
            assert_close(&name, &found.to_device(Device::Cpu), &expected, rounding());
        }
    }
    // All of the family but `train`'s own MLP, which the test of training has; some classes share a name.
    assert_eq!(classes.len(), 15, "{classes:?}");
}

struct Normal;

impl CleanSamples for Normal {
    fn draw(&self, rng: &mut rand_chacha::ChaCha8Rng, out: &mut [f32]) -> Result<Option<usize>> {
        random::fill_normal(rng, out);
        Ok(None)
    }
}

#[derive(Default)]
struct Collected(Vec<AtTimestep>);

impl Observer for Collected {
    fn batch(&mut self, _t: f64, _samples: u64, _round: u64) -> bool {
        true
    }

    fn smaller_batch(&mut self, _batch: u64) {}

    fn finished(&mut self, point: AtTimestep) -> Result<bool> {
        self.0.push(point);
        Ok(true)
    }
}

const SHAPE: [i64; 3] = [3, 32, 32];

/// A UNet that predicts v, so that its output is converted with factors of each row.
fn denoiser(device: Device, kind: Kind) -> NetworkDenoiser {
    let mut network = checkpoint::open(&root("unet2d/ddpm_cifar10"), &Request::on(device)).unwrap().network;
    network.to(device, kind).unwrap();
    NetworkDenoiser {
        asked: AskedNetwork {
            network,
            map: Arc::new(Identity),
            conditioning: Conditioning::default(),
            given: Default::default(),
            sample_shape: SHAPE.to_vec(),
            device,
            kind,
        },
        process: schedule::parse("linear").unwrap().into(),
        prediction: Prediction::V,
        guidance: None,
    }
}

/// Norms of a batch of two samples at each of three timesteps.
fn measured(quantity: Quantity, device: Device, kind: Kind) -> Tensor {
    let estimators = vec![estimator(quantity, 1.0, lipscope::time::Axis::Step, Norm::L2)];
    let subjects = [Subject { response: Box::new(denoiser(device, kind)), estimators, source: None }];
    let draws = Draws::new(Arc::new(Normal), 0, SHAPE.to_vec());
    let settings = Settings { rule: SampleRule::Fixed { samples: 2 }, batch: 6, probe: false };
    let mut collected = Collected::default();
    stand_in::waits();
    Sweep::new(&subjects, &draws, &settings).measure(&[0.0, 50.0, 900.0], &mut collected).unwrap();
    let norms = collected.0.iter().flat_map(|point| point.norms.iter().flatten().flatten().copied());
    Tensor::from_slice(&norms.collect::<Vec<f64>>())
}

/// A batch of rows of several timesteps reads its norms once. A power iteration of up to 60 steps reads whether all rows have
/// settled after every fifth, and which have at the end. Uploaded are x₀, ε, α and σ; for each call of the network what it is
/// told for t, and the two factors that convert v; and what norms are divided by.
#[test]
fn estimators_read_a_batch_once() {
    let (device, _alone) = device();
    for (quantity, reads, uploads) in [
        (Quantity::Secant, 1, 10),
        (Quantity::Derivative, 1, 8),
        (Quantity::Path, 1, 14),
        (Quantity::Size, 1, 7),
        (Quantity::Spatial, 13, 365),
    ] {
        let expected = measured(quantity, Device::Cpu, Kind::Double);
        let found = measured(quantity, device, Kind::Double);
        let Waits { reads: read, uploads: uploaded } = stand_in::waits();
        assert_close(format!("{quantity:?}"), &found, &expected, Tolerance::of_largest(1e-10, "float64"));
        println!("{quantity:?}: {read} reads, {uploaded} uploads");
        assert!(read <= reads && uploaded <= uploads, "{quantity:?}: {read} reads, {uploaded} uploads");
    }
}

fn ideal(device: Device) -> IdealDenoiser {
    let part = |mean: [f64; 2], std: f64| Gaussian::diagonal(&mean, &[std * std; 2], device);
    IdealDenoiser {
        distribution: Box::new(Mixture::new(&[0.6, 0.4], vec![part([0.8, 0.0], 0.3), part([-0.6, 0.5], 0.2)])),
        process: schedule::parse("linear").unwrap().into(),
        map: Arc::new(Identity),
        sample_shape: vec![2],
        device,
    }
}

/// Noise is uploaded where a sampler starts, and by stochastic ones at every step; nothing is read.
#[test]
fn samplers_read_nothing() {
    let (device, _alone) = device();
    let nfe = 6;
    let drawn = |denoiser: &dyn Denoiser, name: &str| {
        let sampling = Sampling {
            sampler: sampler::parse(name).unwrap(),
            spacing: spacing::parse("uniform").unwrap(),
            nfe,
            clip: Some(1.5),
        };
        stand_in::waits();
        draw(denoiser, &sampling, Which { seed: 0, samples: 0..3, labels: None }, &mut || true).unwrap().unwrap()
    };
    for member in sampler::MEMBERS {
        let name = member.name;
        let expected = drawn(&ideal(Device::Cpu), name);
        let found = drawn(&ideal(device), name);
        let waits = stand_in::waits();
        println!("{name}: {waits:?}");
        assert_eq!(found.device(), device, "{name}");
        assert_close(name, &found.to_device(Device::Cpu), &expected, Tolerance::of_largest(1e-10, "float64"));
        assert_eq!(waits.reads, 0, "{name}");
        let found = drawn(&denoiser(device, Kind::Double), name);
        let waits = stand_in::waits();
        assert_close(
            name,
            &found.to_device(Device::Cpu),
            &drawn(&denoiser(Device::Cpu, Kind::Double), name),
            Tolerance::of_largest(1e-9, "float64, over six steps"),
        );
        let noises = if sampler::parse(name).unwrap().order().is_none() { nfe } else { 1 };
        assert_eq!(waits, Waits { reads: 0, uploads: noises as i64 }, "{name}");
    }
}

fn plan() -> Plan {
    let shape = vec![1, 8, 8];
    let setting = variant::Setting {
        schedule: "linear".into(),
        timesteps: 1000,
        intervals: None,
        boundaries: None,
        until: 500,
        penalty_weight: Some(0.1),
    };
    Plan {
        variant: "penalty".into(),
        recipe: variant::recipe("penalty", &setting).unwrap(),
        architecture: network::arch::parse("auto", &shape, 1000).unwrap(),
        first_weights: "seed".into(),
        data: serde_json::Value::Null,
        shape,
        flip: true,
        prediction: Prediction::V,
        weighting: Weighting::Constant,
        until: 500,
        steps: 100,
        batch: 8,
        accumulate: 2,
        learning_rate: 1e-3,
        rate_schedule: RateSchedule::Constant,
        warmup: 5,
        weight_decay: 0.01,
        clip_norm: Some(1.0),
        ema: vec![0.99, 0.9],
        seed: 3,
        channels_last: false,
        dtype: Precision::F32,
        autocast: None,
        device: "cpu".into(),
    }
}

/// As on MPS.
#[test]
fn estimators_and_training_need_no_float64() {
    let (device, _alone) = device();
    let expected = measured(Quantity::Derivative, Device::Cpu, Kind::Float);
    stand_in::set_float64(false);
    let all = [Quantity::Derivative, Quantity::Secant, Quantity::Path, Quantity::Size, Quantity::Spatial];
    let found = all.map(|quantity| measured(quantity, device, Kind::Float));
    let (_, [loss, _], _) = trained(&plan(), device, 2);
    stand_in::set_float64(true);
    assert!(loss.is_finite());
    assert_close("derivative", &found[0], &expected, Tolerance::of_largest(1e-4, "a network in float32"));
}

/// After some steps all weights and averages, the means of the steps' losses and gradients, and what the host waited for in
/// the last step.
fn trained(plan: &Plan, device: Device, steps: usize) -> (Tensor, [f64; 2], Waits) {
    let mut network = network::build(&plan.architecture, &Weights::fresh(3), Path::new("test")).unwrap();
    network.to(device, Kind::Float).unwrap();
    let mut trainer = Trainer::new(plan.clone(), network, device).unwrap();
    let rows = ndarray::Array2::from_shape_fn((50, 64), |(row, pixel)| ((row * pixel) as f32).sin());
    let size = plan.batch / plan.accumulate;
    let data = Data::Rows(Arc::new(rows));
    let (shape, seed) = (plan.shape.clone(), 3);
    let batches = Batches { data, shape, timesteps: 1000, flip: true, seed, size, rows: 0..size, workers: 1 }.start(0);
    let world = World::alone();
    for _ in 1..steps {
        trainer.take_step(&batches, &world).unwrap();
    }
    let (_, waits) = counted(|| trainer.take_step(&batches, &world).unwrap());
    let flat = |(_, tensor): (String, Tensor)| tensor.to_device(Device::Cpu).flatten(0, -1);
    let weights: Vec<Tensor> = trainer.weight_sets().into_iter().flat_map(|set| set.tensors).map(flat).collect();
    let row = trainer.row().unwrap().unwrap();
    (Tensor::cat(&weights, 0), [row.loss, row.gradient_norm], waits)
}

/// The loss with a penalty, its gradients, the optimiser and two averages. Losses are read every 20 steps.
#[test]
fn a_training_step_reads_nothing() {
    let (device, _alone) = device();
    let plan = plan();
    let [expected, found] = [Device::Cpu, device].map(|device| trained(&plan, device, 1).1);
    for (found, expected) in found.iter().zip(expected) {
        assert!((found / expected - 1.0).abs() < 1e-5, "{found} and {expected} before the first step");
    }
    let (expected, ..) = trained(&plan, Device::Cpu, 4);
    let (found, _, waits) = trained(&plan, device, 4);
    // The four steps go 2e-3 at most. AdamW turns the rounding of the smallest gradients into a part of that.
    let apart = (&found - &expected).abs();
    let [mean, most] = [apart.mean(Kind::Double), apart.max()].map(|value| value.double_value(&[]));
    println!("weights are {mean:.1e} apart, {most:.1e} at most");
    assert!(mean < 1e-6 && most < 2e-4, "weights are {mean:.1e} apart, {most:.1e} at most");
    // By part of a batch: x₀, ε, four factors, weights of rows, what the network is told, and three for the penalty.
    assert_eq!(waits.reads, 0);
    assert!(waits.uploads <= 2 * 12, "{waits:?}");
}

/// Two ranks in two threads: their gradients are copied to the CPU and back, and each can say why.
#[test]
fn ranks_sum_gradients_of_a_device_that_gloo_does_not_reach() {
    let (device, _alone) = device();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let rank = move |rank: usize| {
        let named = |name: &str| match name {
            "RANK" | "LOCAL_RANK" => Some(rank.to_string()),
            "WORLD_SIZE" => Some("2".into()),
            "MASTER_ADDR" => Some("127.0.0.1".into()),
            "MASTER_PORT" => Some(port.to_string()),
            _ => None,
        };
        let world = World::join(&ranks::place(&named).unwrap().unwrap()).ok().unwrap();
        let note = world.settle(device).unwrap();
        let gradients = [1.0, 10.0].map(|value| Tensor::from_slice(&[value * (rank + 1) as f32]).to_device(device));
        world.in_buckets(Collective::Sum, &gradients.each_ref()).unwrap();
        let sums = gradients.map(|sum| (sum.device() == device, sum.to_device(Device::Cpu).double_value(&[0])));
        assert!(world.all(true).unwrap());
        // The store is in rank 0's process, which goes last.
        std::thread::sleep(std::time::Duration::from_millis(if rank == 0 { 300 } else { 0 }));
        (note, sums)
    };
    let other = std::thread::spawn(move || rank(1));
    let first = rank(0);
    let why = "gradients are summed over Gloo, in the CPU's memory: this program was built without NCCL";
    assert_eq!(first, (Some(why.to_string()), [(true, 3.0), (true, 30.0)]));
    assert_eq!(other.join().unwrap(), first);
}

/// Metrics give a number, which is read; each reads a few numbers, whatever the number of samples.
#[test]
fn metrics_stay_where_the_features_are() {
    let (device, _alone) = device();
    let features = |seed: u64, device: Device| {
        let mut values = vec![0.0; 60 * 3];
        random::fill_normal(&mut random::stream(seed, random::Purpose::Noise, 0.0, 0), &mut values);
        Tensor::from_slice(&values).to_kind(Kind::Double).reshape([60, 3]).to_device(device)
    };
    let value = |member: &quality::Member, device: Device| {
        let real = features(0, device);
        let reference = quality::Reference { features: Some(real), ..Default::default() };
        let metric = (member.build)(&reference, &quality::Setting { seed: 0, samples: 60 }).unwrap();
        let generated = features(1, device) * 1.2;
        counted(|| metric.measure(&generated).unwrap())
    };
    for member in quality::MEMBERS {
        // It compares with a density, whose parameters lie on the CPU, as features do in `evaluate`.
        if member.name == "mixture-mmd" {
            continue;
        }
        let (expected, _) = value(member, Device::Cpu);
        let (found, waits) = value(member, device);
        println!("{}: {waits:?}", member.name);
        assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{}: {found} and {expected}", member.name);
        assert!(waits.reads <= 6, "{}: {waits:?}", member.name);
    }
}
