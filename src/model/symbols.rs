//! Networks that are known to be over symbols: they take no numbers, and other symbols than theirs neither.

use crate::checkpoint::Declared;
use crate::error::{Error, Result};
use crate::network::{Takes, other_symbols};
use crate::process::ProcessSpec;
use lipscope_core::options::Overrides;

/// Refuses a forward process that does not go with the network's symbols.
pub fn check(takes: &Takes, declared: &Declared, overrides: &Overrides) -> Result<()> {
    let Some(own) = takes.symbols else { return Ok(()) };
    let architecture = &takes.architecture;
    let problem = match overrides.schedule.as_ref().or(declared.schedule.as_ref()) {
        Some(ProcessSpec::Jump(jump)) => {
            let states = jump.graph.states() as i64;
            return if states == own { Ok(()) } else { Err(other_symbols(architecture, own, states)) };
        }
        Some(other) => format!("a {architecture} is over symbols, and under {other} states are numbers"),
        None => format!("a {architecture} is over symbols, and its file names no noise over time for them"),
    };
    let next = format!(
        "Give --schedule absorb:symbols={},noise=log-linear where the last symbol is a mask, uniform:symbols={own} where there is \
         none; noise=geometric,min=1e-4,max=20 is the other noise.",
        own - 1
    );
    Err(Error::mismatch(problem, next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network;
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn symbols_need_a_process_over_as_many() {
        let config = json!({"_class_name": "SEDD", "vocab_size": 8});
        let takes = network::takes(&config, Path::new("test")).unwrap();
        let of = |file: Option<&str>, flag: Option<&str>| {
            let declared = Declared { schedule: file.map(|text| text.parse().unwrap()), ..Declared::default() };
            let overrides = Overrides { schedule: flag.map(|text| text.parse().unwrap()), ..Overrides::default() };
            check(&takes, &declared, &overrides).map_err(|e| e.to_string())
        };
        for process in ["absorb:symbols=7", "uniform:symbols=8"] {
            assert_eq!((of(Some(process), None), of(Some("linear"), Some(process))), (Ok(()), Ok(())));
        }
        assert!(of(None, None).unwrap_err().contains("absorb:symbols=7"));
        assert!(of(None, Some("cosine")).unwrap_err().contains("states are numbers"));
        assert!(of(Some("absorb:symbols=8"), None).unwrap_err().contains("have 9"));
    }
}
