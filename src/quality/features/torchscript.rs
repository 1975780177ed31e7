//! Features of a TorchScript module: any network whose output, or whose output's first tensor, is [B, d] or [B, d, 1, 1].

use super::Extractor;
use crate::checkpoint::sha256;
use crate::error::{Doing, Error, Result, torch_message};
use crate::libtorch::load_script;
use crate::network::torchscript::first_tensor;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tch::{CModule, Device, IValue, Kind, Tensor};

/// What the module is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Integers 0…255, and `true` as a second argument where the module takes one: the detectors of StyleGAN, whose
    /// second argument asks for features.
    Bytes,
    /// float32 in [−1, 1].
    Floats,
}

/// How samples become the module's input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preprocessing {
    /// What it is given; `None` to find out: integers where it takes a second argument, floats otherwise.
    pub input: Option<Input>,
    /// Height and width that images are resized to, bilinearly and with antialiasing; `None` leaves that to the module.
    pub resize: Option<i64>,
}

/// A feature network.
pub struct TorchScriptFeatures {
    module: CModule,
    path: PathBuf,
    name: String,
    sha256: String,
    device: Device,
    input: Input,
    /// Whether it gets `true` as a second argument.
    asks: bool,
    /// Whether one channel is repeated to three.
    colours: bool,
    resize: Option<i64>,
}

/// Samples per call of the module.
const BATCH: i64 = 64;

impl TorchScriptFeatures {
    /// Loads a module and finds out how samples of this shape are given to it.
    ///
    /// # Errors
    ///
    /// It is no TorchScript module, or it does not take such samples.
    pub fn load(path: &Path, shape: &[i64], preprocessing: Preprocessing, device: Device) -> Result<Self> {
        let module = load_script(path, device, "this feature network")?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Preprocessing { input, resize } = preprocessing;
        if (resize.is_some() || input == Some(Input::Bytes)) && shape.len() != 3 {
            let problem = format!("bytes and resizing are for images [C, H, W], and the samples have shape {shape:?}");
            return Err(Error::mismatch(problem, "Use --features-input float, without --features-resize."));
        }
        let mut found = TorchScriptFeatures {
            module,
            path: path.to_path_buf(),
            name,
            sha256: sha256(path)?,
            device,
            input: Input::Floats,
            asks: false,
            colours: false,
            resize,
        };
        found.find_call(shape, input)?;
        Ok(found)
    }

    /// Tries the ways to call it that `asked` leaves, the most telling first.
    fn find_call(&mut self, shape: &[i64], asked: Option<Input>) -> Result<()> {
        let grey = shape.len() == 3 && shape[0] == 1;
        // Bytes are for detectors of colour images. Floats go in as they are where the module takes that.
        let mut ways = Vec::new();
        if asked != Some(Input::Floats) && shape.len() == 3 {
            ways.push((Input::Bytes, true, grey));
        }
        if asked == Some(Input::Bytes) {
            ways.extend([(Input::Bytes, false, grey), (Input::Bytes, false, false)]);
        } else {
            ways.extend([(Input::Floats, false, false), (Input::Floats, false, grey)]);
        }
        let full: Vec<i64> = std::iter::once(2).chain(shape.iter().copied()).collect();
        let count: i64 = full.iter().product();
        let example = Tensor::f_arange(count, (Kind::Float, Device::Cpu)).and_then(|v| v.f_sin()?.f_view(&full[..]));
        let example = example.doing("making an example")?;
        let mut reasons = Vec::new();
        for (input, asks, colours) in ways {
            (self.input, self.asks, self.colours) = (input, asks, colours);
            match self.call(&example) {
                Ok(_) => return Ok(()),
                Err(reason) => reasons.push(reason),
            }
        }
        let reason = reasons.pop().unwrap_or_default();
        Err(Error::file(
            &self.path,
            format!("this module gives no features of samples of shape {shape:?} ({reason})"),
            "It is called as f(x) with floats in [−1, 1], or as f(x, True) with bytes; its output is [B, d]. \
             --features-input and --features-resize say more.",
        ))
    }

    /// Features [B, d] of a batch in float64, or why there are none.
    fn call(&self, samples: &Tensor) -> std::result::Result<Tensor, String> {
        let _no_grad = tch::no_grad_guard();
        let input = self.prepare(samples).map_err(|e| torch_message(&e))?;
        let mut inputs = vec![IValue::Tensor(input)];
        inputs.extend(self.asks.then_some(IValue::Bool(true)));
        let output = self.module.forward_is(&inputs).map_err(|e| torch_message(&e))?;
        let features = first_tensor(output).ok_or("its output holds no tensor")?;
        let (size, rows) = (features.size(), samples.size()[0]);
        let is_row = size.len() >= 2 && size[0] == rows && size[2..].iter().all(|n| *n == 1);
        if !is_row {
            return Err(format!("its output has shape {size:?} for {rows} samples, where [{rows}, d] is due"));
        }
        let flat =
            features.f_reshape([rows, size[1]]).and_then(|v| v.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double));
        flat.map_err(|e| torch_message(&e))
    }

    fn prepare(&self, samples: &Tensor) -> std::result::Result<Tensor, tch::TchError> {
        let mut x = samples.f_to_device(self.device)?.f_to_kind(Kind::Float)?;
        if let Some(size) = self.resize {
            x = x.f_internal_upsample_bilinear2d_aa([size, size], false, None, None)?;
        }
        if self.colours {
            x = x.f_repeat([1, 3, 1, 1])?;
        }
        match self.input {
            Input::Floats => Ok(x),
            // Pixels as an image file would hold them: 127.5 (x + 1), rounded.
            Input::Bytes => {
                x.f_add_scalar(1.0)?.f_mul_scalar(127.5)?.f_round()?.f_clamp(0, 255)?.f_to_kind(Kind::Uint8)
            }
        }
    }
}

impl Extractor for TorchScriptFeatures {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> Value {
        json!({
            "name": self.name,
            "sha256": self.sha256,
            "input": match self.input { Input::Bytes => "uint8", Input::Floats => "float" },
            "return_features": self.asks,
            "grey_to_colour": self.colours,
            "resize": self.resize,
        })
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn extract(&self, samples: &Tensor) -> Result<Tensor> {
        let doing = "extracting features";
        let parts: Vec<Tensor> = samples.f_split(BATCH, 0).doing(doing)?;
        let call = |part: &Tensor| {
            let failed =
                |reason| Error::file(&self.path, format!("the feature network failed ({reason})"), "Try --device cpu.");
            self.call(part).map_err(failed)
        };
        let features: Vec<Tensor> = parts.iter().map(call).collect::<Result<_>>()?;
        Tensor::f_cat(&features, 0).doing(doing)
    }
}
