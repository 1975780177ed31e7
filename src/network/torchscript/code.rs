//! What a module's own code says: the functions that it calls and the devices that it names. Read as text, never run.

use crate::tensor_file;
use std::path::Path;
use tch::Kind;

/// The code of a module; empty where it cannot be read.
pub(super) struct Code {
    text: String,
}

/// Functions that draw random numbers, as TorchScript writes their calls.
const DRAWS: [&str; 12] = [
    "torch.dropout(",
    "torch.dropout_(",
    "torch.feature_dropout(",
    "torch.alpha_dropout(",
    "torch.feature_alpha_dropout(",
    "torch.native_dropout(",
    "torch.bernoulli(",
    "torch.rand(",
    "torch.rand_like(",
    "torch.randn(",
    "torch.randn_like(",
    "torch.normal(",
];

impl Code {
    /// Of the module at `path`.
    pub fn read(path: &Path) -> Self {
        Code { text: tensor_file::script_code(path).unwrap_or_default() }
    }

    pub fn has(&self, words: &str) -> bool {
        self.text.contains(words)
    }

    /// The first function in it that draws random numbers.
    pub fn draws(&self) -> Option<&'static str> {
        DRAWS.into_iter().find(|call| self.has(call)).map(|call| call.trim_end_matches('('))
    }

    /// Whether it casts to float16 or bfloat16, which it writes as the numbers 5 and 15.
    pub fn casts_to(&self, half: Kind) -> bool {
        let number = if half == Kind::Half { 5 } else { 15 };
        let casts = self.text.split("torch.to(").skip(1).filter_map(|rest| rest.lines().next());
        let ends = [format!(", {number})"), format!(", {number},")];
        casts.into_iter().any(|cast| ends.iter().any(|end| cast.contains(end))) || self.has(&format!("dtype={number},"))
    }

    /// The first device that it names other than `device`, such as `cuda:0`; `cpu` and `cuda` are devices by their kind.
    pub fn other_device(&self, device: &str) -> Option<&str> {
        let named = self.text.split("torch.device(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let kind = |name: &str| name.split(':').next().unwrap_or_default().to_string();
        named.filter(|name| name.len() < 16).find(|name| kind(name) != kind(device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_draws_are_found_in_the_text() {
        let code = Code {
            text: "x = torch.to(t, dtype=6, device=torch.device(\"cpu\"))\ny = torch.zeros([2], device=torch.device(\"cuda:0\"))\n\
                   z = torch.dropout(x, 0.1, True)"
                .into(),
        };
        assert_eq!((code.other_device("cpu"), code.other_device("cuda:1")), (Some("cuda:0"), Some("cpu")));
        assert_eq!(code.draws(), Some("torch.dropout"));
        let casts = |text: &str, kind| Code { text: text.into() }.casts_to(kind);
        assert!(casts("_1 = torch.to(torch.unsqueeze(_0, 1), 5)\n", Kind::Half));
        assert!(casts("y = torch.zeros([2], dtype=15, layout=None)", Kind::BFloat16));
        assert!(!casts("_1 = torch.to(x, 6)\n_2 = torch.slice(x, 0, 5)", Kind::Half));
        assert_eq!(Code { text: String::new() }.draws(), None);
    }
}
