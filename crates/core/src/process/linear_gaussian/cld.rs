//! Critically damped Langevin diffusion (Dockhorn et al., arXiv 2112.07068, eq. 5): dx = v/M β dt,
//! dv = −(x + Γ v/M) β dt + √(2Γβ) dW with Γ² = 4M, v₀ ~ N(0, γM). Defaults are those of its code.
//!
//! Q = (0 −1; 1 0), D = diag(0, Γ), the stationary law N(0, diag(1, M)). e^{AB} = e^{−B/√M}(I + (A + I/√M) B), since
//! A + I/√M squares to 0.

use super::{LinearGaussian, Member, Terms, timesteps};
use crate::error::{Error, Result};
use ndarray::array;

pub(super) const MEMBER: Member = Member {
    name: "cld",
    parameters: "mass=0.25,gamma=0.04,beta=4,eps=1e-9,timesteps=1000",
    about: "critically damped Langevin: x with a velocity v of initial variance gamma·mass (arXiv 2112.07068)",
    build,
};

/// Keys with their defaults, and whether 0 is allowed.
const NUMBERS: [(&str, f64, bool); 4] =
    [("mass", 0.25, false), ("gamma", 0.04, true), ("beta", 4.0, false), ("eps", 1e-9, true)];

fn build(text: &str) -> Result<LinearGaussian> {
    let mut numbers = NUMBERS.map(|(_, default, _)| default);
    let mut steps = 1000;
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let known = NUMBERS.iter().position(|(name, _, _)| *name == key);
        match known {
            Some(place) => numbers[place] = number(key, value, NUMBERS[place].2)?,
            None if key == "timesteps" => steps = timesteps(value)?,
            None => {
                let allowed = "`cld` takes mass, gamma, beta, eps, timesteps as key=value";
                return Err(Error::argument("--schedule", format!("cld:{text}"), allowed, format!("Change `{pair}`.")));
            }
        }
    }
    let [mass, gamma, beta, epsilon] = numbers;
    let terms = Terms {
        q: array![[0.0, -1.0], [1.0, 0.0]],
        d: array![[0.0, 0.0], [0.0, 2.0 * mass.sqrt()]],
        stationary: vec![1.0, mass],
        initial: gamma * mass,
        beta: (beta, beta),
        epsilon,
        timesteps: steps,
    };
    let next = "Choose numbers of moderate size, such as the defaults.";
    LinearGaussian::new(terms, |problem| Error::argument("--schedule", format!("cld:{text}"), problem, next))
}

fn number(key: &str, text: &str, zero: bool) -> Result<f64> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && (*number > 0.0 || zero && *number == 0.0));
    number.ok_or_else(|| {
        let allowed = if zero { "it is a number, 0 or above" } else { "it is a number above 0" };
        let default = NUMBERS.iter().find(|(name, _, _)| *name == key).map_or(1.0, |(_, default, _)| *default);
        Error::argument(&format!("the schedule's {key}"), text, allowed, format!("Such as {key}={default}."))
    })
}
