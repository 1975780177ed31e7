//! The stack machine. Objects live in an arena, so that shared and cyclic ones cost nothing extra.

use super::reader::Reader;
use super::tensor_ref::TensorRef;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// An object's place in the arena.
pub(super) type Id = usize;

/// An object under construction.
#[derive(Debug, Clone)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    /// Where they are in the pickle.
    Bytes(Range<u64>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Arc<str>),
    Storage(Storage),
    Tensor(Arc<TensorRef>),
    Opaque {
        name: Arc<str>,
        state: Option<Id>,
    },
}

/// A storage, or the part of one that old versions saved as a storage of its own.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    /// Its class, which tells the element type.
    pub class: Arc<str>,
    /// Its name.
    pub key: Arc<str>,
    /// Where the part begins, and how many elements it has; `None` for the whole.
    pub part: Option<(usize, usize)>,
}

/// Objects and copied references that a pickle may make; a large optimiser state has some hundred thousand.
const MAX_OBJECTS: usize = 2_000_000;

/// References to objects, marks and memo entries that a pickle may push: an honest one has a few to every object.
const MAX_PUSHES: usize = 10_000_000;

/// A running pickle.
pub(super) struct Machine<'a> {
    pub(super) reader: Reader<'a>,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    pub(super) globals: BTreeSet<Arc<str>>,
    pub(super) storages: HashMap<Arc<str>, Arc<str>>,
    /// Where the numbers of storages are that lie within the pickle, by key.
    pub(super) places: HashMap<Arc<str>, Range<u64>>,
    /// Whether this pickle lies within another one: then none is looked for in it.
    pub(super) within: bool,
    objects_left: usize,
    pushes_left: usize,
}

pub(super) type Step<T> = Result<T, String>;

impl<'a> Machine<'a> {
    /// A machine at the beginning of `bytes`, which lie within another pickle.
    pub fn within(bytes: &'a [u8]) -> Self {
        Self { within: true, ..Self::new(Reader::new(bytes)) }
    }

    /// A machine over what `reader` gives.
    pub fn new(reader: Reader<'a>) -> Self {
        Self {
            reader,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            globals: BTreeSet::new(),
            storages: HashMap::new(),
            places: HashMap::new(),
            within: false,
            objects_left: MAX_OBJECTS,
            pushes_left: MAX_PUSHES,
        }
    }

    /// Runs to the STOP, and gives the object that was pickled.
    pub fn run(&mut self) -> Step<Id> {
        loop {
            let start = self.reader.at();
            let op = self.reader.byte()?;
            if op == b'.' {
                return self.pop();
            }
            let done = self.literal(op)? || self.container(op)? || self.stack_or_memo(op)? || self.object(op)?;
            if !done {
                return Err(format!("its pickle has the unknown opcode 0x{op:02x} at byte {start}"));
            }
        }
    }

    /// An object; `Node::None` for an id that never was.
    pub fn node(&self, id: Id) -> &Node {
        self.nodes.get(id).unwrap_or(&Node::None)
    }

    /// Counts `n` copied references against the bound.
    pub fn spend(&mut self, n: usize) -> Step<()> {
        let left = self.objects_left.checked_sub(n);
        self.objects_left = left.ok_or_else(|| format!("its pickle makes over {MAX_OBJECTS} objects"))?;
        Ok(())
    }

    fn spend_push(&mut self) -> Step<()> {
        let left = self.pushes_left.checked_sub(1);
        self.pushes_left = left.ok_or_else(|| format!("its pickle repeats objects over {MAX_PUSHES} times"))?;
        Ok(())
    }

    /// Puts an object into the arena.
    pub fn add(&mut self, node: Node) -> Step<Id> {
        self.spend(1)?;
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// Puts an object onto the stack.
    pub fn push(&mut self, node: Node) -> Step<bool> {
        let id = self.add(node)?;
        self.push_id(id)
    }

    /// Puts an object of the arena onto the stack.
    pub fn push_id(&mut self, id: Id) -> Step<bool> {
        self.spend_push()?;
        self.stack.push(id);
        Ok(true)
    }

    /// Takes the object on top of the stack.
    pub fn pop(&mut self) -> Step<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("its pickle takes from an empty stack".into());
        }
        self.stack.pop().ok_or_else(|| "its pickle takes from an empty stack".into())
    }

    /// The object on top of the stack.
    pub fn top(&self) -> Step<Id> {
        self.stack.last().copied().ok_or_else(|| "its pickle takes from an empty stack".into())
    }

    /// Takes everything above the last mark.
    pub fn pop_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().ok_or("its pickle takes a mark that was not set")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    /// Takes `n` objects, the deepest first.
    pub fn pop_many(&mut self, n: usize) -> Step<Vec<Id>> {
        let mut ids = (0..n).map(|_| self.pop()).collect::<Step<Vec<_>>>()?;
        ids.reverse();
        Ok(ids)
    }

    fn container(&mut self, op: u8) -> Step<bool> {
        match op {
            b']' | 0x8f => self.push(Node::List(Vec::new())),
            b')' => self.push(Node::Tuple(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            b'l' | 0x91 => self.pop_mark().and_then(|items| self.push(Node::List(items))),
            b't' => self.pop_mark().and_then(|items| self.push(Node::Tuple(items))),
            0x85..=0x87 => self.pop_many(usize::from(op - 0x84)).and_then(|items| self.push(Node::Tuple(items))),
            b'd' => self.pop_mark().and_then(|items| self.push(Node::Dict(pairs(&items)))),
            b'a' => self.pop().and_then(|item| self.extend(vec![item])),
            b'e' | 0x90 => self.pop_mark().and_then(|items| self.extend(items)),
            b's' => self.pop_many(2).and_then(|items| self.insert(&items)),
            b'u' => self.pop_mark().and_then(|items| self.insert(&items)),
            _ => Ok(false),
        }
    }

    fn extend(&mut self, items: Vec<Id>) -> Step<bool> {
        let is_object = matches!(self.node(self.top()?), Node::Opaque { .. });
        let id = self.contents(Node::List(Vec::new()))?;
        match self.nodes.get_mut(id) {
            Some(Node::List(list)) => list.extend(items),
            // An object that has items of both kinds, or a state before its items, keeps what came first.
            _ if is_object => {}
            _ => return Err("its pickle appends to something that is not a list".into()),
        }
        Ok(true)
    }

    fn insert(&mut self, items: &[Id]) -> Step<bool> {
        let is_object = matches!(self.node(self.top()?), Node::Opaque { .. });
        let id = self.contents(Node::Dict(Vec::new()))?;
        match self.nodes.get_mut(id) {
            Some(Node::Dict(dict)) => dict.extend(pairs(items)),
            _ if is_object => {}
            _ => return Err("its pickle sets keys of something that is not a dict".into()),
        }
        Ok(true)
    }

    /// The container on top of the stack. An opaque object (a subclass of list or dict) keeps its items as its state.
    fn contents(&mut self, empty: Node) -> Step<Id> {
        let top = self.top()?;
        match self.node(top) {
            Node::Opaque { state: None, .. } => {
                let inside = self.add(empty)?;
                self.set_state(top, inside);
                Ok(inside)
            }
            Node::Opaque { state: Some(inside), .. } => Ok(*inside),
            _ => Ok(top),
        }
    }

    /// Fills an opaque object, unless it is filled already.
    pub fn set_state(&mut self, object: Id, inside: Id) {
        if let Some(Node::Opaque { state: state @ None, .. }) = self.nodes.get_mut(object) {
            *state = Some(inside);
        }
    }

    fn stack_or_memo(&mut self, op: u8) -> Step<bool> {
        let put = match op {
            0x80 => return self.reader.byte().map(|_| true),
            0x95 => return self.reader.u64().map(|_| true),
            b'(' => {
                self.spend_push()?;
                self.marks.push(self.stack.len());
                return Ok(true);
            }
            b'0' if self.marks.last() == Some(&self.stack.len()) => return self.pop_mark().map(|_| true),
            b'0' => return self.pop().map(|_| true),
            b'1' => return self.pop_mark().map(|_| true),
            b'2' => return self.top().and_then(|top| self.push_id(top)),
            b'h' => return self.reader.byte().and_then(|key| self.recall(key.into())),
            b'j' => return self.reader.u32().and_then(|key| self.recall(key)),
            b'g' => return self.memo_key().and_then(|key| self.recall(key)),
            b'q' => self.reader.byte()?.into(),
            b'r' => self.reader.u32()?,
            b'p' => self.memo_key()?,
            0x94 => self.memo.len() as u64,
            _ => return Ok(false),
        };
        let top = self.top()?;
        self.spend_push()?;
        self.memo.insert(put, top);
        Ok(true)
    }

    fn memo_key(&mut self) -> Step<u64> {
        self.reader.line()?.trim().parse().map_err(|_| "its pickle has a malformed memo key".into())
    }

    fn recall(&mut self, key: u64) -> Step<bool> {
        let id = *self.memo.get(&key).ok_or("its pickle recalls what it never stored")?;
        self.push_id(id)
    }
}

fn pairs(items: &[Id]) -> Vec<(Id, Id)> {
    items.as_chunks::<2>().0.iter().map(|&[key, value]| (key, value)).collect()
}
