//! What the fuzzer of `tests/fuzz/` kept, and bombs, read again with time and memory counted.

#[path = "fuzz/src/allocations.rs"]
mod allocations;
#[path = "fuzz/src/targets.rs"]
mod targets;

use lipscope::tensor_file::{self, entries, read, read_selected};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// One test at a time, so that each counts its own memory.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `f`; gives what it gives, its seconds, and the most memory that it took.
fn counted<T>(f: impl FnOnce() -> T) -> (T, Duration, usize) {
    let begin = allocations::begin();
    let clock = Instant::now();
    let value = f();
    (value, clock.elapsed(), allocations::peak_since(begin))
}

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn every_kept_input_is_read_or_refused_in_bounded_time_and_memory() {
    let _alone = alone();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for target in &targets::TARGETS {
        let mut folders = vec![fixtures.join("fuzz").join(target.name)];
        if target.name == "file" {
            folders.push(fixtures.join("tensor_file"));
        }
        let paths =
            folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
        let inputs: Vec<_> = paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
        assert!(inputs.len() > 10, "{}: {}", target.name, inputs.len());
        for (path, input) in inputs {
            let (_, time, peak) = counted(|| targets::run(target, &input));
            assert!(time < Duration::from_secs(20), "{}: {time:?}", path.display());
            assert!(peak < (256 << 20) + 300 * input.len(), "{}: {peak} bytes", path.display());
        }
    }
}

/// A tensor of `count` float32 in the storage `key`, in protocol 2.
fn pickled_tensor(key: u8, count: u32) -> Vec<u8> {
    let mut bytes =
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0".to_vec();
    bytes.push(key);
    bytes.extend(b"X\x03\0\0\0cpu");
    let count = [b"J", &count.to_le_bytes()[..]].concat();
    bytes.extend([&count[..], b"tQK\0(", &count, b"t(K\x01t\x89ccollections\nOrderedDict\n)RtR"].concat());
    bytes
}

/// Elements of the large tensor of a file of 5 GB.
const LARGE: u32 = 1_250_000_000;
/// Elements of the small one.
const SMALL: u32 = 1000;

/// The pickle of a dict of two tensors.
fn pickled(large: u32) -> Vec<u8> {
    let parts = [&b"\x80\x02}(X\x05\0\0\0large"[..], &pickled_tensor(b'0', large), b"X\x05\0\0\0small"];
    [&parts.concat()[..], &pickled_tensor(b'1', SMALL), b"X\x04\0\0\0stepK\x07u."].concat()
}

fn write_safetensors(file: &std::fs::File, large: u32) {
    let (bytes, small) = (4 * u64::from(large), 4 * u64::from(SMALL));
    let header = format!(
        r#"{{"large":{{"dtype":"F32","shape":[{large}],"data_offsets":[0,{bytes}]}},"small":{{"dtype":"F32","shape":[{SMALL}],"data_offsets":[{bytes},{}]}}}}"#,
        bytes + small
    );
    file.write_all_at(&[&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat(), 0).unwrap();
    file.set_len(8 + header.len() as u64 + bytes + small).unwrap();
}

fn write_npy(file: &std::fs::File, large: u32) {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({large},), }}");
    let start = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    file.write_all_at(&start, 0).unwrap();
    file.set_len(start.len() as u64 + 4 * u64::from(large)).unwrap();
}

fn write_legacy(file: &std::fs::File, large: u32) {
    let head = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    let keys = b"\x80\x02]X\x01\0\0\x000aX\x01\0\0\x001a.";
    let start = [&head[..], &pickled(large), keys, &u64::from(large).to_le_bytes()].concat();
    file.write_all_at(&start, 0).unwrap();
    let at = start.len() as u64 + 4 * u64::from(large);
    file.write_all_at(&u64::from(SMALL).to_le_bytes(), at).unwrap();
    file.set_len(at + 8 + 4 * u64::from(SMALL)).unwrap();
}

/// A zip64 archive, written by hand so that most of it takes no room on the disk.
fn write_torch_save(mut file: &std::fs::File, large: u32) {
    let mut directory = Vec::new();
    let crc = |data: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        crc.sum()
    };
    let pickle = pickled(large);
    let small = vec![0; 4 * SMALL as usize];
    let (bytes, none) = (4 * u64::from(large), Vec::new());
    // A large file's is not looked at.
    let zeros = if large < LARGE { crc(&vec![0; bytes as usize]) } else { 0 };
    for (name, size, data, crc) in [
        ("a/data.pkl", pickle.len() as u64, &pickle, crc(&pickle)),
        ("a/data/0", bytes, &none, zeros),
        ("a/data/1", small.len() as u64, &small, crc(&small)),
    ] {
        let at = file.stream_position().unwrap();
        let mut common = vec![45, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(crc.to_le_bytes());
        common.extend([0xff; 8]);
        common.extend((name.len() as u16).to_le_bytes());
        file.write_all(&[b"PK\x03\x04", &common[..], &[0, 0], name.as_bytes(), data].concat()).unwrap();
        file.seek(SeekFrom::Current((size - data.len() as u64) as i64)).unwrap();
        directory
            .extend([b"PK\x01\x02\x2d\x00", &common[..], &[28, 0], &[0; 10], &[0xff; 4], name.as_bytes()].concat());
        directory.extend([1, 0, 24, 0]);
        directory.extend([size, size, at].iter().flat_map(|n| n.to_le_bytes()));
    }
    let at = file.stream_position().unwrap();
    let end = at + directory.len() as u64;
    let mut wide = b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0".to_vec();
    wide.extend([3, 3, directory.len() as u64, at].iter().flat_map(|n: &u64| n.to_le_bytes()));
    wide.extend([&b"PK\x06\x07\0\0\0\0"[..], &end.to_le_bytes(), &[1, 0, 0, 0]].concat());
    file.write_all(&[&directory[..], &wide, b"PK\x05\x06\0\0\0\0", &[0xff; 12], &[0, 0]].concat()).unwrap();
}

type Writer = fn(&std::fs::File, u32);

const WRITERS: [(&str, Writer); 4] = [
    ("safetensors", write_safetensors),
    ("npy", write_npy),
    ("legacy torch.save", write_legacy),
    ("torch.save", write_torch_save),
];

/// Files of 5 GB: listed, and a small array of them read, without their numbers in memory or a second of time.
#[test]
fn of_a_large_file_only_what_is_wanted_is_read() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    for (name, write) in WRITERS {
        write(&std::fs::File::create(&path).unwrap(), LARGE);
        let (listing, time, peak) = counted(|| entries(&path).unwrap());
        assert!(time < Duration::from_millis(500) && peak < 3 << 20, "{name}: {time:?}, {peak} bytes");
        assert_eq!(listing.entries[0].shape, [LARGE as usize], "{name}");
        let (file, time, peak) = counted(|| read_selected(&path, &|name| name == "small").unwrap());
        assert!(time < Duration::from_millis(500) && peak < 3 << 20, "{name}: {time:?}, {peak} bytes");
        assert_eq!(file.get("small").map_or(0, |array| array.len()), if name == "npy" { 0 } else { 1000 }, "{name}");
        std::fs::remove_file(&path).unwrap();
    }
}

/// Arrays take the file's size in memory, and nothing beside it.
#[test]
fn reading_takes_little_more_memory_than_the_file_has_bytes() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for (name, write) in WRITERS {
        write(&std::fs::File::create(&path).unwrap(), 8 << 20);
        let (contents, _, peak) = counted(|| read(&path).unwrap());
        let arrays: usize = contents.arrays.iter().map(|(_, array)| array.bytes().len()).sum();
        assert!(arrays >= 32 << 20 && peak < arrays + (3 << 20), "{name}: {peak} bytes for {arrays}");
    }
}

/// Pickles of up to 64 MB, packed into some kilobytes, that would fill the memory or never end.
#[test]
fn bombs_end_in_an_error_in_bounded_time_and_memory() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.pt");
    const MOST: usize = 64 << 20;
    let list = [b"(", &b"N".repeat(100_000)[..], b"tq\x00"].concat();
    let key = [&b"X\xe8\x03\0\0"[..], &[b'k'; 1000], b"q\x01"].concat();
    let bombs: [(&str, Vec<u8>, &[u8]); 9] = [
        ("repeats objects over", b"N".to_vec(), b"2"),
        ("repeats objects over", vec![], b"("),
        ("repeats objects over", b"N".to_vec(), b"q\x00"),
        ("makes over 2000000 objects", vec![], b"N"),
        ("makes over 2000000 objects", vec![], b"]"),
        ("repeats objects over", b"]q\x00".to_vec(), b"h\x00a"),
        ("repeats objects over", [&key[..], b"}"].concat(), b"h\x01h\x01s"),
        ("makes over 2000000 objects", list.clone(), b"cbuiltins\ndict\nh\x00\x85R0"),
        ("makes over 2000000 objects", list, b"cbuiltins\nset\nh\x00\x85R0"),
    ];
    for (says, begin, repeated) in bombs {
        let name = repeated.escape_ascii();
        let pickle =
            [&b"\x80\x02"[..], &begin, &repeated.repeat((MOST - begin.len() - 8) / repeated.len()), b"."].concat();
        let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        let deflated = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        archive.start_file("a/data.pkl", deflated).unwrap();
        archive.write_all(&pickle).unwrap();
        archive.finish().unwrap();
        drop(pickle);
        let size = std::fs::metadata(&path).unwrap().len();
        let (result, time, peak) = counted(|| read(&path).map(|_| ()));
        let message = result.unwrap_err().to_string();
        eprintln!("{name}: {size} bytes, {time:?}, {} MiB", peak >> 20);
        assert!(message.contains(says), "{name}: {message}");
        assert!(time < Duration::from_secs(10) && peak < 700 << 20, "{name}: {time:?}, {} MiB", peak >> 20);
    }
}
