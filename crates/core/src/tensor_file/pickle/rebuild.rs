//! The constructors that are understood: tensors, storages and plain containers. Everything else stays opaque.

use super::machine::{Id, Machine, Node, Storage};
use super::nested;
use super::tensor_ref::TensorRef;
use crate::tensor_file::array::Dtype;
use crate::tensor_file::layout::View;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Those of the named globals that are not understood.
pub(super) fn unknown(globals: &BTreeSet<Arc<str>>) -> Vec<String> {
    globals.iter().filter(|name| !is_known(name)).map(|name| name.to_string()).collect()
}

/// Whether a global is one of those that this reader gives a meaning.
fn is_known(name: &str) -> bool {
    const FUNCTIONS: [&str; 21] = [
        "collections.OrderedDict",
        "collections.defaultdict",
        "builtins.dict",
        "builtins.list",
        "builtins.set",
        "builtins.frozenset",
        "builtins.object",
        "__builtin__.list",
        "__builtin__.set",
        "__builtin__.object",
        "copyreg._reconstructor",
        "copy_reg._reconstructor",
        "torch.Size",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_tensor_v3",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch._tensor._rebuild_from_type_v2",
        LOAD_FROM_BYTES,
        PERSISTENT,
    ];
    FUNCTIONS.contains(&name) || storage_type(name).is_some() || torch_dtype(name).is_some() || name == UNTYPED
}

const UNTYPED: &str = "torch.storage.UntypedStorage";
/// A storage as a byte string.
const LOAD_FROM_BYTES: &str = "torch.storage._load_from_bytes";
/// An object whose class travels as source text, as StyleGAN's and EDM's `torch_utils` pickle their networks.
const PERSISTENT: &str = "torch_utils.persistence._reconstruct_persistent_obj";

/// `Float` of `torch.FloatStorage`, or of `torch.cuda.FloatStorage`.
fn storage_word(name: &str) -> Option<&str> {
    let name = name.strip_prefix("torch.")?;
    name.strip_prefix("cuda.").unwrap_or(name).strip_suffix("Storage")
}

fn storage_type(name: &str) -> Option<Dtype> {
    Some(match storage_word(name)? {
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::Bf16,
        "Float" => Dtype::F32,
        "Double" => Dtype::F64,
        "Char" => Dtype::I8,
        "Short" => Dtype::I16,
        "Int" => Dtype::I32,
        "Long" => Dtype::I64,
        "Byte" => Dtype::U8,
        "Bool" => Dtype::Bool,
        _ => return None,
    })
}

/// Bytes of one element of a storage class, whether its numbers are understood here or not.
pub(in crate::tensor_file) fn element_size(class: &str) -> Option<usize> {
    if class == UNTYPED {
        return Some(1);
    }
    if let Some(dtype) = storage_type(class) {
        return Some(dtype.size());
    }
    match storage_word(class)? {
        "ComplexFloat" => Some(8),
        "ComplexDouble" => Some(16),
        "QInt8" | "QUInt8" | "QUInt4x2" | "QUInt2x4" | "Untyped" => Some(1),
        "QInt32" => Some(4),
        _ => None,
    }
}

/// PyTorch's name of a type, that of a storage class or dtype where it is not read here.
fn type_name(dtype: Option<Dtype>, word: &str) -> Arc<str> {
    match (dtype, storage_word(word)) {
        (Some(dtype), _) => dtype.name().into(),
        (None, Some("ComplexFloat")) => "complex64".into(),
        (None, Some("ComplexDouble")) => "complex128".into(),
        (None, _) => word.strip_prefix("torch.").unwrap_or(word).into(),
    }
}

fn torch_dtype(name: &str) -> Option<Dtype> {
    name.strip_prefix("torch.").and_then(Dtype::from_name)
}

/// What a persistent id means: a storage, `('storage', class, key, location, element count)`, of old files with
/// `(key, offset, element count)` of a part of it as well; or the class of a module, `('module', class, file, source)`.
/// Where the tensor was, such as `cuda:0`, does not matter.
pub(super) fn persistent(machine: &mut Machine, id: Id) -> Result<Node, String> {
    let Node::Tuple(parts) = machine.node(id) else {
        return Err("its pickle names a storage by something that is not a tuple".into());
    };
    let part = |i: usize| parts.get(i).map_or(&Node::None, |&id| machine.node(id));
    let (class, key) = match (part(0), part(1), part(2)) {
        (Node::Str(tag), Node::Global(class), _) if &**tag == "module" => return Ok(Node::Global(Arc::clone(class))),
        (Node::Str(tag), Node::Global(class), Node::Str(key)) if &**tag == "storage" => {
            (Arc::clone(class), Arc::clone(key))
        }
        _ => return Err("its pickle names a storage in an unknown way".into()),
    };
    let part = match part(5) {
        Node::Tuple(view) => {
            let number = |i: usize| view.get(i).and_then(|&id| length(machine.node(id)));
            Some((number(1).zip(number(2))).ok_or("its pickle has a part of a storage without a place")?)
        }
        _ => None,
    };
    machine.storages.entry(Arc::clone(&key)).or_insert_with(|| Arc::clone(&class));
    Ok(Node::Storage(Storage { class, key, part }))
}

/// What calling `function` with the tuple `arguments` would give, as far as that is known here.
pub(super) fn call(machine: &mut Machine, function: Id, arguments: Id) -> Result<Id, String> {
    call_within(machine, function, arguments, 4)
}

/// `depth` bounds `_rebuild_from_type_v2`, whose first argument is another function to call.
fn call_within(machine: &mut Machine, function: Id, arguments: Id, depth: usize) -> Result<Id, String> {
    let name: Arc<str> = match machine.node(function) {
        Node::Global(name) => Arc::clone(name),
        _ => "a callable that is itself computed".into(),
    };
    let argument = |machine: &Machine, i: usize| match machine.node(arguments) {
        Node::Tuple(items) => items.get(i).copied(),
        _ => None,
    };
    let first = argument(machine, 0);
    match &*name {
        "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor_v3" => {
            let node = tensor(machine, arguments)?;
            machine.add(node)
        }
        "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
            first.ok_or_else(|| "its pickle makes a parameter of nothing".into())
        }
        "torch._tensor._rebuild_from_type_v2" if depth > 0 => match (first, argument(machine, 2)) {
            (Some(function), Some(arguments)) => call_within(machine, function, arguments, depth - 1),
            _ => Err("its pickle makes a tensor of nothing".into()),
        },
        "collections.OrderedDict" | "builtins.dict" => {
            let node = dict(machine, first)?;
            machine.add(node)
        }
        "collections.defaultdict" => machine.add(Node::Dict(Vec::new())),
        "builtins.list" | "__builtin__.list" => {
            let items = first.map(|id| items(machine, id)).unwrap_or_default();
            machine.spend(items.len())?;
            machine.add(Node::List(items))
        }
        "torch.Size" | "builtins.set" | "builtins.frozenset" | "__builtin__.set" => {
            let items = first.map(|id| items(machine, id)).unwrap_or_default();
            machine.spend(items.len())?;
            machine.add(Node::Tuple(items))
        }
        "copyreg._reconstructor" | "copy_reg._reconstructor" => {
            let name = match first.map(|id| machine.node(id)) {
                Some(Node::Global(class)) => Arc::clone(class),
                _ => name,
            };
            machine.add(Node::Opaque { name, state: None })
        }
        LOAD_FROM_BYTES if !machine.within => match first.map(|id| machine.node(id)) {
            Some(Node::Bytes(range)) => {
                let range = range.clone();
                let node = nested::storage(machine, range)?;
                machine.add(node)
            }
            _ => Err("its pickle loads a storage from something that is not bytes".into()),
        },
        PERSISTENT => {
            let node = first.and_then(|meta| persistent_object(machine, meta));
            machine.add(node.unwrap_or(Node::Opaque { name, state: None }))
        }
        _ => machine.add(Node::Opaque { name, state: None }),
    }
}

/// The object of `{class_name, state, …}`: its source text is left where it is.
fn persistent_object(machine: &Machine, meta: Id) -> Option<Node> {
    let Node::Dict(entries) = machine.node(meta) else { return None };
    let value = |wanted: &str| {
        let is_it = |id: Id| matches!(machine.node(id), Node::Str(key) if &**key == wanted);
        entries.iter().find(|(key, _)| is_it(*key)).map(|(_, value)| *value)
    };
    let Node::Str(class) = machine.node(value("class_name")?) else { return None };
    Some(Node::Opaque { name: Arc::clone(class), state: value("state") })
}

fn items(machine: &Machine, id: Id) -> Vec<Id> {
    match machine.node(id) {
        Node::List(items) | Node::Tuple(items) => items.clone(),
        _ => Vec::new(),
    }
}

fn dict(machine: &mut Machine, from: Option<Id>) -> Result<Node, String> {
    let Some(from) = from else { return Ok(Node::Dict(Vec::new())) };
    // Counted before it is looked through: one list can be named again and again.
    machine.spend(match machine.node(from) {
        Node::Dict(entries) => entries.len(),
        Node::List(items) | Node::Tuple(items) => items.len(),
        _ => 0,
    })?;
    let pair = |&id: &Id| match machine.node(id) {
        Node::List(pair) | Node::Tuple(pair) => Some((*pair.first()?, *pair.get(1)?)),
        _ => None,
    };
    Ok(Node::Dict(match machine.node(from) {
        Node::Dict(entries) => entries.clone(),
        Node::List(items) | Node::Tuple(items) => items.iter().filter_map(pair).collect(),
        _ => Vec::new(),
    }))
}

/// A tensor from `(storage, offset, size, stride, requires_grad, hooks, dtype or metadata)`.
fn tensor(machine: &Machine, arguments: Id) -> Result<Node, String> {
    let Node::Tuple(parts) = machine.node(arguments) else {
        return Err("its pickle makes a tensor of something that is not a tuple".into());
    };
    let part = |i: usize| parts.get(i).map_or(&Node::None, |&id| machine.node(id));
    let Storage { class, key, part: within } = match part(0) {
        Node::Storage(storage) => storage,
        // An opaque storage (of a class that was not understood) makes an opaque tensor.
        Node::Opaque { name, .. } => return Ok(Node::Opaque { name: Arc::clone(name), state: None }),
        _ => return Err("its pickle makes a tensor without a storage".into()),
    };
    let given = match part(6) {
        Node::Global(name) => Some(name),
        _ => None,
    };
    // `_rebuild_tensor_v3` has untyped storages and the dtype as an argument.
    let dtype = if &**class == UNTYPED { given.and_then(|name| torch_dtype(name)) } else { storage_type(class) };
    let type_name = type_name(dtype, given.unwrap_or(class));
    let offset = length(part(1)).ok_or("its pickle has a tensor without an offset")?;
    let lengths = |node: &Node| match node {
        Node::Tuple(ids) | Node::List(ids) if ids.len() <= 64 => {
            ids.iter().map(|&id| length(machine.node(id))).collect::<Option<Vec<usize>>>()
        }
        _ => None,
    };
    let (Some(shape), Some(strides)) = (lengths(part(2)), lengths(part(3))) else {
        return Err("its pickle has a tensor whose shape or strides are not lengths".into());
    };
    let mut view = View { shape, strides, offset };
    if let &Some((start, count)) = within {
        view.check(count)?;
        view.offset = start.checked_add(offset).ok_or("its pickle has a tensor beyond its storage")?;
    }
    Ok(Node::Tensor(Arc::new(TensorRef { key: Arc::clone(key), dtype, type_name, view })))
}

fn length(node: &Node) -> Option<usize> {
    match node {
        Node::Int(n) => usize::try_from(*n).ok(),
        _ => None,
    }
}
