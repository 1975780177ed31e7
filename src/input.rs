//! Inputs of a network besides x and t: the same for every sample, drawn with the data, or random.

use crate::error::{Doing, Error, Result};
use crate::random::fill_normal;
use crate::state::Columns;
use tch::{Device, Kind, Tensor};

/// An input of a network besides x and t.
#[derive(Debug)]
pub struct Input {
    /// What it is called in messages and in the plan.
    pub name: String,
    /// Its values.
    pub values: Values,
}

/// The values of an input, and where each sample's come from.
#[derive(Debug)]
pub enum Values {
    /// The same for every sample, [1, …].
    Same(Tensor),
    /// One for each row of the data, [N, …] in main memory; a sample has those of the row that it came from.
    WithData(Tensor),
    /// Standard normal numbers, drawn for each sample and held while t moves.
    Normal {
        /// Shape of one draw.
        shape: Vec<i64>,
        /// Draws for each sample, that predictions are averaged over. Of several, a batch has an axis more, [B, M, …].
        draws: u64,
    },
}

impl Input {
    /// An input of the same values for every sample, [1, …].
    pub fn same(name: &str, values: Tensor) -> Self {
        Input { name: name.into(), values: Values::Same(values) }
    }

    /// Shape of one sample's values.
    pub fn shape(&self) -> Vec<i64> {
        match &self.values {
            Values::Same(values) | Values::WithData(values) => values.size().into_iter().skip(1).collect(),
            Values::Normal { shape, .. } => shape.clone(),
        }
    }

    /// How many draws predictions are averaged over; `None` where that is one.
    pub fn averaged(&self) -> Option<u64> {
        match self.values {
            Values::Normal { draws, .. } if draws > 1 => Some(draws),
            _ => None,
        }
    }

    /// Shape of a sample's values in a batch.
    fn drawn_shape(&self) -> Vec<i64> {
        self.averaged().map(|draws| draws as i64).into_iter().chain(self.shape()).collect()
    }

    /// The same where values that every sample has lie on `device` in `kind`, so that no batch has to move them.
    pub(crate) fn to(self, device: Device, kind: Kind) -> Result<Self> {
        let values = match self.values {
            Values::Same(values) => Values::Same(placed(&values, device, kind)?),
            other => other,
        };
        Ok(Input { values, ..self })
    }
}

/// For each of `inputs` the values of `rows` samples, [B, …] on `device`, floating-point ones in `kind`; `columns` were drawn
/// with the samples.
pub(crate) fn batch<'a>(
    inputs: impl IntoIterator<Item = &'a Input>,
    rows: i64,
    columns: &Columns,
    (device, kind): (Device, Kind),
) -> Result<Vec<Tensor>> {
    let inputs: Vec<&Input> = inputs.into_iter().collect();
    let mut normal = normal(&inputs, columns)?.into_iter();
    let one = |input: &&Input| match &input.values {
        Values::Same(values) => {
            let sizes: Vec<i64> = std::iter::once(rows).chain(input.shape()).collect();
            placed(values, device, kind)?.f_expand(&sizes, false).doing("filling in the condition")
        }
        Values::WithData(values) => {
            let origins = columns.rows.as_ref().ok_or_else(|| no_rows(&input.name))?;
            let index: Vec<i64> = origins.iter().map(|row| *row as i64).collect();
            let chosen = values.f_index_select(0, &Tensor::from_slice(&index)).doing("filling in the condition")?;
            placed(&chosen, device, kind)
        }
        Values::Normal { .. } => match normal.next() {
            Some(values) => placed(&values, device, kind),
            None => Err(no_streams(&input.name)),
        },
    };
    inputs.iter().map(one).collect()
}

/// The values of all random inputs, float32 in main memory: each sample has one stream, which fills them in their order.
fn normal(inputs: &[&Input], columns: &Columns) -> Result<Vec<Tensor>> {
    let random = inputs.iter().filter(|input| matches!(input.values, Values::Normal { .. }));
    let shapes: Vec<(String, Vec<i64>)> = random.map(|input| (input.name.clone(), input.drawn_shape())).collect();
    let Some((first, _)) = shapes.first() else { return Ok(Vec::new()) };
    let mut streams = columns.latents().ok_or_else(|| no_streams(first))?;
    let (rows, widths) = (streams.len(), shapes.iter().map(|(_, shape)| shape.iter().product::<i64>() as usize));
    let mut buffers: Vec<Vec<f32>> = widths.map(|width| vec![0.0; width * rows]).collect();
    for (row, stream) in streams.iter_mut().enumerate() {
        for buffer in &mut buffers {
            let width = buffer.len() / rows;
            fill_normal(stream, &mut buffer[row * width..(row + 1) * width]);
        }
    }
    let tensor = |(buffer, (_, shape)): (Vec<f32>, (String, Vec<i64>))| {
        let sizes: Vec<i64> = std::iter::once(rows as i64).chain(shape).collect();
        Tensor::f_from_slice(&buffer).and_then(|values| values.f_reshape(&sizes)).doing("drawing random inputs")
    };
    buffers.into_iter().zip(shapes).map(tensor).collect()
}

/// On `device`; floating-point values in `kind`.
fn placed(values: &Tensor, device: Device, kind: Kind) -> Result<Tensor> {
    let kind = if values.is_floating_point() { kind } else { values.kind() };
    values.f_to_kind(kind).and_then(|values| values.f_to_device(device)).doing("moving the inputs of a network")
}

fn no_rows(name: &str) -> Error {
    Error::mismatch(
        format!("{name}: one is given for each row of the data, and samples that are made anew come from none"),
        "Give --data with as many rows, or values that are the same for all samples.",
    )
}

fn no_streams(name: &str) -> Error {
    Error::mismatch(
        format!(
            "{name} is random, and it is drawn for measurements only: a sampler would need to say when it is drawn anew"
        ),
        "Give it a value to sample with, NAME=FILE; and --data, where samples of the model would be measured.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Latents;

    const CPU: (Device, Kind) = (Device::Cpu, Kind::Double);

    fn columns(rows: &[usize], samples: &[u64]) -> Columns {
        let draws = samples.iter().map(|&sample| (3.0, sample)).collect();
        Columns { rows: Some(rows.to_vec()), latents: Some(Latents { seed: 1, draws }), ..Columns::default() }
    }

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.reshape([-1])).unwrap()
    }

    #[test]
    fn values_by_row_are_those_of_the_rows_that_were_drawn() {
        let values = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([3, 2, 1, 2]);
        let input = Input { name: "--concat".into(), values: Values::WithData(values) };
        let drawn = batch([&input], 3, &columns(&[2, 0, 2], &[0, 1, 2]), CPU).unwrap().remove(0);
        assert_eq!((drawn.size(), drawn.kind(), input.shape()), (vec![3, 2, 1, 2], Kind::Double, vec![2, 1, 2]));
        assert_eq!(numbers(&drawn.narrow(3, 0, 1)), [8.0, 10.0, 0.0, 2.0, 8.0, 10.0]);
        let error = batch([&input], 3, &Columns::default(), CPU).unwrap_err().to_string();
        assert!(error.contains("--data with as many rows"), "{error}");
    }

    #[test]
    fn whole_numbers_stay_whole() {
        let same = Input::same("w", Tensor::from_slice(&[7i64]));
        let filled = batch([&same], 2, &Columns::default(), CPU).unwrap().remove(0);
        assert_eq!((filled.kind(), numbers(&filled)), (Kind::Int64, vec![7.0, 7.0]));
    }

    #[test]
    fn random_values_belong_to_the_sample_whatever_its_batch() {
        let normal =
            |shape: &[i64]| Input { name: "eta".into(), values: Values::Normal { shape: shape.to_vec(), draws: 1 } };
        let inputs = [normal(&[2, 3]), Input::same("w", Tensor::from_slice(&[1f32])), normal(&[4])];
        let drawn = |samples: &[u64]| batch(&inputs, samples.len() as i64, &columns(&[], samples), CPU).unwrap();
        let (both, alone) = (drawn(&[5, 9]), drawn(&[9]));
        assert_eq!(both.iter().map(Tensor::size).collect::<Vec<_>>(), [vec![2, 2, 3], vec![2], vec![2, 4]]);
        for i in [0, 2] {
            assert_eq!(numbers(&both[i].get(1)), numbers(&alone[i].get(0)));
        }
        assert_ne!(numbers(&both[2].get(0)), numbers(&both[2].get(1)));
        assert_ne!(numbers(&both[0].get(0))[..4], numbers(&both[2].get(0))[..]);
        assert!(batch(&inputs, 1, &Columns::default(), CPU).unwrap_err().to_string().contains("eta is random"));
    }
}
