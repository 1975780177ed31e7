//! The pickled object as a plain tree, and the names of its tensors.

use super::machine::{Id, Machine, Node, Storage};
use super::tensor_ref::TensorRef;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// A Python object, as far as a checkpoint needs it. Tuples and sets are lists here; keys are text.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    /// A byte string, of which only the length is kept.
    Bytes(usize),
    /// A tensor: its name among the file's arrays.
    Array(Arc<str>),
    List(Vec<Value>),
    Dict(Vec<(Arc<str>, Value)>),
    /// An object of a class, or the result of a call, that was not made. `state` is what it would have been filled with.
    Opaque {
        name: Arc<str>,
        state: Option<Box<Value>>,
    },
}

impl Value {
    /// The value under a key of a dict, or of an opaque object's state.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Dict(entries) => entries.iter().find(|(name, _)| &**name == key).map(|(_, value)| value),
            Value::Opaque { state: Some(state), .. } => state.get(key),
            _ => None,
        }
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::Float(x) => Some(*x),
            _ => None,
        }
    }
}

/// Nesting that is followed. Checkpoints have under 20 levels; a cycle has no end.
const MAX_DEPTH: usize = 100;
/// Values of the tree: a pickle that names one object many times must not unfold without end.
const MAX_VALUES: usize = 2_000_000;
/// Bytes of a key, which is looked up as often as it is named.
const MAX_KEY: usize = 1_000;
/// Where a pickled `torch.nn.Module` has its parts; the names of its state dict leave them out.
const MODULE: [&str; 3] = ["_parameters", "_buffers", "_modules"];
/// Bytes of all array names together.
const MAX_NAMES: usize = 64 << 20;

type Tensors = Vec<(String, Arc<TensorRef>)>;

/// What an arena unfolds to.
pub(super) struct Grown {
    pub tree: Value,
    pub tensors: Tensors,
    /// What was cut off because it holds itself, other than objects of a class.
    pub cut: BTreeSet<String>,
}

struct Growth<'a> {
    machine: &'a Machine<'a>,
    path: Vec<Arc<str>>,
    levels: usize,
    /// Containers and objects around the present one: one of them within itself is a cycle.
    around: HashSet<Id>,
    /// How many of them are objects of a class.
    objects: usize,
    /// Objects that were unfolded, where each is unfolded once only.
    seen: Option<HashSet<Id>>,
    cut: BTreeSet<String>,
    tensors: Tensors,
    values_left: usize,
    names_left: usize,
}

/// Unfolds an object of the arena. What holds itself is cut off where it does: objects of many classes name the one that
/// they belong to, such as the nodes of an OmegaConf configuration. Where objects name each other so often that they would
/// unfold without end, each is unfolded once.
pub(super) fn grow(machine: &Machine, root: Id) -> Result<Grown, String> {
    grow_with(machine, root, None).or_else(|_| grow_with(machine, root, Some(HashSet::new())))
}

fn grow_with(machine: &Machine, root: Id, seen: Option<HashSet<Id>>) -> Result<Grown, String> {
    let mut growth = Growth {
        machine,
        path: Vec::new(),
        levels: 0,
        around: HashSet::new(),
        objects: 0,
        seen,
        cut: BTreeSet::new(),
        tensors: Vec::new(),
        values_left: MAX_VALUES,
        names_left: MAX_NAMES,
    };
    let tree = growth.value(root)?;
    Ok(Grown { tree, tensors: growth.tensors, cut: growth.cut })
}

impl Growth<'_> {
    fn value(&mut self, id: Id) -> Result<Value, String> {
        self.spend(1)?;
        let machine = self.machine;
        Ok(match machine.node(id) {
            Node::None => Value::None,
            Node::Bool(b) => Value::Bool(*b),
            Node::Int(n) => Value::Int(*n),
            Node::Float(x) => Value::Float(*x),
            Node::Str(text) => Value::Str(Arc::clone(text)),
            Node::Bytes(range) => Value::Bytes((range.end - range.start) as usize),
            Node::Global(name) | Node::Storage(Storage { class: name, .. }) => {
                Value::Opaque { name: Arc::clone(name), state: None }
            }
            Node::Tensor(tensor) => self.tensor(tensor)?,
            Node::Opaque { name, state: None } => Value::Opaque { name: Arc::clone(name), state: None },
            Node::Opaque { name, state: Some(_) } if self.is_cut_off(id) => {
                Value::Opaque { name: Arc::clone(name), state: None }
            }
            Node::List(_) | Node::Tuple(_) | Node::Dict(_) if self.is_cut_off(id) => self.cut_off(id),
            Node::List(items) | Node::Tuple(items) => self.within(id, |growth| {
                let items = items.iter().enumerate();
                items.map(|(i, &id)| growth.child(i.to_string().into(), id)).collect::<Result<_, _>>().map(Value::List)
            })?,
            Node::Dict(entries) => self.within(id, |growth| growth.entries(entries, &[])).map(Value::Dict)?,
            Node::Opaque { name, state: Some(state) } => {
                self.objects += 1;
                let state = self.within(id, |growth| growth.nested(|growth| growth.state(*state)));
                self.objects -= 1;
                Value::Opaque { name: Arc::clone(name), state: Some(Box::new(state?)) }
            }
        })
    }

    /// Whether an object is not unfolded here: within itself, a second time, or deep below an object of a class.
    fn is_cut_off(&mut self, id: Id) -> bool {
        let is_object = matches!(self.machine.node(id), Node::Opaque { .. });
        let again = is_object && self.seen.as_mut().is_some_and(|seen| !seen.insert(id));
        again || self.around.contains(&id) || (self.objects > 0 && self.levels + 2 > MAX_DEPTH)
    }

    fn cut_off(&mut self, id: Id) -> Value {
        let name = match self.machine.node(id) {
            Node::Dict(_) => "a dict that holds itself",
            _ => "a list that holds itself",
        };
        // Within an object of a class, that class is named already.
        if self.objects == 0 {
            self.cut.insert(name.into());
        }
        Value::Opaque { name: name.into(), state: None }
    }

    fn within<T>(&mut self, id: Id, f: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.around.insert(id);
        let value = f(self);
        self.around.remove(&id);
        value
    }

    /// What an opaque object is filled with.
    fn state(&mut self, id: Id) -> Result<Value, String> {
        match self.machine.node(id) {
            Node::Dict(_) if self.around.contains(&id) => Ok(self.cut_off(id)),
            Node::Dict(entries) => self.within(id, |growth| growth.entries(entries, &MODULE)).map(Value::Dict),
            _ => self.value(id),
        }
    }

    fn spend(&mut self, values: usize) -> Result<(), String> {
        let left = self.values_left.checked_sub(values);
        self.values_left = left.ok_or_else(|| format!("its pickle unfolds to over {MAX_VALUES} values"))?;
        Ok(())
    }

    fn tensor(&mut self, tensor: &Arc<TensorRef>) -> Result<Value, String> {
        let name = if self.path.is_empty() { crate::tensor_file::array::UNNAMED.to_string() } else { self.dotted()? };
        let value = match tensor.dtype {
            Some(_) => Value::Array(name.as_str().into()),
            None => Value::Opaque { name: Arc::clone(&tensor.type_name), state: None },
        };
        self.tensors.push((name, Arc::clone(tensor)));
        Ok(value)
    }

    fn dotted(&mut self) -> Result<String, String> {
        let bytes = self.path.iter().map(|part| part.len() + 1).sum();
        self.names_left = self.names_left.checked_sub(bytes).ok_or("the names of its tensors are too long")?;
        Ok(self.path.join("."))
    }

    /// A dict's entries. Where a key is set twice, the later value stands, in the earlier place, as in Python. Keys that
    /// are `unnamed` are left out of the names of tensors.
    fn entries(&mut self, entries: &[(Id, Id)], unnamed: &[&str]) -> Result<Vec<(Arc<str>, Value)>, String> {
        self.spend(entries.len())?;
        let mut last: HashMap<Arc<str>, usize> = HashMap::new();
        let mut kept: Vec<(Arc<str>, Id)> = Vec::new();
        for &(key, value) in entries {
            let key = self.key(key)?;
            match last.get(&key).and_then(|&i| kept.get_mut(i)) {
                Some(entry) => entry.1 = value,
                None => {
                    last.insert(Arc::clone(&key), kept.len());
                    kept.push((key, value));
                }
            }
        }
        let mut entry = |(key, id): (Arc<str>, Id)| {
            let value = match unnamed.contains(&&*key) {
                true => self.nested(|growth| growth.value(id))?,
                false => self.child(Arc::clone(&key), id)?,
            };
            Ok((key, value))
        };
        kept.into_iter().map(&mut entry).collect()
    }

    fn key(&self, id: Id) -> Result<Arc<str>, String> {
        Ok(match self.machine.node(id) {
            Node::Str(text) if text.len() > MAX_KEY => {
                return Err(format!("its pickle has a key of {} bytes; up to {MAX_KEY} are read", text.len()));
            }
            Node::Str(text) => Arc::clone(text),
            Node::Int(n) => n.to_string().into(),
            Node::Bool(b) => b.to_string().into(),
            Node::Float(x) => x.to_string().into(),
            Node::None => "None".into(),
            _ => "(key)".into(),
        })
    }

    fn child(&mut self, name: Arc<str>, id: Id) -> Result<Value, String> {
        self.path.push(name);
        let value = self.nested(|growth| growth.value(id));
        self.path.pop();
        value
    }

    fn nested(&mut self, f: impl FnOnce(&mut Self) -> Result<Value, String>) -> Result<Value, String> {
        self.levels += 1;
        if self.levels > MAX_DEPTH {
            return Err(format!("its pickle is nested over {MAX_DEPTH} levels deep"));
        }
        let value = f(self);
        self.levels -= 1;
        value
    }
}
