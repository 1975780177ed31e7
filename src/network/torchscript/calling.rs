//! How a module wants t: one per row, one per batch, or a plain number; floating point or int64. And in which dtype it runs.

use tch::{Kind, TchError, Tensor};

/// The shape of t.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeShape {
    /// `[B]`.
    Rows,
    /// `[1]`, the same for the whole batch.
    One,
    /// No axis, the same for the whole batch.
    Scalar,
}

/// How a module is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Calling {
    pub shape: TimeShape,
    /// dtype of t where it is not that which it comes in.
    pub time: Option<Kind>,
    /// dtype of x and of the parameters where it is not the one that was asked for: a trace in half precision has casts to
    /// it in its code.
    pub own: Option<Kind>,
    /// Whether numbers of `--inputs` are passed as t is, and not as plain numbers.
    pub numbers: bool,
}

impl Calling {
    /// x and t as lipscope has them.
    pub const PLAIN: Calling = Calling { shape: TimeShape::Rows, time: None, own: None, numbers: false };

    /// Ways to pass t that are tried, the usual ones first. A module in half precision may want t in it, and numbers may be
    /// wanted as tensors by one that has any.
    pub fn all(own: Option<Kind>, has_numbers: bool) -> impl Iterator<Item = Calling> {
        let half = own.filter(|own| matches!(own, Kind::Half | Kind::BFloat16));
        let times = [None, Some(Kind::Int64)].into_iter().chain(half.map(Some));
        let shapes = [TimeShape::Rows, TimeShape::One, TimeShape::Scalar];
        let each = move |numbers| {
            let times = times.clone();
            shapes
                .into_iter()
                .flat_map(move |shape| times.clone().map(move |time| Calling { shape, time, own, numbers }))
        };
        [false, true].into_iter().filter(move |numbers| !numbers || has_numbers).flat_map(each)
    }

    pub fn is_integer(self) -> bool {
        self.time == Some(Kind::Int64)
    }

    /// t, which is `[B]`, in the shape that the module wants. Differentiable.
    pub fn shaped(self, t: &Tensor) -> Result<Tensor, TchError> {
        match self.shape {
            TimeShape::Rows => Ok(t.shallow_clone()),
            TimeShape::One => t.f_narrow(0, 0, 1),
            TimeShape::Scalar => t.f_select(0, 0),
        }
    }

    /// The same in the dtype that the module wants.
    pub fn time(self, t: &Tensor) -> Result<Tensor, TchError> {
        let t = self.shaped(t)?;
        self.time.map_or_else(|| Ok(t.shallow_clone()), |kind| t.f_to_kind(kind))
    }

    /// What is unusual about it, for a reader.
    pub fn notes(self) -> Vec<String> {
        let shape = match self.shape {
            TimeShape::Rows => None,
            TimeShape::One => Some("[1]"),
            TimeShape::Scalar => Some("no axis"),
        };
        let shape = shape.map(|shape| format!("the module takes one t for a whole batch, of shape {shape}."));
        let own = self.own.map(|own| match own {
            Kind::Half | Kind::BFloat16 => format!(
                "the module runs in {}, in which it was saved and which its code names; rounding may dominate K, more so \
                 for small steps. Trace it in float32 to measure finer.",
                name(own)
            ),
            _ => format!("the module runs in {}, in which it was saved and which its code names.", name(own)),
        });
        shape.into_iter().chain(own).collect()
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Half => "float16",
        Kind::BFloat16 => "bfloat16",
        Kind::Double => "float64",
        _ => "float32",
    }
}
