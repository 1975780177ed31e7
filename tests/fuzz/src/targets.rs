//! What is fuzzed: every target makes a file of the fuzzer's bytes and gives it to every reader. Checksums, lengths and
//! what else only says that a file is well wrapped are made right, so that what is inside gets read.
//!
//! Shared by the fuzzer, which finds inputs, and by the test that replays those that were kept.

use super::tensor_file::{entries, read, read_selected, sniff};
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};

/// A kind of input.
pub struct Target {
    /// Its name, and that of its folder of inputs.
    pub name: &'static str,
    /// The file that an input makes.
    pub file: fn(&[u8]) -> Vec<u8>,
}

/// All of them.
pub const TARGETS: [Target; 7] = [
    Target { name: "file", file: <[u8]>::to_vec },
    Target { name: "pickle", file: torch_save },
    Target { name: "legacy", file: legacy },
    Target { name: "safetensors", file: safetensors },
    Target { name: "npy", file: npz },
    Target { name: "deflated", file: deflated },
    Target { name: "archive", file: archive },
];

/// Gives an input to the readers; they may refuse it, and must do nothing else.
pub fn run(target: &Target, input: &[u8]) {
    let file = (target.file)(input);
    // SAFETY: the name is a C string; the result is checked.
    let fd = unsafe { libc::memfd_create(c"fuzz".as_ptr(), 0) };
    assert!(fd >= 0, "no file in memory");
    // SAFETY: the descriptor is open and nobody else's.
    let mut in_memory = unsafe { std::fs::File::from_raw_fd(fd) };
    in_memory.write_all(&file).expect("a file in memory can be written");
    let path = format!("/proc/self/fd/{}", in_memory.as_raw_fd());
    let _ = sniff(&path);
    if let Ok(listing) = entries(&path) {
        let _ = listing.values();
    }
    let all = read(&path);
    if let Ok(contents) = all {
        let some = read_selected(&path, &|name| contents.arrays.first().is_some_and(|(first, _)| first == name));
        assert!(some.expect("what can be read can be read in part").arrays.len() <= 1);
        for (name, array) in contents.arrays {
            let width = array.dtype().size();
            let count: Option<usize> = array.shape().iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
            let empty = array.shape().contains(&0);
            assert_eq!(array.bytes().len(), if empty { 0 } else { count.expect("a size") * width }, "{name}");
            let _ = (array.to_f32(), array.rows(&[0, 7]));
        }
    }
}

/// The pickle of a `torch.save` file with two storages of 64 bytes.
fn torch_save(input: &[u8]) -> Vec<u8> {
    let storage: Vec<u8> = (0..64).collect();
    zip(&[("archive/data.pkl", input), ("archive/data/0", &storage), ("archive/data/1", &storage)], false)
}

/// The object and storages of a `torch.save` file of the old format.
fn legacy(input: &[u8]) -> Vec<u8> {
    [b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.", input].concat()
}

/// The header of a safetensors file, after the number of bytes that follow it.
fn safetensors(input: &[u8]) -> Vec<u8> {
    let (&[numbers], text) = input.split_first_chunk::<1>().unwrap_or((&[0], &[]));
    [&(text.len() as u64).to_le_bytes(), text, &vec![0; numbers.into()]].concat()
}

/// An array of an `.npz` file.
fn npz(input: &[u8]) -> Vec<u8> {
    zip(&[("a.npy", input)], false)
}

/// A deflated entry: the bytes are what the decoder gets; the first two are the length and checksum that are claimed.
fn deflated(input: &[u8]) -> Vec<u8> {
    zip(&[("archive/data.pkl", input)], true)
}

/// A directory of an archive, and its end, after an entry that is there.
fn archive(input: &[u8]) -> Vec<u8> {
    let mut file = b"PK\x03\x04".to_vec();
    file.extend([0; 22]);
    file.extend([5, 0, 0, 0]);
    file.extend(b"a.npy");
    file.extend(b"\x93NUMPY\x01\x00\x38\x00{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }\n\x07");
    file.extend(input);
    file
}

/// A zip archive. Where `packed`, the bytes are said to be deflated already, from the length in the first two of them.
fn zip(entries: &[(&str, &[u8])], packed: bool) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let (size, data) = match data.split_first_chunk::<2>() {
            Some((&size, rest)) if packed => (u16::from_le_bytes(size).into(), rest),
            _ => (data.len() as u32, *data),
        };
        let mut crc = flate2::Crc::new();
        crc.update(data);
        let mut common = vec![20, 0, 0, 0, if packed { 8 } else { 0 }, 0, 0, 0, 0, 0];
        common.extend([crc.sum(), data.len() as u32, size].iter().flat_map(|n| n.to_le_bytes()));
        common.extend([name.len() as u16, 0].iter().flat_map(|n| n.to_le_bytes()));
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend((file.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(data);
    }
    let count = entries.len() as u8;
    let at = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count, 0, count, 0]);
    file.extend([directory.len() as u32, at].iter().flat_map(|n| n.to_le_bytes()));
    file.extend([0, 0]);
    file
}
