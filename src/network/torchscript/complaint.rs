//! libtorch's complaints about a call in words of this task.

use super::TorchScript;
use super::code::Code;
use crate::error::Error;
use std::path::Path;
use tch::Device;

impl TorchScript {
    /// What a complaint about a call with x of `shape` means, and what to do.
    pub(super) fn explain(&self, message: &str, shape: &[i64], device: Device) -> Error {
        let file = |problem: String, next: &str| Error::file(&self.path, problem, next);
        let arguments = self.signature.arguments();
        if let Some(rest) = message.split("missing value for argument '").nth(1) {
            let name = rest.split('\'').next().unwrap_or("?");
            let problem =
                format!("this module wants more inputs than the {arguments} it was given: `{name}` is missing");
            return file(problem, &format!("Name them all with --inputs, such as x,t,{name}=FILE."));
        }
        if message.to_lowercase().contains("expected at most") && arguments > 2 {
            let problem = format!("this module takes fewer inputs than the {arguments} of --inputs");
            return file(problem, "Name each of its inputs once, in their order.");
        }
        if message.to_lowercase().contains("expected at most") {
            return file(
                "this module takes x alone: t is baked in, or is not an input".into(),
                "Export a module f(x, t) with t a tensor of one scalar per sample.",
            );
        }
        if let Some((wanted, given)) = channels(message) {
            if given < wanted {
                return conditioned(&self.path, wanted, given);
            }
            let problem = format!("its first convolution takes {wanted} channels, and x has {given}");
            return file(problem, "Give data of that many channels, or say --shape C,H,W.");
        }
        if let Some(other) = self.foreign_device(message, device) {
            let here = in_words(device);
            let kind = other.split(':').next().unwrap_or_default().to_string();
            let next = format!(
                "Trace it on the device {here}, with the model and the example moved there before torch.jit.trace, or run \
                 it with --device {kind}."
            );
            return file(format!("it was traced on {other}, which its code names, and cannot run on {here}"), &next);
        }
        if let Some(symbols) = self.symbols {
            let problem = format!(
                "the module cannot be called with the symbols 0 to {} as int64 of shape {shape:?} and t of shape [2], [1] or \
                 none ({message})",
                symbols - 1
            );
            let next = "Check that --schedule has the process and the number of symbols that it was trained with, and that \
                        the data has as many positions.";
            return file(problem, next);
        }
        if ["same dtype", "scalar type", "should be the same"].iter().any(|words| message.contains(words)) {
            let problem = format!("parts of it are cast to another dtype than was asked for ({message})");
            return file(problem, "Leave out --dtype: then it runs in the dtype that its code names.");
        }
        file(
            format!(
                "the module cannot be called with x of shape {shape:?} and t of shape [2], [1] or none ({message})"
            ),
            "Check the sample's shape (--shape C,H,W, or the data's), and that the module takes any batch size and t of \
             one scalar per sample or per batch.",
        )
    }

    /// The device that the code names, where the complaint is about devices.
    fn foreign_device(&self, message: &str, device: Device) -> Option<String> {
        let about = ["'CUDA' backend", "cuda", "CUDA", "NVIDIA", "MPS", "same device", "on device"];
        let is_about = about.iter().any(|words| message.contains(words));
        let code = is_about.then(|| Code::read(&self.path))?;
        code.other_device(&in_words(device)).map(str::to_string)
    }
}

/// `cpu`, `cuda:0`.
fn in_words(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// The channels that a convolution wants and was given: "expected input[2, 1, 8, 8] to have 2 channels, but got 1 channels".
fn channels(message: &str) -> Option<(i64, i64)> {
    let number = |text: &str| text.split_whitespace().next()?.parse().ok();
    let rest = message.split("to have ").nth(1)?;
    Some((number(rest)?, number(rest.split("but got ").nth(1)?)?))
}

/// The error for a network that takes more channels than x has: the others are a condition.
pub(crate) fn conditioned(path: &Path, inputs: i64, outputs: i64) -> Error {
    let others = match inputs - outputs {
        1 => "the other one is a condition".to_string(),
        others => format!("the other {others} are a condition"),
    };
    let problem = format!(
        "it takes {inputs} channels and answers with {outputs}: x is what the output answers to, so x has {outputs}, and \
         {others}, such as a small picture or a mask and what it covers"
    );
    let next = "Noise must not be laid over a condition: give it with --concat FILE, one array [C, H, W] for all samples or \
                [N, C, H, W] for the rows of the data. Where they are auxiliary variables, such as velocities, name the process: \
                --schedule cld.";
    Error::file(path, problem, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_read_from_the_complaint() {
        let message = "Given groups=1, weight of size [4, 2, 3, 3], expected input[2, 1, 8, 8] to have 2 channels, but got 1 \
                       channels instead";
        assert_eq!(channels(message), Some((2, 1)));
        assert_eq!(channels("Sizes of tensors must match"), None);
    }
}
