//! Whether samples have the shape that a model wants, and which axis is which.

use super::SampleShape;
use crate::error::{Error, Result};

/// How to read an array's axes after the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fit {
    /// Shape of one sample.
    pub sample: Vec<usize>,
    /// Whether the array is [N, H, W, C] and its channels must be moved to the front.
    pub channels_last: bool,
    /// A reading that the user should know of.
    pub note: Option<String>,
}

/// Reads an array of shape `array`, [N, …], as samples for a model that wants `want`. In this order:
/// - [N] is N samples of one number.
/// - [N, L, W] are sequences, where the model takes rows of W numbers.
/// - The axes after N are the sample, if the model takes that.
/// - [N, H, W] is greyscale, [1, H, W].
/// - [N, H, W, C] with C of 1 or 3 is turned to [C, H, W], where the model takes that and not the order as it stands.
/// - Rows of D numbers are a [C, H, W] of as many numbers, and the other way round.
///
/// Nothing is resized.
pub(super) fn fit(array: &[usize], want: &SampleShape) -> Result<Fit> {
    let direct = |sample: Vec<usize>| Fit { sample, channels_last: false, note: None };
    let (rest, wanted) = match array {
        [] => {
            return Err(Error::mismatch(
                "the data is a single number",
                "Give an array whose first axis counts samples.",
            ));
        }
        [_] => (vec![1], wanted_sample(want)),
        [_, rest @ ..] => (rest.to_vec(), wanted_sample(want)),
    };
    let grey = |rest: &[usize]| [&[1], rest].concat();
    if want.row.is_some() && wanted.is_none() {
        // Sequences are taken as they are, and nothing else is.
        return if fits_rows(&rest, want) { Ok(direct(rest)) } else { Err(misfit(array, &rest, want)) };
    }
    if rest.len() == 2 && (fits(&grey(&rest), want) || (wanted.is_none() && want.channels.is_none())) {
        return Ok(direct(grey(&rest)));
    }
    if fits(&rest, want) {
        return Ok(direct(rest));
    }
    if let [height, width, channels @ (1 | 3)] = rest[..] {
        let sample = vec![channels, height, width];
        if fits(&sample, want) {
            let note = Some(format!("the data's axes [N, {height}, {width}, {channels}] are read as [N, H, W, C]."));
            return Ok(Fit { sample, channels_last: true, note });
        }
    }
    let same_count =
        wanted.as_ref().filter(|wanted| count(wanted) == count(&rest) && (wanted.len() == 1 || rest.len() == 1));
    if let Some(wanted) = same_count {
        let note =
            (wanted.len() > 1).then(|| format!("the data's rows of {rest:?} are read as samples of {wanted:?}."));
        return Ok(Fit { sample: wanted.clone(), channels_last: false, note });
    }
    Err(misfit(array, &rest, want))
}

/// Whether a model that wants `want` takes samples of this shape.
fn fits(sample: &[usize], want: &SampleShape) -> bool {
    let channels = want.channels.or_else(|| want.sample.as_ref().and_then(|s| s.first().copied()));
    let same_channels = channels.is_none_or(|c| sample.first().is_some_and(|&first| i64::try_from(first) == Ok(c)));
    match wanted_sample(want).as_deref() {
        // Sequences of one number each, of any length.
        Some([_]) if want.resizable => sample.len() == 1,
        Some(wanted) if want.resizable => same_channels && wanted.len() == sample.len(),
        Some(wanted) => wanted == sample,
        None => same_channels,
    }
}

/// Whether they are sequences of rows of the wanted width.
fn fits_rows(sample: &[usize], want: &SampleShape) -> bool {
    sample.len() == 2 && want.row.is_some_and(|width| i64::try_from(sample[1]) == Ok(width))
}

fn wanted_sample(want: &SampleShape) -> Option<Vec<usize>> {
    want.sample.as_ref().and_then(|sample| sample.iter().map(|&n| usize::try_from(n).ok()).collect())
}

fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n))
}

fn misfit(array: &[usize], rest: &[usize], want: &SampleShape) -> Error {
    let problem =
        format!("the data has samples of shape {rest:?} (the array is {array:?}), but the model takes samples {want}");
    let next = "Arrays are never resized: give data of the model's shape, or a folder of pictures as images:DIR, which are \
                cropped and resized.";
    Error::mismatch(problem, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(sample: Option<&[i64]>, channels: Option<i64>, resizable: bool) -> SampleShape {
        SampleShape { sample: sample.map(<[i64]>::to_vec), channels, resizable, row: None }
    }

    #[test]
    fn axes_are_read_as_documented() {
        let anything = want(None, None, false);
        let image = want(Some(&[3, 4, 4]), None, false);
        let convolution = want(None, Some(3), true);
        for (array, wanted, sample, channels_last) in [
            (&[9][..], &anything, &[1][..], false),
            (&[9, 2], &anything, &[2], false),
            (&[9, 4, 5], &anything, &[1, 4, 5], false),
            (&[9, 4, 5, 3], &anything, &[4, 5, 3], false),
            (&[9, 3, 4, 4], &image, &[3, 4, 4], false),
            (&[9, 4, 4, 3], &image, &[3, 4, 4], true),
            (&[9, 48], &image, &[3, 4, 4], false),
            (&[9, 6, 5, 3], &convolution, &[3, 6, 5], true),
            (&[9, 3, 6, 3], &convolution, &[3, 6, 3], false),
            (&[9, 8, 8], &want(Some(&[1, 8, 8]), Some(1), false), &[1, 8, 8], false),
            (&[9, 1, 8, 8], &want(Some(&[64]), None, false), &[64], false),
            (&[9, 1, 6, 6], &want(Some(&[1, 8, 8]), Some(1), true), &[1, 6, 6], false),
            (&[9, 4, 5], &want(Some(&[4, 5]), None, false), &[4, 5], false),
            (&[9, 7], &want(Some(&[1024]), None, true), &[7], false),
        ] {
            let fit = fit(array, wanted).unwrap();
            assert_eq!((fit.sample.as_slice(), fit.channels_last), (sample, channels_last), "{array:?} for {wanted:?}");
        }
    }

    #[test]
    fn a_misfit_names_both_shapes() {
        let image = want(Some(&[3, 4, 4]), Some(3), false);
        for array in [&[9, 1, 4, 4][..], &[9, 3, 8, 8], &[9, 4, 4], &[9, 47], &[9], &[9, 4, 3, 4]] {
            let message = fit(array, &image).unwrap_err().to_string();
            assert!(message.contains("[3, 4, 4]") && message.contains("never resized"), "{message}");
        }
        assert!(fit(&[], &image).is_err());
        assert!(fit(&[9, 2, 6, 6], &want(None, Some(3), true)).unwrap_err().to_string().contains("3 channels"));
    }
}
