//! What a reader must know before trusting the numbers, each with what to do about it.

use crate::of::Of;
use crate::time::Axis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A warning. It goes into the report, and to the terminal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Warning {
    /// Samples were NaN or infinite and left out.
    NonFinite {
        /// Label of the model.
        model: String,
        /// How many.
        count: u64,
        /// The first timestep where it happened.
        timestep: f64,
    },
    /// Samples that a model made hold a NaN or an infinity.
    NonFiniteSamples {
        /// Label of the model.
        model: String,
        /// How many.
        count: u64,
        /// Of how many.
        of: u64,
    },
    /// The file is silent about something, and a default was taken.
    Assumed {
        /// Label of the model.
        model: String,
        /// What was assumed.
        what: String,
        /// The flag that says otherwise.
        flag: String,
    },
    /// A file holds Python objects that are neither tensors nor plain data; they were not made and nothing of them ran.
    LeftOut {
        /// Label of the model.
        model: String,
        /// Names of some of their classes or functions, those that could do harm first.
        objects: Vec<String>,
        /// How many there are in all.
        count: usize,
    },
    /// Something that was found in the file or its network, such as which of several sets of weights was taken.
    Note {
        /// Label of the model.
        model: String,
        /// The paragraph.
        message: String,
    },
    /// Timesteps of a range were left out because they have no t′ on the grid.
    NoNextTimestep {
        /// How many.
        count: usize,
    },
    /// Timesteps were left out because the axis has no finite number there.
    NoCoordinate {
        /// How many.
        count: usize,
        /// The axis.
        axis: Axis,
    },
    /// Timesteps were left out because what is measured does not exist there.
    NoValue {
        /// How many.
        count: usize,
        /// What is measured.
        of: Of,
        /// Why the first of them has none.
        reason: String,
    },
    /// The wanted relative error was not reached with the most samples allowed.
    NotConverged {
        /// Label of the model.
        model: String,
        /// Where.
        timesteps: Vec<f64>,
        /// The largest relative standard error among them.
        worst: f64,
    },
    /// Samples are so skewed that their number may be too small for the intervals.
    Skewed {
        /// Label of the model.
        model: String,
        /// Where.
        timesteps: Vec<f64>,
        /// Samples per timestep that should do.
        samples: u64,
    },
    /// An iteration did not settle for some samples.
    Unsettled {
        /// Label of the model.
        model: String,
        /// How many samples, over all timesteps.
        count: u64,
    },
    /// The most timesteps that `auto` takes do not resolve the curve.
    Unresolved {
        /// Gaps between neighbouring timesteps that are too wide.
        gaps: usize,
        /// Where the first begins.
        from: f64,
        /// Where the last ends.
        until: f64,
        /// The largest relative distance between curve and straight line seen next to one.
        worst: f64,
    },
    /// The device's memory did not suffice for the batches that were asked for.
    SmallerBatch {
        /// Rows per batch that were left.
        batch: u64,
    },
    /// Models of a comparison have different schedules.
    SchedulesDiffer,
    /// The derivative of a shared timestep is 0 inside its sub-interval.
    DerivativeBlindToJumps {
        /// Label of the model.
        model: String,
        /// Whether it is exactly 0 inside the sub-intervals.
        #[serde(default = "crate::report::said_before")]
        zero: bool,
    },
    /// The derivative along the sampling path does not exist where the condition jumps.
    PathUndefinedAtJumps {
        /// Label of the model.
        model: String,
    },
    /// The condition of a model jumps between measured timesteps.
    JumpsBetweenTimesteps {
        /// Label of the model.
        model: String,
        /// The first timesteps of the sub-intervals where it does.
        boundaries: Vec<f64>,
    },
    /// A foreign module in half precision may compute its time embedding in it.
    HalfPrecisionTime {
        /// Label of the model.
        model: String,
        /// The dtype.
        dtype: String,
    },
    /// Units were measured on unlike devices, or by different versions of libtorch.
    MixedHardware {
        /// Who measured how many.
        contributions: Vec<super::Contribution>,
    },
    /// Units were measured twice, and their numbers differ by rounding.
    UnitsDiffer {
        /// The first of them.
        unit: String,
        /// How many.
        count: usize,
        /// The largest difference, relative to the largest number of its unit.
        worst: f64,
        /// Who measured the first of them, machine and device, where known.
        makers: Vec<String>,
    },
    /// Something about the data.
    Data {
        /// The paragraph.
        message: String,
    },
}

/// One of this many points may look skewed by chance.
const SELDOM: usize = 20;
/// Objects that are named in a warning.
const NAMED: usize = 4;
/// Modules whose functions do something to the machine.
const HARMFUL: [&str; 14] = [
    "os",
    "posix",
    "nt",
    "subprocess",
    "sys",
    "shutil",
    "socket",
    "runpy",
    "importlib",
    "builtins",
    "__builtin__",
    "pty",
    "webbrowser",
    "pickle",
];

impl Warning {
    /// The warning about a model's points whose samples are too few for their skewness; `None` where they are so seldom that
    /// chance makes them so.
    pub fn skewed<'a>(model: &str, points: impl Iterator<Item = &'a super::Point>) -> Option<Self> {
        let points: Vec<_> = points.collect();
        let needed = |point: &super::Point| crate::stats::needed(point.samples, point.skewness?);
        let short: Vec<(f64, u64)> = points.iter().filter_map(|point| Some((point.timestep, needed(point)?))).collect();
        let most = short.iter().map(|(_, samples)| *samples).max()?;
        // Rounded up to two digits: the skewness is no more certain than that.
        let unit = 10u64.pow(most.ilog10().saturating_sub(1));
        let timesteps: Vec<f64> = short.iter().map(|(t, _)| *t).collect();
        let notable = timesteps.len() * SELDOM >= points.len();
        notable.then(|| Warning::Skewed { model: model.into(), timesteps, samples: most.div_ceil(unit) * unit })
    }

    /// The warning about objects of a file, by their dotted names; `None` where there are none.
    pub fn left_out(model: &str, objects: &[String]) -> Option<Self> {
        let harmless = |name: &&String| !HARMFUL.contains(&name.split('.').next().unwrap_or_default());
        let mut sorted: Vec<&String> = objects.iter().collect();
        sorted.sort_by_key(harmless);
        let named = sorted.into_iter().take(NAMED).cloned().collect();
        (!objects.is_empty()).then(|| Warning::LeftOut { model: model.into(), objects: named, count: objects.len() })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::NonFinite { model, count, timestep } => write!(
                f,
                "{model}: {count} samples were NaN or infinite, first at t = {timestep}; they are counted and left out. \
                 Check the model there, or try --dtype f64."
            ),
            Warning::NonFiniteSamples { model, count, of } => write!(
                f,
                "{model}: {count} of {of} samples hold a NaN or an infinity. Take more steps with --nfe, clamp them with \
                 --clip 1, or try --dtype f64."
            ),
            Warning::Assumed { model, what, flag } => {
                write!(f, "{model}: the file does not say, so {what} was assumed; say otherwise with {flag}.")
            }
            Warning::LeftOut { model, objects, count } => {
                let more = count.saturating_sub(objects.len());
                let more = if more > 0 { format!(" and {more} more, which lipscope inspect lists") } else { String::new() };
                let objects = objects.join(", ");
                write!(f, "{model}: the file names Python objects that were left out and never run: {objects}{more}.")
            }
            Warning::Note { model, message } => write!(f, "{model}: {message}"),
            Warning::NoNextTimestep { count: 1 } => {
                f.write_str("the last timestep of the range has no t′ on the grid for this --dt and was left out.")
            }
            Warning::NoNextTimestep { count } => {
                write!(f, "{count} timesteps of the range have no t′ on the grid for this --dt and were left out.")
            }
            Warning::NoValue { count, of, reason } => {
                let timesteps = if *count == 1 { "1 timestep was".into() } else { format!("{count} timesteps were") };
                write!(f, "{timesteps} left out: the {of} has no value there ({reason}).")
            }
            Warning::NoCoordinate { count, axis } => {
                let timesteps = if *count == 1 { "1 timestep was".into() } else { format!("{count} timesteps were") };
                write!(f, "{timesteps} left out: {axis} is infinite there, and nothing per {axis} exists; --axis step has it.")
            }
            Warning::NotConverged { model, timesteps, worst } => write!(
                f,
                "{model}: at {} timesteps the relative standard error stayed above --rel-error (worst {:.1} %); raise \
                 --max-samples.",
                timesteps.len(),
                100.0 * worst
            ),
            Warning::Skewed { model, timesteps, samples } => write!(
                f,
                "{model}: at {} timesteps, first at t = {}, the norms are so skewed that too few of the rare ones may have been \
                 seen: the mean may be off, and intervals (of ratios too) may hold less often than 95 %. Take at least {samples} \
                 samples there: --samples {samples}, or --max-samples {samples} with --rel-error.",
                timesteps.len(),
                timesteps.first().copied().unwrap_or_default()
            ),
            Warning::Unsettled { model, count } => write!(
                f,
                "{model}: for {count} samples the power iteration did not settle; their numbers are lower bounds."
            ),
            Warning::Unresolved { gaps, from, until, worst } => write!(
                f,
                "between t = {from} and {until} the curve changes faster than the timesteps follow it: in {gaps} gaps straight \
                 lines are off by up to {:.0} % (a time embedding makes K oscillate with a period of a few steps). --timesteps \
                 all measures every step.",
                100.0 * worst
            ),
            Warning::SmallerBatch { batch } => write!(
                f,
                "memory ran out, and batches were cut down to {batch} samples; the numbers are the same. Say --batch {batch} \
                 to begin with that."
            ),
            Warning::SchedulesDiffer => f.write_str(
                "the models have different schedules: they see the same (x₀, ε) pairs but not the same x_t, so ratios at \
                 equal t compare different noise levels. Consider --axis log-snr, or one --schedule for all, such as edm, if \
                 each network says by its preconditioning what it is told of σ.",
            ),
            Warning::DerivativeBlindToJumps { model, zero: false } => write!(
                f,
                "{model} shares timesteps: inside a sub-interval its network is told one t, and the derivative is only of what converts \
                 the network's output; it does not exist at the boundaries, and does not see the jumps there. Judge it by --quantity secant."
            ),
            Warning::DerivativeBlindToJumps { model, zero: true } => write!(
                f,
                "{model} shares timesteps: its derivative is 0 inside every sub-interval by construction, does not exist at \
                 the boundaries, and does not see the jumps there. Judge it by --quantity secant."
            ),
            Warning::PathUndefinedAtJumps { model } => write!(
                f,
                "{model} shares timesteps: along the sampling path ε has no derivative at the boundaries, where the condition \
                 jumps, so those timesteps have no value. Measure the jumps by --quantity secant."
            ),
            Warning::JumpsBetweenTimesteps { model, boundaries } => write!(
                f,
                "{model} shares timesteps, and its condition jumps between those that were measured: no number here \
                 holds the {} at {}, and its total variation is not known. --timesteps auto measures them.",
                if boundaries.len() == 1 { "jump" } else { "jumps" },
                super::reading::jumps_in_words(boundaries)
            ),
            Warning::HalfPrecisionTime { model, dtype } => write!(
                f,
                "{model}: a TorchScript module in {dtype} gets t in float32, but what it computes from t follows its own code; in \
                 {dtype} the time embedding rounds away most of ∂/∂t. Check with --dtype f32."
            ),
            Warning::MixedHardware { contributions } => {
                let each = contributions.iter().map(super::Contribution::to_string).collect::<Vec<_>>().join("; ");
                write!(
                    f,
                    "mixed hardware: {each}. Their numbers agree to rounding only; ask the scheduler for one kind (Slurm: \
                     --constraint), or refuse such mixtures with --strict."
                )
            }
            Warning::UnitsDiffer { unit, count, worst, makers } => {
                let by = if makers.is_empty() { String::new() } else { format!(" by {}", makers.join(" and ")) };
                let more = if *count > 1 { format!(", and {} more", count - 1) } else { String::new() };
                write!(
                    f,
                    "{unit} was measured twice{by}{more}, and the numbers differ by rounding (at most {worst:.1e} of the largest); \
                     those of the first part by name were taken."
                )
            }
            Warning::Data { message } => f.write_str(message),
        }
    }
}
