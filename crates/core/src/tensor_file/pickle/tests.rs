//! Pickles written by hand, byte for byte: what is honest is read, what is hostile ends in an error.

use super::*;

fn text(s: &str) -> Vec<u8> {
    let mut bytes = vec![b'X'];
    bytes.extend((s.len() as u32).to_le_bytes());
    bytes.extend(s.as_bytes());
    bytes
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn plain_values_are_read() {
    let bytes = joined(&[
        b"\x80\x02}(",
        &text("a"),
        b"](K\x07M\x00\x01J\xff\xff\xff\xff\x8a\x02\xff\x7fe",
        &text("b"),
        b"(G\x3f\xf8\0\0\0\0\0\0\x88\x89Nt",
        b"K\x05",
        &text("five"),
        b"u.",
    ]);
    let pickled = parse(&bytes).unwrap();
    let Value::List(a) = pickled.tree.get("a").unwrap() else { panic!("not a list") };
    assert_eq!(a.iter().map(|v| v.as_i64().unwrap()).collect::<Vec<_>>(), [7, 256, -1, 32767]);
    let b = Value::List(vec![Value::Float(1.5), Value::Bool(true), Value::Bool(false), Value::None]);
    assert_eq!(pickled.tree.get("b"), Some(&b));
    assert_eq!(pickled.tree.get("5").unwrap().as_str(), Some("five"));
}

#[test]
fn a_key_that_is_set_twice_has_its_last_value() {
    let bytes = joined(&[b"}(", &text("a"), b"K\x01", &text("b"), b"K\x02", &text("a"), b"K\x03u."]);
    let entries = vec![("a".into(), Value::Int(3)), ("b".into(), Value::Int(2))];
    assert_eq!(parse(&bytes).unwrap().tree, Value::Dict(entries));
}

#[test]
fn unknown_globals_are_named_and_keep_their_state() {
    let bytes = joined(&[b"\x80\x02cposix\nsystem\n", &text("touch /tmp/x"), b"\x85R}", &text("k"), b"K\x01sb."]);
    let pickled = parse(&bytes).unwrap();
    assert_eq!(pickled.opaque, ["posix.system"]);
    assert_eq!(pickled.tree.get("k"), Some(&Value::Int(1)));
    assert!(matches!(pickled.tree, Value::Opaque { ref name, .. } if &**name == "posix.system"));
    for written in [&b"(S'x'\nios\nsystem\n."[..], b"(cos\nsystem\nS'x'\no.", b"\x8c\x02os\x8c\x06system\x93."] {
        let pickled = parse(written).map(|p| p.opaque);
        assert_eq!(pickled, Ok(vec!["os.system".to_string()]), "{written:?}");
    }
}

#[test]
fn a_pickle_that_unfolds_without_end_is_refused() {
    // Each list holds the one before it twice: 2⁶⁰ values from 300 bytes.
    let mut doubling = b"]q\x00".to_vec();
    for _ in 0..60 {
        doubling.extend(b"](h\x00h\x00eq\x00");
    }
    doubling.push(b'.');
    assert!(parse(&doubling).unwrap_err().contains("unfolds"));
}

#[test]
fn what_holds_itself_is_cut_off_where_it_does() {
    let pickled = parse(b"]q\x00(K\x07h\x00e.").unwrap();
    let cut = Value::Opaque { name: "a list that holds itself".into(), state: None };
    assert_eq!(pickled.tree, Value::List(vec![Value::Int(7), cut]));
    assert_eq!(pickled.opaque, ["a list that holds itself"]);
    let pickled = parse(&joined(&[b"}q\x00", &text("a"), b"}", &text("b"), b"h\x00ss."])).unwrap();
    assert_eq!(pickled.opaque, ["a dict that holds itself"]);
    // A node that names its parent, beside a number that is wanted.
    let node = joined(&[b"}(", &text("node"), b"cm\nNode\n)Rq\x00}(", &text("parent"), b"h\x00", &text("child")]);
    let bytes = joined(&[&node, b"cm\nLeaf\n)R}", &text("parent"), b"h\x00sbub", &text("epoch"), b"K\x05u."]);
    let pickled = parse(&bytes).unwrap();
    assert_eq!(pickled.opaque, ["m.Leaf", "m.Node"]);
    assert_eq!(pickled.tree.get("epoch"), Some(&Value::Int(5)));
    let leaf = pickled.tree.get("node").unwrap().get("child").unwrap();
    assert_eq!(leaf.get("parent"), Some(&Value::Opaque { name: "m.Node".into(), state: None }));
}

/// Thirty objects that all name each other would unfold to 30! values, and a chain of 500 to 500 levels.
#[test]
fn objects_that_name_each_other_are_unfolded_once() {
    let new = |i: usize| format!("cm\nNode\n)Rp{i}\n0").into_bytes();
    let fill = |i: usize, others: &[usize]| {
        let named: Vec<u8> =
            others.iter().flat_map(|j| [text(&j.to_string()), format!("g{j}\n").into_bytes()].concat()).collect();
        joined(&[format!("g{i}\n}}(").as_bytes(), &named, b"ub0"])
    };
    let all: Vec<usize> = (0..30).collect();
    let end = joined(&[b"}(", &text("node"), b"g0\n", &text("epoch"), b"K\x05u."]);
    let web = [(0..30).flat_map(new).collect(), (0..30).flat_map(|i| fill(i, &all)).collect::<Vec<u8>>(), end.clone()]
        .concat();
    let chain =
        [(0..500).flat_map(new).collect(), (0..499).flat_map(|i| fill(i, &[i + 1])).collect::<Vec<u8>>(), end].concat();
    for bytes in [web, chain] {
        let pickled = parse(&bytes).unwrap();
        assert_eq!((pickled.tree.get("epoch"), pickled.opaque), (Some(&Value::Int(5)), vec!["m.Node".to_string()]));
    }
}

#[test]
fn nesting_beyond_reason_is_refused_without_overflowing_the_stack() {
    let deep = [vec![b']'; 1_000_000], vec![b'a'; 999_999], vec![b'.']].concat();
    assert!(parse(&deep).unwrap_err().contains("nested"));
}

#[test]
fn a_shared_list_cannot_be_copied_without_end() {
    let mut bytes = joined(&[b"cbuiltins\nlist\nq\x00(", &[b'N'; 100_000], b"tq\x01\x85q\x02"]);
    for _ in 0..100 {
        bytes.extend(b"h\x00h\x02R");
    }
    bytes.push(b'.');
    assert!(parse(&bytes).unwrap_err().contains("objects"));
}

#[test]
fn globals_without_end_are_refused() {
    let mut bytes: Vec<u8> = (0..10_001).flat_map(|i| format!("cm\nn{i}\n").into_bytes()).collect();
    bytes.push(b'.');
    assert!(parse(&bytes).unwrap_err().contains("over 10000 globals"));
    let long = [&b"cm\n"[..], &[b'n'; 2000], b"\n."].concat();
    assert!(parse(&long).unwrap_err().contains("in over 1000 letters"));
}

#[test]
fn a_pickle_ends_at_its_stop() {
    let (pickled, length) = parse_front(b"\x80\x02K\x07.\x80\x02N.").unwrap();
    assert_eq!((pickled.tree, length), (Value::Int(7), 5));
}

#[test]
fn malformed_pickles_end_in_an_error() {
    for bytes in [
        &b""[..],
        b".",
        b"N",
        b"t.",
        b"a.",
        b"0.",
        b"(0.",
        b"s.",
        b"h\x07.",
        b"X\xff\xff\xff\xff.",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\xff.",
        b"R.",
        b"NR.",
        b"(o.",
        b"NNa.",
        b"NNNs.",
        b"Iabc\n.",
        b"cos",
        b"NQ.",
        b"NN\x93.",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"ctorch._utils\n_rebuild_parameter\n)R.",
        b"b.",
    ] {
        assert!(parse(bytes).is_err(), "{bytes:?}");
    }
    // Every beginning of an honest pickle, and the pickle with every byte turned over: an error or a value, no panic.
    let honest = joined(&[b"\x80\x02}q\x00(", &text("a"), b"ctorch\nSize\nK\x02\x85\x85Rq\x01K\x01u."]);
    for i in 0..honest.len() {
        assert!(parse(&honest[..i]).is_err());
        let mut turned = honest.clone();
        turned[i] ^= 0xff;
        let _ = parse(&turned);
    }
}

/// What `torch.save(storage, _use_new_zipfile_serialization=False)` writes of `count` float32, with `bytes` of them.
fn legacy_storage(count: u64, bytes: usize) -> Vec<u8> {
    joined(&[
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
        b"\x80\x02M\xe9\x03.",
        b"\x80\x02}.",
        b"\x80\x02(",
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("0"),
        &text("cpu"),
        b"K\x02NtQ.",
        b"\x80\x02]",
        &text("0"),
        b"a.",
        &count.to_le_bytes(),
        &vec![0; bytes],
    ])
}

/// A tensor [2] of the storage that `torch.storage._load_from_bytes` would make of `bytes`.
fn loaded_from(bytes: &[u8]) -> Vec<u8> {
    joined(&[
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(ctorch.storage\n_load_from_bytes\nB",
        &(bytes.len() as u32).to_le_bytes(),
        bytes,
        b"\x85RK\x00K\x02\x85K\x01\x85\x89NtR.",
    ])
}

#[test]
fn a_storage_within_a_pickle_is_found_and_not_loaded() {
    let storage = legacy_storage(2, 8);
    let pickle = loaded_from(&storage);
    let pickled = parse(&pickle).unwrap();
    let (_, tensor) = &pickled.tensors[0];
    assert_eq!((tensor.view.shape.as_slice(), &*tensor.type_name), ([2].as_slice(), "float32"));
    // Eight bytes, which end where the byte string does.
    let place = &pickled.places[&tensor.key];
    let begin = pickle.windows(storage.len()).position(|window| window == storage).unwrap() as u64;
    assert_eq!(*place, begin + storage.len() as u64 - 8..begin + storage.len() as u64);
    assert!(pickled.opaque.is_empty(), "{:?}", pickled.opaque);
}

#[test]
fn storages_that_lie_or_nest_are_refused() {
    for (bytes, says) in [
        (legacy_storage(3, 8), "longer than its bytes"),
        (legacy_storage(u64::MAX, 8), "longer than its bytes"),
        (legacy_storage(2, 8)[..60].to_vec(), "cut short"),
        (b"\x80\x02N.".repeat(5), "no storage"),
        // A storage within the pickle of a storage.
        (loaded_from(&legacy_storage(2, 8)).repeat(5), "no storage"),
    ] {
        let refused = parse(&loaded_from(&bytes)).unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
    let no_bytes = b"\x80\x02ctorch.storage\n_load_from_bytes\nK\x01\x85R.";
    assert!(parse(no_bytes).unwrap_err().contains("not bytes"));
}

#[test]
fn a_persistent_object_is_its_class_and_state() {
    let meta = joined(&[
        b"}(",
        &text("module_src"),
        &text("import os"),
        &text("class_name"),
        &text("Net"),
        &text("state"),
        b"}",
        &text("size"),
        b"K\x03su",
    ]);
    let pickle = joined(&[b"\x80\x02ctorch_utils.persistence\n_reconstruct_persistent_obj\n", &meta, b"\x85R."]);
    let pickled = parse(&pickle).unwrap();
    assert!(matches!(&pickled.tree, Value::Opaque { name, .. } if &**name == "Net"), "{:?}", pickled.tree);
    assert_eq!(pickled.tree.get("size"), Some(&Value::Int(3)));
    assert_eq!(pickled.tree.get("module_src"), None);
}
