//! Opcodes that in Python import and call. Here they make the few known things, and opaque values of all else.

use super::machine::{Id, Machine, Node, Step};
use super::rebuild;
use std::sync::Arc;

/// Longest name of a global, and most of them.
const MAX_GLOBAL: usize = 1_000;
const MAX_GLOBALS: usize = 10_000;

impl Machine<'_> {
    /// Whether `op` was one of these.
    pub(super) fn object(&mut self, op: u8) -> Step<bool> {
        match op {
            b'c' => {
                let (module, name) = (self.reader.line()?, self.reader.line()?);
                let global = self.global(&module, &name)?;
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
                let Node::Global(name) = self.global(&module, &name)? else { return Ok(false) };
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
                let storage = rebuild::persistent(self, id)?;
                self.push(storage)
            }
            _ => Ok(false),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Step<Node> {
        if module.len() + name.len() > MAX_GLOBAL {
            return Err(format!("its pickle names a global in over {MAX_GLOBAL} letters"));
        }
        let name = format!("{module}.{name}");
        // One text for every global, however often it is named.
        let name = match self.globals.get(name.as_str()) {
            Some(known) => Arc::clone(known),
            None => Arc::from(name),
        };
        self.globals.insert(Arc::clone(&name));
        if self.globals.len() > MAX_GLOBALS {
            return Err(format!("its pickle names over {MAX_GLOBALS} globals"));
        }
        Ok(Node::Global(name))
    }

    fn call(&mut self, items: &[Id]) -> Step<bool> {
        let id = match *items {
            [function, arguments, ..] => rebuild::call(self, function, arguments)?,
            [function] => rebuild::call(self, function, function)?,
            [] => return Err("its pickle calls nothing".into()),
        };
        self.push_id(id)
    }
}
