//! Files as Python writes them; `fixtures/tensor_file/make.py` makes them.

use lipscope::tensor_file::{Format, Value, entries, read, read_selected, sniff};
use serde_json::Value as Json;
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
    assert!(files.len() >= 30, "{}", files.len());
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
        let (read, others): (Vec<_>, Vec<_>) =
            listing.entries.into_iter().partition(|entry| arrays.get(&entry.name).is_some());
        assert_eq!(read.len(), arrays.as_object().unwrap().len(), "{file}");
        assert!(others.iter().all(|entry| entry.dtype.starts_with("complex") || entry.dtype.starts_with("float8")));
        for entry in read {
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
        ("legacy_protocol4.pt", Format::TorchSaveLegacy),
        ("tar.pt", Format::Tar),
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
    let weight = tree.get("model").and_then(|m| m.get("layer")?.get("weight"));
    assert_eq!(weight, Some(&Value::Array("model.layer.weight".into())));
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
fn names_are_those_of_the_state_dict() {
    let names =
        ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"];
    assert_eq!(read(fixture("legacy_module.pt")).unwrap().names(), names);
}

#[test]
fn what_is_not_wanted_is_not_read() {
    for file in ["views.pt", "legacy_views.pt"] {
        let all = read(fixture(file)).unwrap();
        for (name, array) in &all.arrays {
            let chosen = read_selected(fixture(file), &|other| other == name).unwrap();
            assert_eq!(chosen.arrays, [(name.clone(), array.clone())], "{file}");
            assert_eq!(chosen.tree, all.tree);
        }
    }
    // The array `a` of this file is damaged.
    assert_eq!(read_selected(fixture("checksum.npz"), &|name| name == "b").unwrap().names(), ["b"]);
    assert!(read_selected(fixture("checksum.npz"), &|name| name == "a").is_err());
    assert_eq!(read_selected(fixture("short_storage.pt"), &|_| false).unwrap().arrays, []);
    let ints = read_selected(fixture("dtypes.safetensors"), &|name| name.starts_with("int")).unwrap();
    assert_eq!(ints.names(), ["int64", "int32", "int16", "int8"]);
    assert!(read_selected(fixture("matrix.npy"), &|_| false).unwrap().arrays.is_empty());
}

/// Classes that are not there, as trainers leave them in their files, keep no tensor from being read.
#[test]
fn objects_that_are_not_understood_are_named_and_what_is_beside_them_is_read() {
    for file in ["lightning.pt", "legacy_lightning.pt"] {
        let listing = entries(fixture(file)).unwrap();
        for name in ["argparse.Namespace", "omegaconf.dictconfig.DictConfig", "torch.device"] {
            assert!(listing.opaque.iter().any(|opaque| opaque == name), "{file}: {name}");
        }
        let values: Vec<_> = listing.values().into_iter().map(|(name, value)| (name, value.clone())).collect();
        for (name, value) in [
            ("epoch", Value::Int(4)),
            ("global_step", Value::Int(1000)),
            ("name", Value::Str("ldm".into())),
            ("hyper_parameters.lr", Value::Float(0.1)),
            ("hyper_parameters.config._content.lr", Value::Float(1e-4)),
        ] {
            let found = values.iter().find(|(other, _)| other == name).map(|(_, value)| value);
            let deep = name.matches('.').count() > 2;
            assert_eq!(found, Some(&value).filter(|_| !deep), "{file}: {name} of {values:?}");
        }
    }
    let listed: Vec<_> = entries(fixture("untyped.pt")).unwrap().entries.into_iter().map(|entry| entry.dtype).collect();
    assert_eq!(listed, ["float8_e4m3fn", "complex64", "float32"]);
    let opaque = read(fixture("untyped.pt")).unwrap().opaque;
    let named = ["float8 (float8_e4m3fn)", "complex (complex64)"];
    assert_eq!(opaque, [&["torch.ComplexFloatStorage", "torch.float8_e4m3fn"][..], &named].concat());
    let file = fixture("unknown_type.safetensors");
    let listed: Vec<_> = entries(&file).unwrap().entries.into_iter().map(|entry| (entry.name, entry.dtype)).collect();
    assert_eq!(listed, [("a".into(), "float32".into()), ("b".into(), "Z9".into())]);
    assert_eq!((read(&file).unwrap().names(), read(&file).unwrap().opaque), (vec!["a"], vec!["b (Z9)".to_string()]));
}
