//! Any TorchScript module f(x, t, …) → output: t a batch of scalars, float or integer; of a tuple, list or dict the first
//! tensor counts unless another is named.

mod agreement;
mod arguments;
mod calling;
mod checks;
mod code;
mod complaint;
mod rate;
mod routes;
mod signature;

use super::{Argument, Condition, InputShape, Network, Probe, STANDS_STILL, integer_time};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result, torch_message};
use crate::libtorch::load_script;
use arguments::Arguments;
use calling::{Calling, TimeShape};
pub(crate) use complaint::conditioned;
use lipscope_core::cli::args::ModuleInput;
use lipscope_core::clock::TimeInput;
pub use signature::Signature;
pub(crate) use signature::first_tensor;
use std::path::{Path, PathBuf};
use tch::{CModule, Device, Kind, Tensor};

/// What it is called in tables and messages.
const ARCHITECTURE: &str = "TorchScript module";

/// A TorchScript module, asked on the device and in the dtype that it was moved to.
pub struct TorchScript {
    module: CModule,
    path: PathBuf,
    /// What it is called with.
    signature: Signature,
    /// How it wants t, and the dtype that it runs in.
    calling: Calling,
    /// dtype of its parameters in the file.
    saved_kind: Option<Kind>,
    /// Whether it answers every row of a batch for that row's own t.
    time_per_row: bool,
    /// How derivatives are computed, along each argument for which that was found out.
    rates: Vec<rate::Rate>,
    /// dtype of t, where it does not follow from the module's.
    time_kind: Option<Kind>,
    /// How many symbols x is of, where it is of symbols.
    symbols: Option<i64>,
    /// Whether it answers the same at every t, as one over symbols may.
    stands_still: bool,
}

impl TorchScript {
    /// Loads a module; nothing of it runs before [`Network::prepare`].
    pub fn load(path: &Path, device: Device, signature: Signature) -> Result<Self> {
        let module = load_script(path, device, "this TorchScript module")?;
        let parameters = module.named_parameters().unwrap_or_default();
        let saved_kind = parameters.iter().map(|(_, tensor)| tensor).find(|tensor| tensor.is_floating_point());
        let saved_kind = saved_kind.map(Tensor::kind);
        Ok(TorchScript {
            module,
            path: path.to_path_buf(),
            signature: signature.to(device)?,
            calling: Calling::PLAIN,
            saved_kind,
            time_per_row: false,
            rates: Vec::new(),
            time_kind: None,
            symbols: None,
            stands_still: false,
        })
    }

    fn call(&self, x: &Tensor, t: &Tensor, condition: &Condition) -> std::result::Result<Tensor, String> {
        let arguments = Arguments::new(&self.signature, [x, t], condition).map_err(|e| torch_message(&e))?;
        self.call_with(&arguments)
    }

    /// The same, argument by argument.
    fn call_with(&self, at: &Arguments) -> std::result::Result<Tensor, String> {
        let words = |e: tch::TchError| torch_message(&e);
        let own = self.calling.own.unwrap_or(at.x.kind());
        let cast = at.with(Argument::X, self.seen(&at.x, own).map_err(words)?);
        let cast = cast.with_times(|t| self.calling.time(t)).map_err(words)?;
        let output = self.signature.call(&self.module, &cast, self.calling.numbers)?;
        if self.calling.own.is_none() && self.symbols.is_none() {
            return Ok(output);
        }
        output.f_to_kind(at.x.kind()).map_err(words)
    }

    /// x as the module gets it, which runs in `kind`.
    fn seen(&self, x: &Tensor, kind: Kind) -> std::result::Result<Tensor, tch::TchError> {
        x.f_to_kind(if self.symbols.is_some() { Kind::Int64 } else { kind })
    }

    /// Two samples that differ everywhere, the same in every run, and their shape: of numbers of moderate size, or of
    /// symbols, every second of which is the last.
    fn example(&self, sample_shape: &[i64], device: Device, kind: Kind) -> Result<(Tensor, Vec<i64>)> {
        let doing = "making an example";
        let full: Vec<i64> = std::iter::once(2).chain(sample_shape.iter().copied()).collect();
        let count: i64 = full.iter().product();
        if let Some(symbols) = self.symbols {
            let symbol = |i: i64| if i % 2 == 0 { symbols - 1 } else { i * 7 % symbols };
            let all: Vec<i64> = (0..count).map(symbol).collect();
            let x = Tensor::f_from_slice(&all).and_then(|v| v.f_view(&full[..])?.f_to_kind(kind)?.f_to_device(device));
            return Ok((x.doing(doing)?, full));
        }
        let ramp = Tensor::f_arange(count, (Kind::Double, device)).and_then(|v| v.f_mul_scalar(0.7)).doing(doing)?;
        let x = ramp.f_sin().and_then(|v| v.f_view(&full[..])).and_then(|v| v.f_to_kind(kind)).doing(doing)?;
        Ok((x, full))
    }
}

impl Network for TorchScript {
    fn forward(&self, x: &Dual, t: &Dual, condition: &Condition) -> Result<Dual> {
        if [x, t].into_iter().chain(&condition.times).any(|input| input.tangent.is_some()) {
            return self.with_rates(x, t, condition);
        }
        self.call(&x.value, &t.value, condition)
            .map(Dual::constant)
            .map_err(|message| self.explain(&message, &x.value.size(), x.value.device()))
    }

    fn carries_tangents(&self) -> bool {
        self.rates.iter().any(|rate| rate.argument != Argument::X)
    }

    fn carries_x_tangents(&self) -> bool {
        self.rates.iter().any(|rate| rate.argument == Argument::X)
    }

    fn rate_route(&self) -> String {
        let rates: Vec<&rate::Rate> = self.rates.iter().filter(|rate| rate.argument != Argument::X).collect();
        match rates[..] {
            [] => "none".into(),
            [rate] => rate.words.clone(),
            _ => {
                let each = rates.iter().map(|rate| format!("{} by {}", self.symbol(rate.argument), rate.words));
                each.collect::<Vec<_>>().join("; ")
            }
        }
    }

    fn jacobian_route(&self) -> Option<String> {
        self.rates.iter().find(|rate| rate.argument == Argument::X).map(|rate| rate.words.clone())
    }

    fn prepare_rate(&mut self, probe: &Probe) -> Result<()> {
        probe.moving.iter().try_for_each(|argument| self.find_route(*argument, probe))
    }

    fn prepare_jacobian(&mut self, probe: &Probe) -> Result<()> {
        self.find_route(Argument::X, probe)
    }

    fn take_symbols(&mut self, symbols: i64) -> Result<()> {
        self.symbols = Some(symbols);
        Ok(())
    }

    fn takes_context(&self) -> bool {
        self.signature.takes_context()
    }

    fn takes_class(&self) -> bool {
        self.signature.takes_class()
    }

    fn drawn_inputs(&self) -> Vec<ModuleInput> {
        self.signature.drawn()
    }

    fn other_times(&self) -> Vec<TimeInput> {
        self.signature.times()
    }

    fn input_shape(&self) -> InputShape {
        InputShape::default()
    }

    fn architecture(&self) -> String {
        ARCHITECTURE.into()
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.module.named_parameters().unwrap_or_default()
    }

    /// Calls the module at two times to find out what it takes, and whether it is a function of x and t.
    fn prepare(&mut self, probe: &Probe) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        self.check(probe)
    }

    fn notes(&self) -> Vec<String> {
        let of_rate = self.rates.iter().filter_map(|rate| rate.note.clone());
        let still = self.stands_still.then(|| STANDS_STILL.to_string());
        self.calling.notes().into_iter().chain(still).chain(of_rate).collect()
    }

    fn mixes_timesteps(&self) -> bool {
        self.time_per_row
    }

    fn check_times(&self, t: &[f64]) -> Result<()> {
        // An integer condition exists only on the grid.
        if self.calling.is_integer() && t.iter().any(|t| t.fract() != 0.0) {
            return Err(Error::file(
                &self.path,
                "this module takes integer timesteps, and a fraction was asked for",
                "Use whole numbers in --timesteps and --dt.",
            ));
        }
        if self.calling.shape != TimeShape::Rows && t.windows(2).any(|pair| pair[0] != pair[1]) {
            let problem = "this module takes one t for a whole batch, and several were asked for";
            return Err(Error::file(&self.path, problem, "Report this with the command you ran."));
        }
        Ok(())
    }

    fn set_time_kind(&mut self, kind: Option<Kind>) -> Result<&'static str> {
        if self.calling.is_integer() {
            return Err(integer_time(ARCHITECTURE));
        }
        self.time_kind = kind;
        Ok("t as the module gets it; what it computes from t follows its own code")
    }

    fn time_kind(&self) -> Option<Kind> {
        self.time_kind
    }

    fn to(&mut self, device: Device, kind: Kind) -> Result<()> {
        // It was loaded on this device, and a conversion would turn tables of symbols into floats as well.
        if self.symbols.is_none() || self.saved_kind.is_some_and(|saved| saved != kind) {
            self.module.to(device, kind, false);
        }
        self.calling.own = None;
        Ok(())
    }
}
