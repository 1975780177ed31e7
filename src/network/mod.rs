//! Networks: what a checkpoint computes, before schedule, timestep map and prediction type give it a meaning.
//!
//! f(x, t, condition) → y, with x and y [B, …] (images are [B, C, H, W]), t `[B]`, class labels `[B]`, a context
//! [B, L, D] and what else a network takes ([`Additions`]). Values are [`Dual`]: a tangent of x or t goes through the same
//! pass. To add a network:
//!
//! 1. Write a module with a checked `Config` and a struct of layers from [`crate::nn`] that implements [`Layers`]:
//!    `read`, JSON → `Config`, by `keys::Keys`; `facts`, what is known without weights; `time_projection`, t `[B]` →
//!    features [B, F]; `new`, the layers under the names that the trainer gives their parameters; `forward`, from the
//!    checked [`Inputs`] to y. The embedding of features and labels, [B, E], is `condition::Embedder`. The module's
//!    doc has the equation and names the reference that its fixture in `tests/fixtures/networks` comes from.
//! 2. Add a line to [`ARCHITECTURES`], with `build: NativeNetwork::<YourLayers>::build` and, where state dicts come
//!    without a configuration, how to tell one by the names and shapes of its parameters ([`mod@recognise`]); where all
//!    published networks were trained on one schedule, that too ([`TrainedOn`]).
//!
//! [`NativeNetwork`] does the rest. A module that is not in lipscope's layers, such as [`torchscript`], implements
//! [`Network`] itself.

mod additions;
pub mod arch;
mod closure;
mod condition;
mod denoising_diffusion_pytorch;
mod dit;
mod edm;
mod edm2;
pub mod entrance;
mod keys;
pub mod mlp;
mod mmdit;
mod native;
mod openai_unet;
pub mod recognise;
pub(crate) mod sedd;
mod skips;
pub mod torchscript;
mod unet1d;
pub mod unet2d;

pub use closure::Closure;

use crate::dual::Dual;
use crate::error::{Error, Result};
use crate::nn::Weights;
pub use additions::{Additions, Numbers};
pub use condition::Condition;
pub use entrance::{Entrance, Frequencies, Inside};
use lipscope_core::cli::args::ModuleInput;
use lipscope_core::clock::TimeInput;
pub use native::{Facts, Inputs, Layers, NativeNetwork};
use recognise::{Shapes, StateDict};
use serde_json::Value;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// An architecture that can be built from its configuration.
pub struct Architecture {
    /// `_class_name` of its configurations.
    pub class_name: &'static str,
    /// Builds it; the path is for messages.
    pub build: fn(&Value, &Weights, &Path) -> Result<Box<dyn Network>>,
    /// What its configuration says that it takes, without weights; the path is for messages.
    pub takes: fn(&Value, &Path) -> Result<Takes>,
    /// How a state dict without a configuration is known; `None` where configurations always come along.
    pub state_dict: Option<StateDict>,
    /// What its networks were trained on, where that is not for a file to say.
    pub trained_on: Option<TrainedOn>,
}

/// What all published networks of an architecture were trained on, as the command line takes it.
#[derive(Debug, Clone, Copy)]
pub struct TrainedOn {
    /// As `--schedule` takes it.
    pub schedule: &'static str,
    /// As `--prediction` takes it.
    pub prediction: &'static str,
    /// As `--time-input` takes it.
    pub time_input: &'static str,
}

/// The family.
pub const ARCHITECTURES: &[Architecture] = &[
    unet2d::UNCONDITIONAL,
    unet2d::CONDITIONAL,
    dit::PAPER,
    dit::SIT,
    dit::DIFFUSERS,
    dit::OLD_DIFFUSERS,
    mmdit::SD3,
    mmdit::FLUX,
    openai_unet::ARCHITECTURE,
    edm::SONG_UNET,
    edm::DHARIWAL_UNET,
    edm2::ARCHITECTURE,
    edm::score_sde::FOURIER,
    edm::score_sde::POSITIONAL,
    denoising_diffusion_pytorch::ARCHITECTURE,
    unet1d::ARCHITECTURE,
    sedd::SEDD,
    sedd::MDLM,
    mlp::ARCHITECTURE,
];

/// The network of a configuration with the given weights. `path` is where the configuration stands, for messages.
pub fn build(config: &Value, weights: &Weights, path: &Path) -> Result<Box<dyn Network>> {
    (architecture(config, path)?.build)(config, weights, path)
}

/// What a network takes by its configuration, without weights; `path` is where that stands, for messages.
pub fn takes(config: &Value, path: &Path) -> Result<Takes> {
    (architecture(config, path)?.takes)(config, path)
}

fn architecture(config: &Value, path: &Path) -> Result<&'static Architecture> {
    let name = config.get("_class_name").and_then(Value::as_str).unwrap_or_default();
    match ARCHITECTURES.iter().find(|architecture| architecture.class_name == name) {
        Some(architecture) => Ok(architecture),
        None => {
            let known: Vec<&str> = ARCHITECTURES.iter().map(|architecture| architecture.class_name).collect();
            Err(Error::file(
                path,
                format!("its architecture is `{name}`"),
                format!("Known here are {}.", known.join(" and ")),
            ))
        }
    }
}

/// The architecture that a state dict belongs to, by the names of its parameters.
pub fn recognise(shapes: &Shapes) -> Option<(&'static Architecture, StateDict)> {
    let known = ARCHITECTURES.iter().filter_map(|architecture| Some((architecture, architecture.state_dict?)));
    known.into_iter().find(|(_, state_dict)| state_dict.anchors.iter().all(|name| shapes.has(name)))
}

/// What is said of a network over symbols that ignores t.
const STANDS_STILL: &str = "its output does not depend on t, as that of a masked model without time conditioning: what it \
                            predicts stands still, and all that moves is the schedule's.";

/// The refusal of a process with other symbols than the network has.
pub(crate) fn other_symbols(architecture: &str, own: i64, symbols: i64) -> Error {
    Error::mismatch(
        format!("this {architecture} is over {own} symbols, and states of the forward process have {symbols}"),
        format!("Give --schedule absorb:symbols={}, with a mask behind them, or uniform:symbols={own}.", own - 1),
    )
}

/// The refusal of [`Network::set_time_kind`] by a network that takes t as an integer.
fn integer_time(architecture: &str) -> Error {
    Error::unsupported(
        format!("another dtype of the time embedding of this {architecture}"),
        "it takes t as an integer",
        "Only the network's own dtype can be varied.",
    )
}

/// Which number the trainers of an architecture give it for t, where a checkpoint does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UsualTime {
    /// t in steps, whatever T is.
    #[default]
    Steps,
    /// t in steps; or, by an option of theirs that files do not keep, 1000 t/T.
    StepsOrThousandths,
    /// ln(σ)/4 or the log-SNR: never steps.
    NoiseLevel,
}

/// What a network takes besides x.
#[derive(Debug, Clone)]
pub struct Takes {
    /// Name of the architecture, for messages.
    pub architecture: String,
    /// Whether it takes class labels.
    pub class: bool,
    /// Number of classes that a label may name, where that is known.
    pub classes: Option<i64>,
    /// The label that stands for no class, where it was trained with one.
    pub null_label: Option<i64>,
    /// Whether it takes embeddings.
    pub context: bool,
    /// Their width D, where that is known.
    pub context_width: Option<i64>,
    /// Pooled embeddings and numbers.
    pub additions: Additions,
    /// Which number it usually gets for t.
    pub time: UsualTime,
    /// Its other inputs that are not the same for every sample: values by row of the data, and random ones.
    pub inputs: Vec<ModuleInput>,
    /// Its other arguments of time.
    pub times: Vec<TimeInput>,
    /// Number of symbols that x holds, of a network that is known to take symbols and no numbers.
    pub symbols: Option<i64>,
}

/// What a network is asked when it is prepared.
#[derive(Debug)]
pub struct Probe<'a> {
    /// Shape of one sample.
    pub sample_shape: &'a [i64],
    /// Two conditions in t that a trained network tells apart.
    pub times: [f64; 2],
    /// What else it gets, for two samples.
    pub condition: &'a Condition,
    /// Where it is.
    pub device: Device,
    /// Its dtype.
    pub kind: Kind,
    /// How many of the sample's channels are a condition, to which the output does not answer.
    pub beside: i64,
    /// Whether its output has the shape of x, those channels aside.
    pub answers_x: bool,
    /// The arguments of time along which a rate is wanted.
    pub moving: &'a [Argument],
}

/// An argument that a network may be differentiated along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// x.
    X,
    /// t.
    T,
    /// Another argument of time, by its place among [`Network::other_times`].
    Other(usize),
}

/// What is known about the x of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputShape {
    /// Shape of one sample without the batch axis, such as [C, H, W]; `None` where the file does not say.
    pub sample: Option<Vec<i64>>,
    /// Number of channels, where at least that is known.
    pub channels: Option<i64>,
    /// Whether other heights and widths than `sample`'s are fine (a fully convolutional network).
    pub resizable: bool,
    /// Of sequences of any length: the numbers in a row.
    pub row: Option<i64>,
}

impl InputShape {
    /// Of a network over images of any size, trained on those of `size` (height and width).
    fn images(channels: i64, size: Option<[i64; 2]>) -> Self {
        let sample = size.map(|[height, width]| vec![channels, height, width]);
        InputShape { sample, channels: Some(channels), resizable: true, row: None }
    }

    /// Of a network over sequences of any length of `width` numbers, [L, width].
    fn sequences(width: i64) -> Self {
        InputShape { row: Some(width), ..InputShape::default() }
    }
}

/// A network f(x, t) or f(x, t, condition), in one dtype on one device.
pub trait Network {
    /// One forward pass. `x`: [B, …] in the network's dtype; `t`: `[B]`, float32 or float64 (never half: a time
    /// embedding in half precision ruins ∂/∂t), or of [`Network::time_kind`] where that is set. Returns [B, …] with a
    /// tangent where `x`, `t` or one of the condition's times has one.
    fn forward(&self, x: &Dual, t: &Dual, condition: &Condition) -> Result<Dual>;

    /// Whether tangents are carried through; where not, `forward` refuses them.
    fn carries_tangents(&self) -> bool;

    /// Whether tangents of x are carried through too.
    fn carries_x_tangents(&self) -> bool {
        self.carries_tangents()
    }

    /// The same network with a look at where t enters; `None` where its inside is not lipscope's own.
    fn inside(&self) -> Option<&dyn Inside> {
        None
    }

    /// Whether a batch may hold rows of several timesteps.
    fn mixes_timesteps(&self) -> bool {
        true
    }

    /// Refuses numbers for t, one per row and rounded to its dtype, that this network cannot be told. They are checked on
    /// the host, before they are uploaded: `forward` would have to wait for the device.
    fn check_times(&self, _t: &[f64]) -> Result<()> {
        Ok(())
    }

    /// What x must look like.
    fn input_shape(&self) -> InputShape;

    /// Number of classes that a label may name; `None` for an unconditional network.
    fn classes(&self) -> Option<i64> {
        None
    }

    /// The label that stands for no class, where the network was trained with one (classifier-free guidance).
    fn null_label(&self) -> Option<i64> {
        None
    }

    /// Width D of the embeddings that it attends to; `None` for a network without.
    fn context_width(&self) -> Option<i64> {
        None
    }

    /// What it takes besides labels and embeddings to attend to.
    fn additions(&self) -> Additions {
        Additions::default()
    }

    /// Whether it takes embeddings besides x and t.
    fn takes_context(&self) -> bool {
        self.context_width().is_some()
    }

    /// Whether it takes class labels besides x and t.
    fn takes_class(&self) -> bool {
        self.classes().is_some()
    }

    /// Which number its trainers give it for t.
    fn usual_time(&self) -> UsualTime {
        UsualTime::Steps
    }

    /// All of this in one.
    fn takes(&self) -> Takes {
        Takes {
            architecture: self.architecture(),
            class: self.takes_class(),
            classes: self.classes(),
            null_label: self.null_label(),
            context: self.takes_context(),
            context_width: self.context_width(),
            additions: self.additions(),
            time: self.usual_time(),
            inputs: self.drawn_inputs(),
            times: self.other_times(),
            symbols: self.symbols(),
        }
    }

    /// Inputs besides these that are not the same for every sample, in their order.
    fn drawn_inputs(&self) -> Vec<ModuleInput> {
        Vec::new()
    }

    /// Arguments of time besides t, in their order.
    fn other_times(&self) -> Vec<TimeInput> {
        Vec::new()
    }

    /// Name of the architecture, such as `UNet2DModel`.
    fn architecture(&self) -> String;

    /// Parameters and buffers by name, in the file's names. The tensors share memory with the network's own.
    fn parameters(&self) -> Vec<(String, Tensor)>;

    /// The configuration that [`build`] makes it from, with its `_class_name`; `None` for a foreign module.
    fn config(&self) -> Option<Value> {
        None
    }

    /// Tensors that a forward pass needs and that are no parameters, by name.
    fn constants(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    /// Number of symbols that x holds, of a network that is known to take symbols and no numbers.
    fn symbols(&self) -> Option<i64> {
        None
    }

    /// From now on x holds whole numbers from 0 to `symbols` − 1, which the network gets as int64.
    ///
    /// # Errors
    /// The network takes other numbers.
    fn take_symbols(&mut self, symbols: i64) -> Result<()> {
        match self.symbols() {
            Some(own) if own == symbols => Ok(()),
            Some(own) => Err(other_symbols(&self.architecture(), own, symbols)),
            None => Err(Error::unsupported(
                format!("a {} under a jump process", self.architecture()),
                "it takes numbers, and a jump process has symbols",
                "Give a network over symbols, or another --schedule.",
            )),
        }
    }

    /// Called once, on its device and in its dtype, before the first forward pass: finds out what only a call can tell.
    fn prepare(&mut self, _probe: &Probe) -> Result<()> {
        Ok(())
    }

    /// What a reader must know of what [`Network::prepare`] found out.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// How tangents of t are computed, in words; for the report.
    fn rate_route(&self) -> String {
        "tangents through the layers".into()
    }

    /// How tangents of x are computed, in words, where that does not go without saying.
    fn jacobian_route(&self) -> Option<String> {
        None
    }

    /// Called once where a derivative in x is wanted, after [`Network::prepare`]: finds a way to compute it, or says why there
    /// is none.
    fn prepare_jacobian(&mut self, _probe: &Probe) -> Result<()> {
        Ok(())
    }

    /// Called once where ∂/∂t is wanted, after [`Network::prepare`]: finds a way to compute it, or says why there is none. Of
    /// several arguments of time it is that along each one that moves.
    fn prepare_rate(&mut self, _probe: &Probe) -> Result<()> {
        Ok(())
    }

    /// Has t and its features computed in `kind` whatever the network's dtype, to find out what that rounds; `None` takes
    /// it back. Says in words what is computed in it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where nothing is computed from t that has a dtype.
    fn set_time_kind(&mut self, _kind: Option<Kind>) -> Result<&'static str> {
        Err(Error::unsupported(
            format!("another dtype of the time embedding of this {}", self.architecture()),
            "it is computed in one way only",
            "Only the network's own dtype can be varied.",
        ))
    }

    /// The dtype that [`Network::set_time_kind`] has set.
    fn time_kind(&self) -> Option<Kind> {
        None
    }

    /// Moves the network to a device and dtype.
    fn to(&mut self, device: Device, kind: Kind) -> Result<()>;
}
