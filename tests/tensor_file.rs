//! Files as Python writes them, and files as nobody should: `fixtures/tensor_file/make.py` makes both.

use lipscope::tensor_file::{Format, Value, entries, read, sniff};
use serde_json::Value as Json;
use std::io::Write;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tensor_file").join(name)
}

fn expected() -> serde_json::Map<String, Json> {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    let Json::Object(files) = serde_json::from_str(&text).unwrap() else { panic!("expected.json is not an object") };
    files
}

fn number(value: &Json) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn shape_and_dtype(array: &Json) -> (Vec<usize>, String) {
    let shape = array["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    (shape, array["dtype"].as_str().unwrap().to_string())
}

#[test]
fn every_number_is_as_python_wrote_it() {
    let files = expected();
    assert!(files.len() >= 15, "{}", files.len());
    for (file, arrays) in files {
        let contents = read(fixture(&file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let arrays = arrays.as_object().unwrap();
        let mut names: Vec<_> = arrays.keys().map(String::as_str).collect();
        let mut read_names = contents.names();
        names.sort_unstable();
        read_names.sort_unstable();
        assert_eq!(names, read_names, "{file}");
        for (name, wanted) in arrays {
            let array = contents.get(name).unwrap();
            assert_eq!((array.shape().to_vec(), array.dtype().to_string()), shape_and_dtype(wanted), "{file}: {name}");
            let values: Vec<f64> = wanted["values"].as_array().unwrap().iter().map(number).collect();
            assert_eq!(array.map(|x| x), values, "{file}: {name}");
            assert_eq!(array.to_f64().unwrap().shape(), array.shape());
        }
    }
}

#[test]
fn a_listing_says_the_same_as_reading() {
    for (file, arrays) in expected() {
        let listing = entries(fixture(&file)).unwrap();
        assert_eq!(listing.entries.len(), arrays.as_object().unwrap().len(), "{file}");
        for entry in listing.entries {
            assert_eq!((entry.shape, entry.dtype), shape_and_dtype(&arrays[&entry.name]), "{file}: {}", entry.name);
        }
    }
}

#[test]
fn formats_are_told_by_content() {
    for (file, format) in [
        ("dtypes.pt", Format::TorchSave),
        ("script.pt", Format::TorchScript),
        ("legacy.pt", Format::TorchSaveLegacy),
        ("matrix.npy", Format::Npy),
        ("deflated.npz", Format::Npz),
        ("dtypes.safetensors", Format::Safetensors),
        ("long_header.safetensors", Format::Safetensors),
        ("command.pkl", Format::Pickle),
        ("expected.json", Format::Json),
        ("text.pt", Format::Text),
        ("empty.pt", Format::Empty),
        ("other.zip", Format::Zip),
    ] {
        assert_eq!(sniff(fixture(file)).unwrap().format, format, "{file}");
    }
    let script = sniff(fixture("script.pt")).unwrap();
    assert_eq!((script.root.as_deref(), script.lipscope_json.as_deref()), (Some("script"), Some("{\"a\": 1}")));
    assert_eq!(sniff(fixture("dtypes.pt")).unwrap().lipscope_json, None);
}

#[test]
fn a_nested_checkpoint_is_a_tree() {
    let contents = read(fixture("nested.pt")).unwrap();
    let tree = contents.tree.as_ref().unwrap();
    assert_eq!(tree.get("step").and_then(Value::as_i64), Some(7));
    assert_eq!(tree.get("name").and_then(Value::as_str), Some("größe"));
    let config = tree.get("config").unwrap();
    assert_eq!(config.get("dims"), Some(&Value::List(vec![Value::Int(2), Value::Int(3)])));
    assert_eq!(config.get("big").and_then(Value::as_i64), Some(1 << 40));
    let Some(Value::List(groups)) = tree.get("optimizer").and_then(|o| o.get("param_groups")) else { panic!() };
    assert_eq!(groups[0].get("lr").and_then(Value::as_f64), Some(1e-3));
    let Some(&Value::Array(i)) = tree.get("model").and_then(|m| m.get("layer")?.get("weight")) else { panic!() };
    assert_eq!(contents.arrays[i].0, "model.layer.weight");
    assert!(contents.opaque.is_empty(), "{:?}", contents.opaque);
}

#[test]
fn tensors_that_share_a_storage_share_memory() {
    let contents = read(fixture("views.pt")).unwrap();
    let at = |name| contents.get(name).unwrap().bytes().as_ptr();
    assert_eq!(at("base"), at("tied"));
    assert_ne!(at("base"), at("transposed"));
}

#[test]
fn safetensors_metadata_is_kept() {
    let wanted = [("a".to_string(), "1".to_string()), ("b".to_string(), "2".to_string())];
    assert_eq!(read(fixture("dtypes.safetensors")).unwrap().metadata, wanted);
    assert_eq!(entries(fixture("dtypes.safetensors")).unwrap().metadata, wanted);
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
        ("legacy.pt", "torch.save(torch.load("),
        ("command.pkl", "can run code"),
        ("object.npy", "Python objects"),
        ("short_storage.pt", "beyond its storage of 3 elements"),
        ("offset.pt", "offset 1 reach beyond its storage of 4 elements"),
        ("stray_key.pt", "data/9"),
        ("deep.pt", "nested over 100 levels"),
        ("cut_pickle.pt", "cut short"),
        ("lying_size.pt", "claims 2147483648 bytes"),
        ("cut.pt", "directory cannot be read"),
        ("cut.npz", "directory cannot be read"),
        ("cut.npy", "cut short"),
        ("cut.safetensors", "promises"),
        ("beyond.safetensors", "promises 16 bytes of numbers, and there are 8"),
        ("overlap.safetensors", "header cannot be read"),
        ("shape.safetensors", "header cannot be read"),
        ("overflow.safetensors", "header cannot be read"),
        ("negative.safetensors", "header cannot be read"),
        ("gap.safetensors", "promises 8 bytes of numbers, and there are 16"),
        ("long_header.safetensors", "header claims 1099511627776 bytes"),
        ("longest_header.safetensors", "header claims 18446744073709551615 bytes"),
        ("empty.pt", "it is empty"),
        ("text.pt", "it is text"),
        ("lfs.pt", "git lfs pull"),
        ("other.zip", "without arrays"),
        ("expected.json", "it is JSON"),
        ("missing.pt", "Check the path"),
        (".", "not a regular file"),
    ] {
        let message = read(fixture(file)).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(says), "{file}: {message}");
        assert!(!message.contains(".."), "{file}: {message}");
    }
}

/// Every file with one byte changed or its end cut off gives arrays or an error: never a panic, never endless work.
#[test]
fn damage_anywhere_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged");
    for file in ["views.pt", "matrix.npy", "deflated.npz", "dtypes.safetensors", "command.pt"] {
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
