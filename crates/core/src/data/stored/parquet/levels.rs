//! Runs and bit-packed groups of small numbers: definition levels and indices into a dictionary.
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE>

/// `count` numbers of `bits` bits each; `None` where the bytes hold fewer.
pub(super) fn hybrid(mut bytes: &[u8], bits: u32, count: usize) -> Option<Vec<u32>> {
    if bits > 32 {
        return None;
    }
    let mut numbers = Vec::new();
    while numbers.len() < count {
        if bits == 0 {
            numbers.resize(count, 0);
            break;
        }
        let header = varint(&mut bytes)?;
        let left = count - numbers.len();
        if header & 1 == 1 {
            let groups = usize::try_from(header >> 1).ok()?;
            let packed = bytes.get(..groups.checked_mul(bits as usize)?)?;
            bytes = &bytes[packed.len()..];
            numbers.extend((0..left.min(groups.checked_mul(8)?)).map(|i| unpacked(packed, bits, i)));
        } else {
            let width = bits.div_ceil(8) as usize;
            let value = bytes.get(..width)?.iter().rev().fold(0u32, |value, byte| value << 8 | u32::from(*byte));
            bytes = &bytes[width..];
            let run = usize::try_from(header >> 1).ok()?.min(left);
            if run == 0 {
                return None;
            }
            numbers.resize(numbers.len() + run, value);
        }
    }
    Some(numbers)
}

/// Number `i` of packed ones, the lowest bits first.
fn unpacked(packed: &[u8], bits: u32, i: usize) -> u32 {
    let from = i * bits as usize;
    let word =
        packed[from / 8..].iter().take(8).enumerate().fold(0u64, |word, (k, byte)| word | u64::from(*byte) << (8 * k));
    (word >> (from % 8)) as u32 & (u64::MAX >> (64 - bits)) as u32
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_groups_are_unpacked() {
        // The example of the specification: 0 to 7 in three bits.
        assert_eq!(hybrid(&[3, 0b1000_1000, 0b1100_0110, 0b1111_1010], 3, 8), Some((0..8).collect()));
        assert_eq!(hybrid(&[10, 1, 3, 0b10], 1, 7), Some(vec![1, 1, 1, 1, 1, 0, 1]));
        assert_eq!(hybrid(&[4, 0x34, 0x12], 13, 2), Some(vec![0x1234; 2]));
        assert_eq!(hybrid(&[], 0, 3), Some(vec![0; 3]));
    }

    #[test]
    fn bytes_that_are_too_few_or_stand_still_are_refused() {
        for bytes in [&[][..], &[3, 1], &[0x80], &[0, 1, 0, 1], &[4], &[0xff; 12]] {
            assert_eq!(hybrid(bytes, 3, 8), None, "{bytes:?}");
        }
        assert_eq!(hybrid(&[4, 1], 33, 1), None);
    }
}
