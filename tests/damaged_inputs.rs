//! Damaged files that other readers trust: refused in one line before they are handed on.

mod common;

use common::{fixture, fresh, refuse};
use std::fs;

/// libtorch's own loader ends the process on some of these, without a word.
#[test]
fn a_damaged_torchscript_module_never_reaches_libtorch() {
    let (folder, path) = fresh("damaged.pt");
    let whole = fs::read(fixture("torchscript/plain.pt")).unwrap();
    // One byte of each entry's content, in the middle of it; and of the padding between, which nothing reads.
    let mut archive = zip_entries(&whole);
    assert!(archive.len() >= 5, "{}", archive.len());
    archive.retain(|entry| entry.1 > entry.0);
    for (start, end) in archive {
        let mut damaged = whole.clone();
        damaged[start + (end - start) / 2] ^= 0x20;
        fs::write(&path, &damaged).unwrap();
        let arguments = ["measure", "damaged.pt", "--data", "digits"];
        refuse(folder.path(), &arguments, &["damaged.pt: its entry", "damaged"]);
    }
}

/// Where the content of each entry lies, from the local headers.
fn zip_entries(bytes: &[u8]) -> Vec<(usize, usize)> {
    let number = |at: usize, n: usize| bytes[at..at + n].iter().rev().fold(0usize, |sum, &b| sum << 8 | usize::from(b));
    let mut entries = Vec::new();
    // The directory says where they begin.
    for at in 0..bytes.len() - 46 {
        if bytes[at..].starts_with(b"PK\x01\x02") {
            let (packed, header) = (number(at + 20, 4), number(at + 42, 4));
            let start = header + 30 + number(header + 26, 2) + number(header + 28, 2);
            entries.push((start, start + packed));
        }
    }
    entries
}
