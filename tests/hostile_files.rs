//! Files as nobody should write them: each ends in an error that says what is wrong. `fixtures/tensor_file/make.py` makes
//! those that are not made here.

use lipscope::checkpoint::Request;
use lipscope::tensor_file::{Value, entries, read, sniff};
use std::io::Write;
use std::path::{Path, PathBuf};
use tch::Device;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tensor_file").join(name)
}

#[test]
fn a_command_in_a_pickle_is_named_and_never_run() {
    let contents = read(fixture("command.pt")).unwrap();
    assert_eq!(contents.opaque, ["posix.system"]);
    assert!(matches!(contents.tree.unwrap().get("evil"), Some(Value::Opaque { .. })));
    assert!(!Path::new("lipscope-was-here").exists());
    assert_eq!(entries(fixture("module.pt")).unwrap().opaque, ["torch.nn.modules.linear.Linear"]);
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    for (file, says) in [
        ("tar.pt", "PyTorch 0.1 saved such files"),
        ("legacy_protocol.pt", "protocol version is Int(1002); 1001 is read"),
        ("legacy_count.pt", "claims 4611686018427387904 elements of 4 bytes, and 48 bytes are left"),
        ("legacy_cut.pt", "claims 12 elements of 4 bytes, and 28 bytes are left"),
        ("legacy_short.pt", "reach beyond its storage of 11 elements"),
        ("legacy_magic_only.pt", "pickle is cut short"),
        ("legacy_no_keys.pt", "it has no storage"),
        ("legacy_odd_keys.pt", "a key of its storages is not text"),
        ("legacy_stray_key.pt", "it has a storage stray that no tensor is made of"),
        ("legacy_unknown.pt", "is a torch.QuaternionStorage, whose length in bytes is not known"),
        ("duplicate.npz", "two of its entries are called a.npy"),
        ("two_pickles.pt", "it holds two pickles, a/data.pkl and b/data.pkl"),
        ("same_place.npz", "its entry a.npy overlaps b.npy"),
        ("nested_place.npz", "its entry a.npy overlaps b.npy"),
        ("encrypted.npz", "its entry a.npy is encrypted"),
        ("bzip2.npz", "compressed by method 12; 0 and 8 are read"),
        ("checksum.npz", "its checksum is wrong"),
        ("renamed.npz", "has another header than its directory says"),
        ("long_extra.npz", "its entry a.npy reaches into what follows it"),
        ("promised.npz", "promises 3 entries and lists 2"),
        ("beyond.npz", "claims 102 bytes from byte 2147483648 on"),
        ("parts.npz", "one of several parts of a zip archive"),
        ("wide_disagrees.npz", "its two end records disagree"),
        ("wide_beyond.npz", "claims 9223372036854775808 bytes"),
        ("wide_nowhere.npz", "where it cannot be"),
        ("wide_stray.npz", "no zip64 end record at byte 426"),
        ("wide_missing.npz", "from byte 4294967295 on"),
        ("understated.npz", "claims 500 bytes but holds more"),
        ("overstated.npz", "claims 2000 bytes but holds 1129"),
        ("far_overstated.npz", "made to fill the memory"),
        ("object.npz", "Python objects"),
        ("code.npy", "its header has no 'descr'"),
        ("huge.npy", "takes 400124 bytes with the header, and there are 153"),
        ("goes_on.npy", "goes on after its array"),
        ("version9.npy", "version is 9; 1 to 3 are read"),
        ("long4.pt", "pickle is cut short"),
        ("negative_long4.pt", "pickle is cut short"),
        ("text8.pt", "pickle is cut short"),
        ("bytes8.pt", "pickle is cut short"),
        ("doubling.pt", "unfolds to over 2000000 values"),
        ("unknown_opcode.pt", "unknown opcode 0xfe at byte 2"),
        ("long_key.pt", "a key of 4096 bytes"),
        ("storage_shape.pt", "names a storage in an unknown way"),
        ("same_name.pt", "two of its tensors are called a.b"),
        ("shape.pt", "its shape [9223372036854775807], strides [1] and offset 0 reach beyond its storage"),
        ("negative_shape.pt", "shape or strides are not lengths"),
        ("repeated.pt", "made to fill the memory"),
        ("command.pkl", "can run code"),
        ("object.npy", "Python objects"),
        ("short_storage.pt", "beyond its storage of 3 elements"),
        ("offset.pt", "offset 1 reach beyond its storage of 4 elements"),
        ("stray_key.pt", "data/9"),
        ("deep.pt", "nested over 100 levels"),
        ("cut_pickle.pt", "cut short"),
        ("lying_size.pt", "claims 2147483648 bytes from 40 stored ones, in a file of 4589"),
        ("cut.pt", "directory cannot be read"),
        ("cut.npz", "directory cannot be read"),
        ("cut.npy", "cut short"),
        ("cut.safetensors", "promises"),
        ("beyond.safetensors", "promises 16 bytes of numbers, and there are 8"),
        ("overlap.safetensors", "its array b overlaps another"),
        ("shape.safetensors", "[3] of float32 takes 12 bytes, and it has 8"),
        ("overflow.safetensors", "too large to be true"),
        ("negative.safetensors", "ends at byte 0 before it begins at byte 8"),
        ("hole.safetensors", "its array b leaves a gap"),
        ("duplicate.safetensors", "two of its arrays are called a"),
        ("axes.safetensors", "invalid length 33, expected up to 32 lengths"),
        ("metadata.safetensors", "invalid type: integer `1`, expected a string"),
        ("fraction.safetensors", "floating point `2.5`"),
        ("no_dtype.safetensors", "missing field `dtype`"),
        ("deep.safetensors", "expected a string at line 1 column 7"),
        ("not_text.safetensors", "control character"),
        ("list.safetensors", "of no known format"),
        ("short.safetensors", "of no known format"),
        ("escape.safetensors", "its array \\u{1b}[2J ends"),
        ("gap.safetensors", "promises 8 bytes of numbers, and there are 16"),
        ("long_header.safetensors", "header claims 1099511627776 bytes"),
        ("longest_header.safetensors", "header claims 18446744073709551615 bytes"),
        ("empty.pt", "it is empty"),
        ("text.pt", "it is text"),
        ("lfs.pt", "git lfs pull"),
        ("other.zip", "without arrays"),
        ("expected.json", "it is JSON"),
        ("missing.pt", "Check the path"),
        (".", "it is a folder, not a regular file"),
    ] {
        let message = read(fixture(file)).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(says), "{file}: {message}");
        assert!(!message.contains(".."), "{file}: {message}");
    }
}

/// A list that holds itself is legal, and no array is in it.
#[test]
fn what_holds_itself_is_left_out_and_named() {
    let read = read(fixture("holds_itself.pt")).unwrap();
    assert!(read.arrays.is_empty());
    assert_eq!(read.opaque, ["a list that holds itself"]);
}

/// Every file with one byte changed or its end cut off gives arrays or an error: never a panic, never endless work.
#[test]
fn damage_anywhere_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged");
    for file in
        ["views.pt", "matrix.npy", "deflated.npz", "dtypes.safetensors", "command.pt", "legacy_views.pt", "wide.npz"]
    {
        let honest = std::fs::read(fixture(file)).unwrap();
        for at in (0..honest.len()).step_by(honest.len() / 150 + 1) {
            let mut changed = honest.clone();
            changed[at] ^= 0x81;
            for bytes in [&changed, &honest[..at]] {
                std::fs::write(&path, bytes).unwrap();
                let _ = (read(&path), entries(&path), sniff(&path));
            }
        }
    }
}

#[test]
fn an_archive_that_would_fill_the_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zeros.npz");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let deflated = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    let zeros = vec![0; 8 << 20];
    let header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (8388608,), }";
    for name in 0..20 {
        archive.start_file(format!("{name}.npy"), deflated).unwrap();
        archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
        archive.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
        archive.write_all(header).unwrap();
        archive.write_all(&zeros).unwrap();
    }
    archive.finish().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 400_000);
    let message = read(&path).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("made to fill the memory"), "{message}");
    assert_eq!(entries(&path).unwrap().entries.len(), 20);
}

/// What cannot be read to its end, or not at all, is not waited for.
#[test]
fn pipes_devices_sockets_and_loops_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    for (link, to) in [("loop", "loop"), ("there", "back"), ("back", "there"), ("zeros", "/dev/zero"), ("inside", ".")]
    {
        std::os::unix::fs::symlink(to, at(link)).unwrap();
    }
    for (path, says) in [
        (at("pipe"), "it is a named pipe, not a regular file"),
        (at("socket"), "it is a socket, not a regular file"),
        (at("zeros"), "it is a device, not a regular file"),
        ("/dev/null".into(), "it is a device, not a regular file"),
        (at("loop"), "Too many levels of symbolic links"),
        (at("there"), "Too many levels of symbolic links"),
        (at("inside"), "it is a folder, not a regular file"),
        (at("inside/inside/inside"), "it is a folder, not a regular file"),
    ] {
        for result in [read(&path).map(|_| ()), entries(&path).map(|_| ()), sniff(&path).map(|_| ())] {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(says), "{}: {message}", path.display());
        }
    }
}

/// A file that is cut short and written again all the while gives what it holds or an error, and never ends the process.
#[test]
fn a_file_that_changes_while_it_is_read_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["views.pt", "dtypes.safetensors", "legacy_views.pt", "stored.npz", "matrix.npy"] {
        let honest = std::fs::read(fixture(file)).unwrap();
        let wanted = read(fixture(file)).unwrap().arrays;
        let path = folder.path().join(file);
        std::fs::write(&path, &honest).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        let order = std::sync::atomic::Ordering::Relaxed;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                for cut in (0..honest.len()).cycle().step_by(7) {
                    if done.load(order) {
                        break;
                    }
                    file.set_len(cut as u64).unwrap();
                    std::os::unix::fs::FileExt::write_all_at(&file, &honest, 0).unwrap();
                    file.set_len(honest.len() as u64 + 100).unwrap();
                    file.set_len(honest.len() as u64).unwrap();
                }
            });
            for _ in 0..300 {
                if let Ok(contents) = read(&path) {
                    assert_eq!(contents.arrays.len(), wanted.len(), "{file}");
                }
            }
            done.store(true, order);
        });
        assert_eq!(read(&path).unwrap().arrays, wanted, "{file}");
    }
}

/// A configuration that is nested or long beyond reason, or leads in a circle, is refused before it costs anything.
#[test]
fn hostile_configurations_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.json");
    let nested = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let long = format!("[{}0]", "0,".repeat(3_000_000));
    for (text, says) in [
        (nested.as_str(), "recursion limit exceeded"),
        (long.as_str(), "6000003 bytes are too many for a configuration"),
        ("{\"sample_size\": 1e999}", "it is not JSON (number out of range"),
        ("{\"_class_name\": \"UNet2DModel\"", "it is not JSON (EOF"),
    ] {
        std::fs::write(&config, text).unwrap();
        let message = lipscope::checkpoint::open(folder.path(), &Request::on(Device::Cpu)).map(|_| ()).unwrap_err();
        assert!(message.to_string().contains(says), "{message}");
    }
    for to in ["config.json", "/dev/zero", "."] {
        std::fs::remove_file(&config).unwrap();
        std::os::unix::fs::symlink(to, &config).unwrap();
        let message = lipscope::checkpoint::open(folder.path(), &Request::on(Device::Cpu)).map(|_| ()).unwrap_err();
        assert!(message.to_string().contains("not a diffusers model"), "{message}");
    }
}
