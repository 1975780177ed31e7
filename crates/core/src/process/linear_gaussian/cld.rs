//! Critically damped Langevin diffusion (Dockhorn et al., arXiv 2112.07068, eq. 5): dx = v/M β dt,
//! dv = −(x + Γ v/M) β dt + √(2Γβ) dW with Γ² = 4M, v₀ ~ N(0, γM). Defaults are those of its code.
//!
//! Q = (0 −1; 1 0), D = diag(0, Γ), the stationary law N(0, diag(1, M)). e^{AB} = e^{−B/√M}(I + (A + I/√M) B), since
//! A + I/√M squares to 0.

use super::{LinearGaussian, Terms};
use crate::error::{Error, Result};
use crate::process::{Other, ProcessSpec};
use crate::schedule::Parameters;
use ndarray::array;

/// `cld:mass=0.25,gamma=0.04,beta=4,eps=1e-9`.
pub const CLD: Other = Other {
    name: "cld",
    about: "critically damped Langevin: x with a velocity v, v₀ ~ N(0, gamma·mass) (arXiv 2112.07068)",
    read,
};

const KNOWN: [(&str, &str); 5] =
    [("mass", "0.25"), ("gamma", "0.04"), ("beta", "4"), ("eps", "1e-9"), ("timesteps", "1000")];

fn read(parameters: &str, whole: &str) -> Result<ProcessSpec> {
    let parameters = Parameters::read((CLD.name, &KNOWN), parameters, whole)?;
    let not_negative = |key: &str| match parameters.number(key)? {
        number if number >= 0.0 => Ok(number),
        number => {
            let name = format!("the schedule's {key}");
            Err(Error::argument(&name, number, "it is 0 or above", format!("Give a {key} of 0 or above.")))
        }
    };
    let (mass, beta) = (parameters.positive("mass")?, parameters.positive("beta")?);
    let terms = Terms {
        q: array![[0.0, -1.0], [1.0, 0.0]],
        d: array![[0.0, 0.0], [0.0, 2.0 * mass.sqrt()]],
        stationary: vec![1.0, mass],
        initial: not_negative("gamma")? * mass,
        beta: (beta, beta),
        epsilon: not_negative("eps")?,
        timesteps: parameters.timesteps()?,
    };
    let next = "Choose numbers of moderate size, such as the defaults.";
    LinearGaussian::build(terms, whole, |problem| Error::argument("the schedule", whole, problem, next))
}
