//! Indices of array jobs: as `--array` takes them, and in pieces whose indices are small enough.

use std::fmt::Write;

/// Ascending indices as `--array` takes them: `0-3,7`.
pub fn shown(indices: &[usize]) -> String {
    let mut text = String::new();
    for run in indices.chunk_by(|a, b| a + 1 == *b) {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = match run {
            [one] => write!(text, "{comma}{one}"),
            [first, .., last] => write!(text, "{comma}{first}-{last}"),
            [] => Ok(()),
        };
    }
    text
}

/// Ascending indices in pieces for one array each: an offset, and what is left of the indices without it. `MaxArraySize`
/// bounds indices, not their number.
pub fn pieces(indices: &[usize], size: usize) -> Vec<(usize, Vec<usize>)> {
    let size = size.max(1);
    let same = |a: &usize, b: &usize| a / size == b / size;
    let piece = |piece: &[usize]| {
        let offset = piece.first().map_or(0, |first| first / size * size);
        (offset, piece.iter().map(|index| index - offset).collect())
    };
    indices.chunk_by(same).map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_indices_are_ranges() {
        assert_eq!(shown(&[0, 1, 2, 3, 7, 9, 10]), "0-3,7,9-10");
        assert_eq!((shown(&[]), shown(&[5])), (String::new(), "5".into()));
    }

    #[test]
    fn an_array_too_long_is_cut_with_an_offset() {
        let all: Vec<usize> = (0..25).collect();
        let cut = pieces(&all, 10);
        assert_eq!(cut.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [0, 10, 20]);
        assert_eq!(cut[2].1, [0, 1, 2, 3, 4]);
        let back: Vec<usize> = cut.iter().flat_map(|(o, piece)| piece.iter().map(move |index| o + index)).collect();
        assert_eq!(back, all);
        // Sparse ones keep their distance: it is the index that is bounded.
        assert_eq!(pieces(&[3, 999, 1001, 2500], 1001), [(0, vec![3, 999]), (1001, vec![0]), (2002, vec![498])]);
        assert!(pieces(&[], 10).is_empty());
    }
}
