//! Models of more than one time: u(x, t, r) of MeanFlow (arXiv 2505.13447), G(x, t, s) of consistency trajectory models
//! (arXiv 2310.02279), the step size of shortcut models (arXiv 2410.12557). `--inputs x,t,r=time*0.5` says what the other
//! arguments are told where t is told a number, `--moves t,r` which of them move in a change or a rate; the others are held
//! at their values for the t that x was drawn at.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An argument that follows time: it is told offset + factor · (the number that t is told).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeInput {
    /// What it is called.
    pub name: String,
    /// What the number that t is told is multiplied by; not 0.
    pub factor: f64,
    /// What is added to the product.
    pub offset: f64,
}

impl TimeInput {
    /// From `NAME=time`, `time*FACTOR`, with +OFFSET or -OFFSET behind it, or OFFSET- before it; `None` where `value` is
    /// something else, such as the name of a file.
    ///
    /// # Errors
    /// The factor is 0 or one of the numbers is none: in words, for the option's own message.
    pub fn parse(name: &str, value: &str) -> Option<std::result::Result<Self, String>> {
        let (before, after) = value.split_once("time")?;
        let (sign, before) = match before.strip_suffix('-') {
            Some(offset) => (-1.0, offset),
            None if before.is_empty() => (1.0, "0"),
            None => return None,
        };
        let before = before.trim().parse::<f64>().ok()?;
        let (product, rest) = match after.strip_prefix('*') {
            Some(rest) => {
                // The sign of an exponent is no offset.
                let end =
                    rest.char_indices().skip(1).find(|&(i, c)| "+-".contains(c) && !rest[..i].ends_with(['e', 'E']));
                let end = end.map_or(rest.len(), |(i, _)| i);
                (&rest[..end], &rest[end..])
            }
            None => ("1", after),
        };
        if !rest.is_empty() && !rest.starts_with(['+', '-']) {
            return None;
        }
        let after = if rest.is_empty() { Ok(0.0) } else { rest.parse::<f64>() };
        let numbers = product.trim().parse::<f64>().ok().zip(after.ok());
        let Some((factor, after)) = numbers.filter(|(factor, after)| factor.is_finite() && after.is_finite()) else {
            // `time-line.npy` may be a file.
            return after_star(value).then(|| Err(format!("`{value}` is not time times a number")));
        };
        if factor == 0.0 {
            return Some(Err(format!(
                "`{name}` does not follow time with the factor 0; write {name}={}",
                before + after
            )));
        }
        Some(Ok(TimeInput { name: name.into(), factor: sign * factor, offset: before + after }))
    }

    /// What it is told where t is told `told`.
    pub fn at(&self, told: f64) -> f64 {
        self.offset + self.factor * told
    }
}

/// Whether it is meant as a product.
fn after_star(value: &str) -> bool {
    value.contains("time*")
}

/// As it is typed, behind the name: `time*0.5`.
impl fmt::Display for TimeInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.factor {
            1.0 => write!(f, "time")?,
            factor => write!(f, "time*{factor}")?,
        }
        if self.offset == 0.0 { Ok(()) } else { write!(f, "{:+}", self.offset) }
    }
}

/// `--moves NAME[,NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moves(pub Vec<String>);

const NEXT: &str = "Such as --inputs x,t,r=time --moves t,r: t, and names that --inputs has follow time.";

impl FromStr for Moves {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_string()).collect();
        let twice = names.iter().enumerate().any(|(i, name)| names[..i].contains(name));
        if twice || names.iter().any(String::is_empty) {
            return Err(Error::argument("--moves", text, "it names arguments of time once each", NEXT));
        }
        Ok(Moves(names))
    }
}

impl fmt::Display for Moves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// The arguments of time of a model, and which of them move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// Whether t moves; with it α, σ and what turns an output into ε.
    pub t_moves: bool,
    /// The arguments that follow time, in the order of the model's inputs.
    pub others: Vec<TimeArgument>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeArgument {
    /// What it is told.
    #[serde(flatten)]
    pub input: TimeInput,
    /// Whether it moves; else it is held.
    pub moves: bool,
}

impl Default for Clock {
    fn default() -> Self {
        Clock { t_moves: true, others: Vec::new() }
    }
}

impl Clock {
    /// That of a model with these arguments; without `moves` t moves and they are held. `what` is the model, for messages.
    ///
    /// # Errors
    /// Something else than an argument of time is to move.
    pub fn new(what: &str, inputs: &[TimeInput], moves: Option<&Moves>) -> Result<Self> {
        let Some(moves) = moves else {
            let held = |input: &TimeInput| TimeArgument { input: input.clone(), moves: false };
            return Ok(Clock { t_moves: true, others: inputs.iter().map(held).collect() });
        };
        let known = |name: &String| name == "t" || inputs.iter().any(|input| input.name == *name);
        if inputs.is_empty() {
            let allowed = format!("this {what} has one argument of time, t, which moves anyway");
            let next = "Leave it out; a second time of a TorchScript module is named with --inputs x,t,r=time.";
            return Err(Error::argument("--moves", moves, allowed, next));
        }
        if let Some(unknown) = moves.0.iter().find(|name| !known(name)) {
            let names: Vec<&str> = std::iter::once("t").chain(inputs.iter().map(|input| input.name.as_str())).collect();
            let allowed = format!("the arguments of time are {}", names.join(", "));
            return Err(Error::argument("--moves", unknown, allowed, NEXT));
        }
        let moves = |name: &str| moves.0.iter().any(|moving| moving == name);
        let other = |input: &TimeInput| TimeArgument { input: input.clone(), moves: moves(&input.name) };
        Ok(Clock { t_moves: moves("t"), others: inputs.iter().map(other).collect() })
    }

    /// Whether t is all that there is.
    pub fn is_plain(&self) -> bool {
        *self == Clock::default()
    }

    /// What moves and what is held, in words.
    pub fn in_words(&self) -> String {
        let t = (if self.t_moves { "moves" } else { "held" }, "t".to_string());
        let other = |other: &TimeArgument| {
            let says = if other.moves { "moves" } else { "held" };
            (says, format!("{} = {}", other.input.name, other.input))
        };
        let all: Vec<(&str, String)> = std::iter::once(t).chain(self.others.iter().map(other)).collect();
        let of = |wanted: &str| {
            let names: Vec<&str> =
                all.iter().filter(|(says, _)| *says == wanted).map(|(_, name)| name.as_str()).collect();
            (!names.is_empty()).then(|| format!("{} {wanted}", names.join(" and ")))
        };
        // `t moves, r = time held`, `t and r = time move`.
        let words: Vec<String> = ["moves", "held"].into_iter().filter_map(of).collect();
        let plural = all.iter().filter(|(says, _)| *says == "moves").count() > 1;
        let words = words.join(", ");
        if plural { words.replacen(" moves", " move", 1) } else { words }
    }

    /// What moves, behind a name: ` in t and r`; nothing where t is all that there is.
    pub(crate) fn variables(&self) -> String {
        let others = self.others.iter().filter(|other| other.moves).map(|other| other.input.name.as_str());
        let names: Vec<&str> = self.t_moves.then_some("t").into_iter().chain(others).collect();
        if self.is_plain() { String::new() } else { format!(" in {}", names.join(" and ")) }
    }

    /// The arguments in a formula, at t and at another time that is called `next`: `t, r` and `t+1, r`.
    pub(crate) fn arguments(&self, next: &str) -> (String, String) {
        let name = |other: &TimeArgument| other.input.name.clone();
        let moved = |other: &TimeArgument| if other.moves { format!("{}′", other.input.name) } else { name(other) };
        let t = if self.t_moves { next } else { "t" };
        let list = |first: &str, others: Vec<String>| {
            std::iter::once(first.to_string()).chain(others).collect::<Vec<_>>().join(", ")
        };
        (list("t", self.others.iter().map(name).collect()), list(t, self.others.iter().map(moved).collect()))
    }

    /// What the derivative is of `f` in `variable`, at fixed x: `∂f/∂t`, `∂f/∂r · dr/dt`, or both added.
    pub(crate) fn derivative(&self, f: &str, variable: &str) -> String {
        let own = self.t_moves.then(|| format!("∂{f}/∂{variable}"));
        let moving = self.others.iter().filter(|other| other.moves);
        let other = |other: &TimeArgument| {
            let name = &other.input.name;
            format!("∂{f}/∂{name}·d{name}/d{variable}")
        };
        own.into_iter().chain(moving.map(other)).collect::<Vec<_>>().join(" + ")
    }

    /// What the other arguments are, behind a formula: `r = time*0.5`.
    pub(crate) fn meaning(&self) -> String {
        let each = self.others.iter().map(|other| format!("{} = {}", other.input.name, other.input));
        each.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Option<std::result::Result<(f64, f64), String>> {
        TimeInput::parse("r", value).map(|input| input.map(|input| (input.factor, input.offset)))
    }

    #[test]
    fn what_follows_time_is_affine_in_it() {
        for (text, expected) in [
            ("time", (1.0, 0.0)),
            ("time*0.5", (0.5, 0.0)),
            ("time*-1", (-1.0, 0.0)),
            ("time*1e-3", (1e-3, 0.0)),
            ("time-20", (1.0, -20.0)),
            ("time*0.5+0.25", (0.5, 0.25)),
            ("time*2e-1-3", (0.2, -3.0)),
            ("1-time", (-1.0, 1.0)),
            ("1-time*0.5", (-0.5, 1.0)),
        ] {
            assert_eq!(parsed(text), Some(Ok(expected)), "{text}");
        }
        for text in ["0.5", "times.npy", "time.npy", "time-line.npy", "a/time", "normal"] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert!(parsed("time*0").unwrap().unwrap_err().contains("write r=0"));
        assert!(parsed("time*x").unwrap().is_err() && parsed("time*inf").unwrap().is_err());
        let shown = |text: &str| TimeInput::parse("r", text).unwrap().unwrap().to_string();
        assert_eq!(["time", "time*0.5", "time-20", "1-time"].map(shown), ["time", "time*0.5", "time-20", "time*-1+1"]);
    }

    #[test]
    fn t_moves_unless_something_else_is_said() {
        let r = TimeInput { name: "r".into(), factor: 0.5, offset: 0.0 };
        let clock = |moves: Option<&str>| {
            Clock::new("module", std::slice::from_ref(&r), moves.map(|moves| moves.parse().unwrap()).as_ref())
        };
        assert_eq!(clock(None).unwrap().in_words(), "t moves, r = time*0.5 held");
        assert_eq!(clock(Some("r")).unwrap().in_words(), "r = time*0.5 moves, t held");
        assert_eq!(clock(Some("r,t")).unwrap().in_words(), "t and r = time*0.5 move");
        assert_eq!([None, Some("t,r")].map(|moves| clock(moves).unwrap().variables()), [" in t", " in t and r"]);
        let unknown = clock(Some("t,s")).unwrap_err().to_string();
        assert!(unknown.contains("--moves") && unknown.contains("t, r"), "{unknown}");
        let one = Clock::new("UNet2DModel", &[], Some(&"t".parse().unwrap())).unwrap_err().to_string();
        assert!(one.contains("UNet2DModel has one argument of time"), "{one}");
        assert!(Clock::new("UNet2DModel", &[], None).unwrap().is_plain());
        assert!(["t,t", "", "t,"].iter().all(|text| text.parse::<Moves>().is_err()));
    }

    #[test]
    fn a_clock_is_the_same_in_files() {
        let r = TimeInput { name: "r".into(), factor: 0.5, offset: 0.25 };
        let clock = Clock::new("module", &[r], Some(&Moves(vec!["r".into()]))).unwrap();
        let text = serde_json::to_string(&clock).unwrap();
        assert_eq!(text, r#"{"t_moves":false,"others":[{"name":"r","factor":0.5,"offset":0.25,"moves":true}]}"#);
        assert_eq!(serde_json::from_str::<Clock>(&text).unwrap(), clock);
    }
}
