//! The stack machine. Objects live in an arena, so that shared and cyclic ones cost nothing extra.

use super::TensorRef;
use super::reader::Reader;
use super::rebuild;
use std::collections::{BTreeSet, HashMap};
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
    Bytes(usize),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Arc<str>),
    Storage(Arc<str>, Arc<str>),
    Tensor(Arc<TensorRef>),
    Opaque { name: Arc<str>, state: Option<Id> },
}

/// Objects and copied references that a pickle may make; a large optimiser state has some hundred thousand.
const MAX_OBJECTS: usize = 2_000_000;

/// Longest name of a global.
const MAX_GLOBAL: usize = 1_000;

/// A running pickle.
pub(super) struct Machine<'a> {
    reader: Reader<'a>,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    unknown: BTreeSet<Arc<str>>,
    left: usize,
}

type Step<T> = Result<T, String>;

impl<'a> Machine<'a> {
    /// A machine at the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(bytes),
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            unknown: BTreeSet::new(),
            left: MAX_OBJECTS,
        }
    }

    /// Runs to the end, and gives the object that was pickled.
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

    /// Globals that were named and not understood.
    pub fn unknown_globals(&self) -> Vec<String> {
        self.unknown.iter().map(|name| name.to_string()).collect()
    }

    /// Counts `n` copied references against the bound.
    pub fn spend(&mut self, n: usize) -> Step<()> {
        self.left = self.left.checked_sub(n).ok_or_else(|| format!("its pickle makes over {MAX_OBJECTS} objects"))?;
        Ok(())
    }

    /// Puts an object into the arena.
    pub fn add(&mut self, node: Node) -> Step<Id> {
        self.spend(1)?;
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    fn push(&mut self, node: Node) -> Step<bool> {
        let id = self.add(node)?;
        self.stack.push(id);
        Ok(true)
    }

    fn pop(&mut self) -> Step<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("its pickle takes from an empty stack".into());
        }
        self.stack.pop().ok_or_else(|| "its pickle takes from an empty stack".into())
    }

    fn top(&self) -> Step<Id> {
        self.stack.last().copied().ok_or_else(|| "its pickle takes from an empty stack".into())
    }

    fn pop_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().ok_or("its pickle takes a mark that was not set")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn pop_many(&mut self, n: usize) -> Step<Vec<Id>> {
        let mut ids = (0..n).map(|_| self.pop()).collect::<Step<Vec<_>>>()?;
        ids.reverse();
        Ok(ids)
    }

    fn literal(&mut self, op: u8) -> Step<bool> {
        let node = match op {
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'K' => Node::Int(self.reader.byte()?.into()),
            b'M' => Node::Int(self.reader.array().map(u16::from_le_bytes)?.into()),
            b'J' => Node::Int(self.reader.array().map(i32::from_le_bytes)?.into()),
            0x8a => self.reader.byte().and_then(|n| self.long(n.into()))?,
            0x8b => self.reader.u32().and_then(|n| self.long(n))?,
            b'G' => Node::Float(self.reader.array().map(f64::from_be_bytes)?),
            b'I' => match self.reader.line()? {
                "00" => Node::Bool(false),
                "01" => Node::Bool(true),
                digits => Node::Int(digits.trim().parse().map_err(|_| "its pickle has a malformed integer")?),
            },
            b'L' => Node::Int(
                self.reader.line()?.trim_end_matches('L').parse().map_err(|_| "its pickle has a malformed integer")?,
            ),
            b'F' => Node::Float(self.reader.line()?.trim().parse().map_err(|_| "its pickle has a malformed number")?),
            b'S' => Node::Str(self.reader.line()?.trim_matches(['\'', '"']).into()),
            b'V' => Node::Str(self.reader.line()?.into()),
            b'U' | 0x8c => self.reader.byte().and_then(|n| self.reader.text(n.into())).map(Node::Str)?,
            b'T' | b'X' => self.reader.u32().and_then(|n| self.reader.text(n)).map(Node::Str)?,
            0x8d => self.reader.u64().and_then(|n| self.reader.text(n)).map(Node::Str)?,
            b'C' => self.reader.byte().and_then(|n| self.reader.take(n.into())).map(|b| Node::Bytes(b.len()))?,
            b'B' => self.reader.u32().and_then(|n| self.reader.take(n)).map(|b| Node::Bytes(b.len()))?,
            0x8e | 0x96 => self.reader.u64().and_then(|n| self.reader.take(n)).map(|b| Node::Bytes(b.len()))?,
            _ => return Ok(false),
        };
        self.push(node)
    }

    /// A little-endian two's-complement integer of `n` bytes.
    fn long(&mut self, n: u64) -> Step<Node> {
        let bytes = self.reader.take(n)?;
        let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut wide = [sign; 8];
        if bytes.len() > wide.len() {
            return Ok(Node::Opaque { name: "an integer of more than 64 bits".into(), state: None });
        }
        wide.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(Node::Int(i64::from_le_bytes(wide)))
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
        let id = self.contents(Node::List(Vec::new()))?;
        match self.nodes.get_mut(id) {
            Some(Node::List(list)) => list.extend(items),
            _ => return Err("its pickle appends to something that is not a list".into()),
        }
        Ok(true)
    }

    fn insert(&mut self, items: &[Id]) -> Step<bool> {
        let id = self.contents(Node::Dict(Vec::new()))?;
        match self.nodes.get_mut(id) {
            Some(Node::Dict(dict)) => dict.extend(pairs(items)),
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

    fn set_state(&mut self, object: Id, inside: Id) {
        if let Some(Node::Opaque { state: state @ None, .. }) = self.nodes.get_mut(object) {
            *state = Some(inside);
        }
    }

    fn stack_or_memo(&mut self, op: u8) -> Step<bool> {
        let put = match op {
            0x80 => return self.reader.byte().map(|_| true),
            0x95 => return self.reader.u64().map(|_| true),
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(true);
            }
            b'0' if self.marks.last() == Some(&self.stack.len()) => return self.pop_mark().map(|_| true),
            b'0' => return self.pop().map(|_| true),
            b'1' => return self.pop_mark().map(|_| true),
            b'2' => return self.top().map(|top| self.stack.push(top)).map(|()| true),
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
        self.memo.insert(put, top);
        Ok(true)
    }

    fn memo_key(&mut self) -> Step<u64> {
        self.reader.line()?.trim().parse().map_err(|_| "its pickle has a malformed memo key".into())
    }

    fn recall(&mut self, key: u64) -> Step<bool> {
        let id = *self.memo.get(&key).ok_or("its pickle recalls what it never stored")?;
        self.stack.push(id);
        Ok(true)
    }

    /// Opcodes that in Python import and call. Here they make the few known things, and opaque values of all else.
    fn object(&mut self, op: u8) -> Step<bool> {
        match op {
            b'c' => {
                let (module, name) = (self.reader.line()?, self.reader.line()?);
                let global = self.global(module, name)?;
                self.push(global)
            }
            0x93 => {
                let names = self.pop_many(2)?;
                let [Node::Str(module), Node::Str(name)] =
                    [0, 1].map(|i| names.get(i).map_or(&Node::None, |&id| self.node(id)))
                else {
                    return Err("its pickle names a global by something that is not text".into());
                };
                let (module, name) = (Arc::clone(module), Arc::clone(name));
                let global = self.global(&module, &name)?;
                self.push(global)
            }
            b'R' | 0x81 => self.pop_many(2).and_then(|items| self.call(&items)),
            0x92 => self.pop_many(3).and_then(|items| self.call(&items)),
            b'o' => self.pop_mark().and_then(|items| self.call(items.get(..1).unwrap_or_default())),
            b'i' => {
                let (module, name) = (self.reader.line()?, self.reader.line()?);
                self.pop_mark()?;
                let Node::Global(name) = self.global(module, name)? else { return Ok(false) };
                self.push(Node::Opaque { name, state: None })
            }
            b'b' => {
                let state = self.pop()?;
                let object = self.top()?;
                self.set_state(object, state);
                Ok(true)
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = rebuild::storage(self, id)?;
                self.push(storage)
            }
            _ => Ok(false),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Step<Node> {
        if module.len() + name.len() > MAX_GLOBAL {
            return Err(format!("its pickle names a global in over {MAX_GLOBAL} letters"));
        }
        let name: Arc<str> = format!("{module}.{name}").into();
        if !rebuild::is_known(&name) {
            self.unknown.insert(Arc::clone(&name));
        }
        Ok(Node::Global(name))
    }

    fn call(&mut self, items: &[Id]) -> Step<bool> {
        let id = match *items {
            [function, arguments, ..] => rebuild::call(self, function, arguments)?,
            [function] => rebuild::call(self, function, function)?,
            [] => return Err("its pickle calls nothing".into()),
        };
        self.stack.push(id);
        Ok(true)
    }
}

fn pairs(items: &[Id]) -> Vec<(Id, Id)> {
    items.as_chunks::<2>().0.iter().map(|&[key, value]| (key, value)).collect()
}
