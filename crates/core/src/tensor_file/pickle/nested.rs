//! Storages within a pickle. `pickle.dump` keeps a tensor's numbers as a byte string that `torch.storage._load_from_bytes`
//! would load: a whole stream of `torch.save` in the format from before PyTorch 1.6, with one storage and nothing else.

use super::machine::{Machine, Node, Step, Storage};
use std::ops::Range;
use std::sync::Arc;

/// Bytes before the numbers: five short pickles and a count. Some 400 in practice.
const LONGEST_HEADER: u64 = 4096;

/// The storage in the byte string at `range` of the pickle; the machine notes where its numbers are.
pub(super) fn storage(machine: &mut Machine, range: Range<u64>) -> Step<Node> {
    let head = machine.reader.copy(range.start..range.end.min(range.start.saturating_add(LONGEST_HEADER)))?;
    let (class, count, header) = read(&head)?;
    let size = super::element_size(&class).ok_or("its pickle has a storage whose element size is not known")?;
    let start = range.start + header;
    let end = count.checked_mul(size as u64).and_then(|bytes| start.checked_add(bytes));
    let end = end.filter(|end| *end <= range.end).ok_or("its pickle has a storage that is longer than its bytes")?;
    let key: Arc<str> = start.to_string().into();
    machine.places.insert(Arc::clone(&key), start..end);
    Ok(Node::Storage(Storage { class, key, part: None }))
}

/// Class, number of elements, and length of what stands before them. The pickles are a magic number, a version, the
/// machine's type sizes, the storage, and the list of its key.
fn read(bytes: &[u8]) -> Step<(Arc<str>, u64, u64)> {
    let mut rest = bytes;
    let mut class = None;
    for place in 0..5 {
        let mut machine = Machine::within(rest);
        let root = machine.run()?;
        match (place, machine.node(root)) {
            (3, Node::Storage(storage)) => class = Some(Arc::clone(&storage.class)),
            (3, _) => return Err("its pickle loads bytes that are no storage".into()),
            _ => {}
        }
        rest = rest.get(machine.reader.at() as usize..).unwrap_or_default();
    }
    let (&count, rest) = rest.split_first_chunk::<8>().ok_or("its pickle has a storage that is cut short")?;
    let class = class.ok_or("its pickle loads bytes that are no storage")?;
    Ok((class, u64::from_le_bytes(count), (bytes.len() - rest.len()) as u64))
}
