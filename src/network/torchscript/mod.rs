//! Any TorchScript module f(x, t, …) → output: t a batch of scalars, float or integer; of a tuple, list or dict the first
//! tensor counts unless another is named.

mod rate;
mod signature;

use super::{Condition, InputShape, Network, Probe, integer_time};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result, torch_message};
pub(crate) use signature::first_tensor;
pub use signature::{Signature, one_sample};
use std::path::{Path, PathBuf};
use tch::{CModule, Device, Kind, Tensor};

/// A TorchScript module, asked on the device and in the dtype that it was moved to.
pub struct TorchScript {
    module: CModule,
    path: PathBuf,
    /// What it is called with.
    signature: Signature,
    /// Whether t must be int64.
    integer_time: bool,
    /// Whether it answers every row of a batch for that row's own t.
    time_per_row: bool,
    /// How ∂/∂t is computed, where that was found out.
    rate: Option<rate::Route>,
    /// dtype of t, where it does not follow from the module's.
    time_kind: Option<Kind>,
}

impl TorchScript {
    /// Loads a module; nothing of it runs before [`Network::prepare`].
    pub fn load(path: &Path, device: Device, signature: Signature) -> Result<Self> {
        let mut module = CModule::load_on_device(path, device).map_err(|e| {
            Error::file(
                path,
                format!("libtorch cannot load this TorchScript module ({})", torch_message(&e)),
                "The file may be damaged or from a newer PyTorch; save it again with torch.jit.save.",
            )
        })?;
        module.f_set_eval().doing("switching the module to evaluation")?;
        Ok(TorchScript {
            module,
            path: path.to_path_buf(),
            signature: signature.to(device)?,
            integer_time: false,
            time_per_row: false,
            rate: None,
            time_kind: None,
        })
    }

    fn call(&self, x: &Tensor, t: &Tensor, condition: &Condition) -> std::result::Result<Tensor, String> {
        self.signature.call(&self.module, x, t, condition)
    }

    /// Whether a batch with two times gives the row that each time gives by itself.
    fn tells_rows_apart(&self, x: &Tensor, times: &[Tensor; 2], answers: [&Tensor; 2], condition: &Condition) -> bool {
        let [first, second] = answers;
        let rows = |parts: [&Tensor; 2]| Tensor::f_stack(&[parts[0].f_get(0)?, parts[1].f_get(1)?], 0);
        let mixed = rows([&times[0], &times[1]]).ok().and_then(|t| self.call(x, &t, condition).ok());
        let distance = |mixed: &Tensor| -> std::result::Result<(f64, f64), tch::TchError> {
            let expected = rows([first, second])?;
            let largest = |x: &Tensor| x.f_abs()?.f_max()?.f_double_value(&[]);
            Ok((largest(&mixed.f_sub(&expected)?)?, largest(&expected)?))
        };
        // Rounding at most, also in bfloat16; a wrong t would be far off.
        mixed.and_then(|mixed| distance(&mixed).ok()).is_some_and(|(off, scale)| off <= 0.02 * scale)
    }

    /// libtorch's complaint in words of this task.
    fn explain(&self, message: &str, shape: &[i64]) -> Error {
        let file = |problem: String, next: &str| Error::file(&self.path, problem, next);
        if let Some(rest) = message.split("missing value for argument '").nth(1) {
            let name = rest.split('\'').next().unwrap_or("?");
            return file(
                format!(
                    "this module wants more inputs than the {} it was given: `{name}` is missing",
                    self.signature.arguments()
                ),
                &format!("Name them all with --inputs, such as x,t,{name}=FILE."),
            );
        }
        if message.to_lowercase().contains("expected at most") && self.signature.arguments() > 2 {
            let problem = format!("this module takes fewer inputs than the {} of --inputs", self.signature.arguments());
            return file(problem, "Name each of its inputs once, in their order.");
        }
        if message.to_lowercase().contains("expected at most") {
            return file(
                "this module takes x alone: t is baked in, or is not an input".into(),
                "Export a module f(x, t) with t a tensor of one scalar per sample.",
            );
        }
        file(
            format!("the module cannot be called with x of shape {shape:?} and t of shape [2] ({message})"),
            "Check the sample's shape (--shape C,H,W, or the data's), and that the module takes any batch size and t of \
             one scalar per sample.",
        )
    }
}

/// Two samples of numbers of moderate size that differ everywhere, the same in every run, and their shape.
fn example(sample_shape: &[i64], device: Device, kind: Kind) -> Result<(Tensor, Vec<i64>)> {
    let doing = "making an example";
    let full: Vec<i64> = std::iter::once(2).chain(sample_shape.iter().copied()).collect();
    let count: i64 = full.iter().product();
    let ramp = Tensor::f_arange(count, (Kind::Double, device)).and_then(|v| v.f_mul_scalar(0.7)).doing(doing)?;
    let x = ramp.f_sin().and_then(|v| v.f_view(&full[..])).and_then(|v| v.f_to_kind(kind)).doing(doing)?;
    Ok((x, full))
}

impl Network for TorchScript {
    fn forward(&self, x: &Dual, t: &Dual, condition: &Condition) -> Result<Dual> {
        if x.tangent.is_some() {
            return Err(Error::unsupported(
                "a derivative in x of a TorchScript module",
                "it is available for networks that lipscope loads natively",
                "Use --quantity secant or derivative.",
            ));
        }
        if let Some(tangent) = &t.tangent {
            return self.with_rate([&x.value, &t.value, tangent], condition);
        }
        let time = if self.integer_time {
            // An integer condition exists only on the grid.
            let rounded = t.value.f_round().doing("rounding timesteps")?;
            if !rounded.equal(&t.value) {
                return Err(Error::file(
                    &self.path,
                    "this module takes integer timesteps, and a fraction was asked for",
                    "Use whole numbers in --timesteps and --dt.",
                ));
            }
            rounded.f_to_kind(Kind::Int64).doing("rounding timesteps")?
        } else {
            t.value.shallow_clone()
        };
        self.call(&x.value, &time, condition)
            .map(Dual::constant)
            .map_err(|message| self.explain(&message, &x.value.size()))
    }

    fn carries_tangents(&self) -> bool {
        self.rate.is_some()
    }

    fn carries_x_tangents(&self) -> bool {
        false
    }

    fn rate_route(&self) -> &'static str {
        self.rate.as_ref().map_or("none", rate::Route::name)
    }

    fn prepare_rate(&mut self, probe: &Probe) -> Result<()> {
        self.find_route(probe)
    }

    fn takes_context(&self) -> bool {
        self.signature.takes_context()
    }

    fn takes_class(&self) -> bool {
        self.signature.takes_class()
    }

    fn input_shape(&self) -> InputShape {
        InputShape { sample: None, channels: None, resizable: false }
    }

    fn architecture(&self) -> String {
        "TorchScript module".into()
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.module.named_parameters().unwrap_or_default()
    }

    /// Calls the module at two times to find out what it takes: float or integer t, and whether t matters at all.
    fn prepare(&mut self, probe: &Probe) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        let &Probe { sample_shape, times, condition, device, kind } = probe;
        let (x, full) = example(sample_shape, device, kind)?;
        let time_kind = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        let at = |t: f64, kind: Kind| Tensor::f_full([2], t, (kind, device)).doing("probing");
        let first = match self.call(&x, &at(times[0], time_kind)?, condition) {
            Ok(output) => output,
            Err(float) => match self.call(&x, &at(times[0], Kind::Int64)?, condition) {
                Ok(output) => {
                    self.integer_time = true;
                    output
                }
                Err(_) => return Err(self.explain(&float, &full)),
            },
        };
        let time_kind = if self.integer_time { Kind::Int64 } else { time_kind };
        let second =
            self.call(&x, &at(times[1], time_kind)?, condition).map_err(|message| self.explain(&message, &full))?;
        if first.size() == second.size() && first.equal(&second) {
            return Err(Error::file(
                &self.path,
                format!("its output does not depend on t: it is the same at t = {} and t = {}", times[0], times[1]),
                "Was the module traced with t as a Python number? Then t is baked in as a constant: trace it again with \
                 t as a tensor, such as torch.jit.trace(f, (x, torch.tensor([0., 500.]))).",
            ));
        }
        let both = [at(times[0], time_kind)?, at(times[1], time_kind)?];
        self.time_per_row = self.tells_rows_apart(&x, &both, [&first, &second], condition);
        Ok(())
    }

    fn mixes_timesteps(&self) -> bool {
        self.time_per_row
    }

    fn set_time_kind(&mut self, kind: Option<Kind>) -> Result<&'static str> {
        if self.integer_time {
            return Err(integer_time("TorchScript module"));
        }
        self.time_kind = kind;
        Ok("t as the module gets it; what it computes from t follows its own code")
    }

    fn time_kind(&self) -> Option<Kind> {
        self.time_kind
    }

    fn to(&mut self, device: Device, kind: Kind) -> Result<()> {
        self.module.to(device, kind, false);
        Ok(())
    }
}
