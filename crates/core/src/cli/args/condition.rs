//! Where the values of a condition come from: `FILE`, `@FILE`, `@COLUMN`; and `--inputs x,t,NAME=…`.

use crate::clock::TimeInput;
use crate::data::DataSpec;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where the values of a condition come from. Each file may be FILE#ARRAY, for one of several arrays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionSource {
    /// `FILE`: the same for every sample.
    Same(PathBuf),
    /// `@FILE`: one for each row of the data, drawn with x₀.
    Rows(PathBuf),
    /// `@COLUMN`: the same, an array of the file that the data comes from.
    Column(String),
}

/// Endings of files of arrays.
const ENDINGS: [&str; 5] = [".npy", ".npz", ".safetensors", ".pt", ".pth"];

impl FromStr for ConditionSource {
    type Err = Error;

    /// Behind an @ stands a file if it looks like one or is there; else a column, whose name may have dots.
    fn from_str(text: &str) -> Result<Self> {
        let Some(rest) = text.strip_prefix('@') else { return Ok(ConditionSource::Same(text.into())) };
        let file = rest.rsplit_once('#').map_or(rest, |(file, _)| file);
        let is_file = file.contains(['/', '\\']) || ENDINGS.iter().any(|ending| file.ends_with(ending));
        match rest {
            "" => {
                let allowed = "behind an @ stands a file, or an array of the data's file";
                Err(Error::argument("a condition", text, allowed, "Such as @obs with --data demos.npz#action."))
            }
            _ if is_file || Path::new(file).is_file() => Ok(ConditionSource::Rows(rest.into())),
            _ => Ok(ConditionSource::Column(rest.into())),
        }
    }
}

impl std::fmt::Display for ConditionSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ConditionSource::Same(path) => path.display().fmt(f),
            ConditionSource::Rows(path) => write!(f, "@{}", path.display()),
            ConditionSource::Column(name) => write!(f, "@{name}"),
        }
    }
}

impl ConditionSource {
    /// The same with a column in its file, that of the data; `flag` is for messages.
    ///
    /// # Errors
    /// It is a column, and the data is no file of arrays.
    pub fn in_data(&self, flag: &str, data: Option<&DataSpec>) -> Result<Self> {
        let ConditionSource::Column(name) = self else { return Ok(self.clone()) };
        match data {
            Some(DataSpec::File(path, _)) => Ok(ConditionSource::Rows(format!("{}#{name}", path.display()).into())),
            _ => Err(Error::argument(
                flag,
                self,
                "it names an array of the data's file, and --data names no file of arrays",
                format!("Such as --data demos.npz#action {flag} @obs; a file of its own is @FILE."),
            )),
        }
    }
}

/// One argument of a TorchScript module.
#[derive(Debug, Clone, PartialEq)]
pub enum ModuleInput {
    /// x_t.
    X,
    /// The time.
    T,
    /// The class labels.
    Class,
    /// The embeddings of `--context`.
    Context,
    /// A number, the same in every call.
    Number(String, f64),
    /// A number that follows the one that t is told.
    Time(TimeInput),
    /// An array.
    Values(String, ConditionSource),
    /// Standard normal numbers, drawn for each sample and held while t moves; their shape, `None` for that of x.
    Normal(String, Option<Vec<i64>>),
}

/// The arguments of a TorchScript module, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs(pub Vec<ModuleInput>);

impl Inputs {
    /// Those that follow time.
    pub fn times(&self) -> Vec<TimeInput> {
        let time = |input: &ModuleInput| match input {
            ModuleInput::Time(time) => Some(time.clone()),
            _ => None,
        };
        self.0.iter().filter_map(time).collect()
    }
}

const NEXT: &str = "Such as --inputs x,t,context,obs=@obs: x, t, class, context, and for others NAME=NUMBER, NAME=FILE, NAME=@COLUMN \
                    (drawn with the data), NAME=normal:100x8x8 (random) or NAME=time*0.5 (follows t).";

impl FromStr for Inputs {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let inputs: Vec<ModuleInput> = text.split(',').map(|part| input(text, part.trim())).collect::<Result<_>>()?;
        let once = |wanted: &ModuleInput| inputs.iter().filter(|input| *input == wanted).count() == 1;
        if once(&ModuleInput::X) && once(&ModuleInput::T) {
            return Ok(Inputs(inputs));
        }
        Err(Error::argument("--inputs", text, "it names x and t once each", NEXT))
    }
}

fn input(whole: &str, text: &str) -> Result<ModuleInput> {
    let refuse = |problem: String| Err(Error::argument("--inputs", whole, problem, NEXT));
    let Some((name, value)) = text.split_once('=') else {
        return match text {
            "x" => Ok(ModuleInput::X),
            "t" => Ok(ModuleInput::T),
            "class" => Ok(ModuleInput::Class),
            "context" => Ok(ModuleInput::Context),
            _ => refuse(format!("`{text}` has no value; write {text}=FILE or {text}=NUMBER")),
        };
    };
    let name = name.trim().to_string();
    let value = value.trim();
    if value.is_empty() {
        return refuse(format!("nothing stands behind `{name}=`"));
    }
    if let Ok(number) = value.parse() {
        return Ok(ModuleInput::Number(name, number));
    }
    match TimeInput::parse(&name, value) {
        Some(Ok(_)) if name == "t" || name == "x" => {
            return refuse(format!("`{name}` is an input of its own; another that follows time has another name"));
        }
        Some(Ok(time)) => return Ok(ModuleInput::Time(time)),
        Some(Err(problem)) => return refuse(problem),
        None => {}
    }
    match (value, value.strip_prefix("normal:")) {
        ("normal", _) => Ok(ModuleInput::Normal(name, None)),
        (_, Some(sizes)) => match sizes.split('x').map(|size| size.parse().ok().filter(|size| *size > 0)).collect() {
            Some(shape) => Ok(ModuleInput::Normal(name, Some(shape))),
            None => refuse(format!("`{sizes}` is no shape; write sizes with x between, such as normal:100x8x8")),
        },
        _ => Ok(ModuleInput::Values(name, value.parse()?)),
    }
}

/// `--null NAME=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NullInput {
    /// Of an input that `--inputs` names.
    pub name: String,
    /// Its values where there is no condition, of one sample.
    pub path: PathBuf,
}

impl FromStr for NullInput {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=').map(|(name, path)| (name.trim(), path.trim())) {
            Some((name, path)) if !name.is_empty() && !path.is_empty() => {
                Ok(NullInput { name: name.into(), path: path.into() })
            }
            _ => Err(Error::argument(
                "--null",
                text,
                "it is NAME=FILE",
                "Such as --null y=null.npy, with y among --inputs.",
            )),
        }
    }
}

/// `--average NAME=M`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Average {
    /// Of a random input that `--inputs` names.
    pub name: String,
    /// Draws that the prediction is averaged over.
    pub draws: u64,
}

/// Draws that a prediction is averaged over at most.
const MOST_DRAWS: u64 = 1 << 16;

impl FromStr for Average {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('=').map(|(name, draws)| (name.trim(), draws.trim().parse::<u64>()));
        match parts {
            Some((name, Ok(draws))) if !name.is_empty() && (2..=MOST_DRAWS).contains(&draws) => {
                Ok(Average { name: name.into(), draws })
            }
            _ => Err(Error::argument(
                "--average",
                text,
                format!("it is NAME=M with M from 2 to {MOST_DRAWS}"),
                "Such as --inputs x,t,eta=normal --average eta=16.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_file_a_file_by_row_or_a_column() {
        let same = |text: &str| ConditionSource::Same(text.into());
        let rows = |text: &str| ConditionSource::Rows(text.into());
        let column = |text: &str| ConditionSource::Column(text.into());
        for (text, source) in [
            ("prompt.npy", same("prompt.npy")),
            ("@rows.npy", rows("rows.npy")),
            ("@a/b.npz#obs", rows("a/b.npz#obs")),
            ("@observation.state", column("observation.state")),
            ("@obs", column("obs")),
        ] {
            assert_eq!(text.parse::<ConditionSource>().unwrap(), source);
            assert_eq!(source.to_string(), text);
        }
        assert!("@".parse::<ConditionSource>().is_err());
    }

    #[test]
    fn a_column_lies_in_the_file_of_the_data() {
        let data = DataSpec::File("demos.npz".into(), Some("action".into()));
        let column = ConditionSource::Column("obs".into());
        let found = column.in_data("--context", Some(&data)).unwrap();
        assert_eq!(found, ConditionSource::Rows("demos.npz#obs".into()));
        for data in [None, Some(&DataSpec::Digits)] {
            let error = column.in_data("--context", data).unwrap_err().to_string();
            assert!(error.contains("--context") && error.contains("no file of arrays"), "{error}");
        }
    }

    #[test]
    fn inputs_are_named_in_their_order() {
        let parsed = "x, t, w=7.5, c=@obs, eta=normal:100x8x8, z=normal, r=time-1".parse::<Inputs>().unwrap().0;
        assert_eq!(parsed.len(), 7);
        assert_eq!(parsed[6], ModuleInput::Time(TimeInput { name: "r".into(), factor: 1.0, offset: -1.0 }));
        assert_eq!(parsed[2], ModuleInput::Number("w".into(), 7.5));
        assert_eq!(parsed[3], ModuleInput::Values("c".into(), ConditionSource::Column("obs".into())));
        assert_eq!(parsed[4], ModuleInput::Normal("eta".into(), Some(vec![100, 8, 8])));
        assert_eq!(parsed[5], ModuleInput::Normal("z".into(), None));
        for text in [
            "x",
            "t,t,x",
            "x,t,c=",
            "x,t,y",
            "x,t,e=normal:",
            "x,t,e=normal:3x0",
            "x,t,c=@",
            "x,t,r=time*0",
            "x,t,t=time",
        ] {
            assert!(text.parse::<Inputs>().is_err(), "{text}");
        }
    }

    #[test]
    fn averages_are_over_two_draws_at_least() {
        assert_eq!("eta=16".parse::<Average>().unwrap(), Average { name: "eta".into(), draws: 16 });
        assert!(["eta", "eta=1", "=4", "eta=many", "eta=70000"].iter().all(|text| text.parse::<Average>().is_err()));
    }

    #[test]
    fn what_stands_for_no_condition_is_named() {
        let null = "y=null.npy".parse::<NullInput>().unwrap();
        assert_eq!((null.name.as_str(), null.path), ("y", PathBuf::from("null.npy")));
        assert!(["y", "y=", "=null.npy"].iter().all(|text| text.parse::<NullInput>().is_err()));
    }
}
