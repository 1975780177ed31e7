//! Opcodes that push numbers, text and byte strings.

use super::machine::{Machine, Node, Step};

impl Machine<'_> {
    /// Whether `op` was one of these.
    pub(super) fn literal(&mut self, op: u8) -> Step<bool> {
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
            b'I' => match self.reader.line()?.as_str() {
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
            b'C' => self.reader.byte().and_then(|n| self.reader.skip(n.into())).map(Node::Bytes)?,
            b'B' => self.reader.u32().and_then(|n| self.reader.skip(n)).map(Node::Bytes)?,
            0x8e | 0x96 => self.reader.u64().and_then(|n| self.reader.skip(n)).map(Node::Bytes)?,
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
}
