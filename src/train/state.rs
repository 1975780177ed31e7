//! A run's state on disk: weights, averages, moments and counters, from which it goes on bit for bit.

use super::Trainer;
use super::ranks::{Collective, World};
use super::trainer::average_name;
use crate::atomic;
use crate::checkpoint::safetensors_bytes;
use crate::error::{Doing, Error, Result};
use crate::tensor_file::{self, IntoTensor, NamedArrays};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use tch::{Kind, Tensor};

impl Trainer {
    /// The groups of tensors that belong to the parameters, with the prefixes of their names.
    fn groups(&self) -> Vec<(String, &[Tensor])> {
        let mut groups: Vec<(String, &[Tensor])> = vec![
            ("raw".into(), &self.parameters),
            ("first".into(), &self.optimiser.first),
            ("second".into(), &self.optimiser.second),
        ];
        groups.extend(self.averages.iter().map(|average| (average_name(average.decay), &average.weights[..])));
        groups
    }

    /// Writes the state to `path`, whole or not at all.
    pub fn save(&mut self, path: &Path) -> Result<()> {
        self.look()?;
        let scale = self.optimiser.scale.as_ref();
        let growth = scale.map(|scale| scale.growth.to_kind(Kind::Float));
        let mut tensors = vec![("step".to_string(), &self.optimiser.step)];
        tensors.extend(scale.map(|scale| ("scale".to_string(), &scale.scale)));
        tensors.extend(growth.as_ref().map(|growth| ("growth".to_string(), growth)));
        for (prefix, group) in self.groups() {
            tensors.extend(self.names.iter().zip(group).map(|(name, tensor)| (format!("{prefix}/{name}"), tensor)));
        }
        let text = |value: serde_json::Result<String>| {
            value.map_err(|e| Error::mismatch(format!("the state cannot be written ({e})"), "Report this."))
        };
        let metadata = HashMap::from([
            ("plan".to_string(), self.plan.to_json()?.to_string()),
            ("step".to_string(), self.step.to_string()),
            ("window".to_string(), text(serde_json::to_string(&self.window))?),
        ]);
        atomic::write(path, &safetensors_bytes(&tensors, metadata)?)
    }

    /// Takes weights, averages, moments and counters from rank 0.
    pub fn follow_first(&mut self, world: &World) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        let mut tensors: Vec<&Tensor> = self.groups().into_iter().flat_map(|(_, group)| group).collect();
        tensors.push(&self.optimiser.step);
        tensors.extend(self.optimiser.scale.iter().flat_map(|scale| [&scale.scale, &scale.growth]));
        world.in_buckets(Collective::FromFirst, &tensors)?;
        let step = Tensor::from_slice(&[self.step as i64]);
        world.together(Collective::FromFirst, &step)?;
        self.step = step.int64_value(&[0]) as u64;
        Ok(())
    }

    /// Goes on from a saved state of the same plan.
    pub fn restore(&mut self, path: &Path) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        let file = tensor_file::read(path)?;
        let next = "Repeat the earlier command exactly, or choose another --out.";
        let plan: Value = read(&file, "plan", path)?;
        if let Some(key) = self.plan.differs(&plan)? {
            return Err(Error::file(path, format!("the earlier run had another plan: `{key}` differs"), next));
        }
        let step: u64 = read(&file, "step", path)?;
        if step > self.plan.steps {
            let problem =
                format!("the earlier run has done {step} steps already, and {} are asked for", self.plan.steps);
            return Err(Error::file(path, problem, "Ask for more --steps."));
        }
        for (prefix, group) in self.groups() {
            for (name, tensor) in self.names.iter().zip(group) {
                copy(&file, &format!("{prefix}/{name}"), tensor, path)?;
            }
        }
        copy(&file, "step", &self.optimiser.step, path)?;
        if let Some(scale) = &self.optimiser.scale {
            copy(&file, "scale", &scale.scale, path)?;
            copy(&file, "growth", &scale.growth, path)?;
        }
        self.window = read(&file, "window", path)?;
        self.step = step;
        Ok(())
    }
}

/// A value of the file's metadata.
fn read<T: serde::de::DeserializeOwned>(file: &NamedArrays, key: &str, path: &Path) -> Result<T> {
    let text = file.metadata.iter().find(|(name, _)| name == key).map(|(_, text)| text.as_str());
    text.and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| {
        Error::file(
            path,
            format!("this is no state of a training run: it has no {key}"),
            "Choose another --out, or remove the file to begin anew.",
        )
    })
}

/// Copies one array of the file into a tensor, whose layout in memory stays.
fn copy(file: &NamedArrays, name: &str, into: &Tensor, path: &Path) -> Result<()> {
    let Some(array) = file.get(name) else {
        return Err(Error::file(
            path,
            format!("the tensor `{name}` is missing"),
            "Choose another --out, or remove the file to begin anew.",
        ));
    };
    let tensor = array.clone().into_tensor()?;
    if tensor.size() != into.size() {
        let problem = format!("`{name}` has shape {:?}, and the run needs {:?}", tensor.size(), into.size());
        return Err(Error::file(path, problem, "Choose another --out, or remove the file to begin anew."));
    }
    into.detach().f_copy_(&tensor).doing("restoring the state")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network;
    use crate::nn::Weights;
    use crate::train::{Batches, Data, Plan, RateSchedule, Weighting, variant};
    use ndarray::Array2;
    use std::sync::Arc;
    use tch::Device;

    fn plan(variant: &str, arch: &str, steps: u64) -> Plan {
        let shape = vec![1, 8, 8];
        let setting = variant::Setting {
            schedule: "linear".into(),
            timesteps: 1000,
            intervals: None,
            boundaries: None,
            until: 100,
            penalty_weight: None,
        };
        Plan {
            variant: variant.into(),
            recipe: variant::recipe(variant, &setting).unwrap(),
            architecture: network::arch::parse(arch, &shape, 1000).unwrap(),
            first_weights: "seed".into(),
            data: Value::Null,
            shape,
            flip: true,
            prediction: Default::default(),
            weighting: Weighting::Constant,
            until: 100,
            steps,
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
            dtype: Default::default(),
            autocast: None,
            device: "cpu".into(),
        }
    }

    fn trainer(plan: &Plan) -> Trainer {
        let network = network::build(&plan.architecture, &Weights::fresh(plan.seed), Path::new("test")).unwrap();
        Trainer::new(plan.clone(), network, Device::Cpu).unwrap()
    }

    fn advance(trainer: &mut Trainer, until: u64) {
        let rows = Array2::from_shape_fn((50, 64), |(row, pixel)| ((row * pixel) as f32).sin());
        let batches = Batches {
            data: Data::Rows(Arc::new(rows)),
            shape: trainer.plan.shape.clone(),
            timesteps: 1000,
            flip: true,
            seed: trainer.plan.seed,
            size: trainer.plan.batch / trainer.plan.accumulate,
            rows: 0..trainer.plan.batch / trainer.plan.accumulate,
            workers: 1,
        };
        let receiver = batches.start(trainer.step * trainer.plan.accumulate);
        while trainer.step < until {
            trainer.take_step(&receiver, &World::alone()).unwrap();
        }
    }

    fn same(a: &Trainer, b: &Trainer) -> bool {
        let pairs = a.groups().into_iter().zip(b.groups());
        pairs.into_iter().all(|((_, a), (_, b))| a.iter().zip(b).all(|(a, b)| a.equal(b)))
    }

    #[test]
    fn forty_steps_are_twenty_and_twenty_bit_for_bit() {
        // One thread: sums over threads may be taken in another order from run to run.
        tch::set_num_threads(1);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        for arch in ["unet:channels=8-16,attention=4,head-dim=8", "mlp:width=32,blocks=1"] {
            let mut straight = trainer(&plan("e-tsdm", arch, 40));
            advance(&mut straight, 40);
            let mut first = trainer(&plan("e-tsdm", arch, 20));
            advance(&mut first, 20);
            first.save(&path).unwrap();
            let mut second = trainer(&plan("e-tsdm", arch, 40));
            assert!(!same(&first, &second));
            second.restore(&path).unwrap();
            assert!(same(&first, &second));
            advance(&mut second, 40);
            assert!(same(&straight, &second), "{arch}");
            let (mut a, mut b) = (straight.row().unwrap().unwrap(), second.row().unwrap().unwrap());
            (a.images_per_second, b.images_per_second) = (0.0, 0.0);
            assert_eq!(a, b);
        }
    }

    #[test]
    fn a_state_of_another_run_is_refused_by_what_differs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        trainer(&plan("ddpm", "mlp:width=16,blocks=1", 20)).save(&path).unwrap();
        let differing = |plan: Plan| trainer(&plan).restore(&path).unwrap_err().to_string();
        let base = || plan("ddpm", "mlp:width=16,blocks=1", 20);
        assert!(differing(plan("ddpm", "mlp:width=32,blocks=1", 20)).contains("`architecture` differs"));
        assert!(differing(plan("e-tsdm", "mlp:width=16,blocks=1", 20)).contains("`variant` differs"));
        assert!(differing(Plan { seed: 4, ..base() }).contains("`seed` differs"));
        assert!(trainer(&Plan { steps: 50, ..base() }).restore(&path).is_ok(), "more steps are fine");
        let cosine = Plan { steps: 50, rate_schedule: RateSchedule::Cosine, ..base() };
        assert!(differing(cosine).contains("differs"));
    }

    #[test]
    fn variants_of_one_seed_begin_alike_and_see_the_same() {
        let (ddpm, shared) = (plan("ddpm", "auto", 1), plan("e-tsdm", "auto", 1));
        assert!(same(&trainer(&ddpm), &trainer(&shared)));
        // The recipes differ in the conditions below t̃ and in nothing else.
        let (a, b) = (ddpm.run().unwrap(), shared.run().unwrap());
        assert_eq!(a.levels, b.levels);
        assert_eq!(a.conditions[100..], b.conditions[100..]);
        assert_eq!((a.conditions[19], b.conditions[19], b.conditions[20]), (19.0, 0.0, 20.0));
        let noised = plan("e-tsdm-noised", "auto", 1).run().unwrap();
        assert_eq!((noised.levels[19], noised.levels[20]), (a.levels[0], a.levels[20]));
    }

    #[test]
    fn a_diverging_run_stops_with_its_step() {
        let mut trainer =
            trainer(&Plan { learning_rate: 1e30, clip_norm: None, warmup: 0, ..plan("ddpm", "auto", 40) });
        let rows = Array2::from_elem((4, 64), 1.0);
        let batches = Batches {
            data: Data::Rows(Arc::new(rows)),
            shape: vec![1, 8, 8],
            timesteps: 1000,
            flip: false,
            seed: 0,
            size: 4,
            rows: 0..4,
            workers: 1,
        };
        let receiver = batches.start(0);
        let error = (0..40).find_map(|_| trainer.take_step(&receiver, &World::alone()).err()).unwrap().to_string();
        assert!(error.starts_with("at step ") && error.contains("--lr"), "{error}");
    }
}
