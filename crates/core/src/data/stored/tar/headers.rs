//! The headers of a tar file, one after the other; nothing between them is read.

use crate::error::{Error, Result};
use crate::tensor_file::Source;

const BLOCK: u64 = 512;
/// Bytes of a long name or of pax records at most.
const MOST_EXTRA: u64 = 1 << 20;

/// A regular file in a tar file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub name: String,
    /// Where its bytes begin.
    pub at: u64,
    pub bytes: u64,
}

/// The regular files of a tar file.
pub(super) struct Headers<'a> {
    source: &'a Source,
    at: u64,
    done: bool,
}

/// What the headers before a file's own say about it.
#[derive(Default)]
struct Said {
    name: Option<String>,
    bytes: Option<u64>,
}

impl<'a> Headers<'a> {
    pub fn of(source: &'a Source) -> Self {
        Headers { source, at: 0, done: false }
    }

    fn wrong(&self, problem: impl std::fmt::Display) -> Error {
        let next = "Copy or download it again; a packed one (.tar.gz) is to be unpacked to .tar first.";
        Error::file(self.source.path(), format!("{problem}, at byte {}", self.at), next)
    }

    /// The next regular file; `None` at the end.
    fn advance(&mut self) -> Result<Option<Member>> {
        let mut said = Said::default();
        loop {
            if self.source.bytes() < self.at + BLOCK {
                return Err(self.wrong("it is cut short: it has no end-of-archive block"));
            }
            let header = self.source.read(self.at, BLOCK)?;
            if header.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            if !checks(&header) {
                return Err(self.wrong("this is no header of a tar file"));
            }
            let stored = number(&header[124..136]).ok_or_else(|| self.wrong("the size of a file is no number"))?;
            let kind = header[156];
            let is_extra = matches!(kind, b'L' | b'K' | b'x' | b'g');
            let bytes = said.bytes.filter(|_| !is_extra).unwrap_or(stored);
            let at = self.at + BLOCK;
            let end = bytes.checked_next_multiple_of(BLOCK).and_then(|padded| at.checked_add(padded));
            let end = end.filter(|_| at.checked_add(bytes).is_some_and(|end| end <= self.source.bytes()));
            let end = end.ok_or_else(|| self.wrong(format!("it is cut short: a file in it has {bytes} bytes")))?;
            if is_extra {
                self.extra(kind, (at, bytes), &mut said)?;
            }
            let name = said.name.clone().unwrap_or_else(|| name(&header));
            self.at = end;
            match kind {
                b'0' | 0 | b'7' if !name.ends_with('/') => return Ok(Some(Member { name, at, bytes })),
                _ if is_extra => {}
                _ => said = Said::default(),
            }
        }
    }

    /// What a header that belongs to the next one says.
    fn extra(&self, kind: u8, (at, bytes): (u64, u64), said: &mut Said) -> Result<()> {
        if kind != b'L' && kind != b'x' {
            return Ok(());
        }
        if bytes > MOST_EXTRA {
            return Err(self.wrong(format!("a name in it has {bytes} bytes")));
        }
        let text = self.source.read(at, bytes)?;
        if kind == b'L' {
            said.name = Some(until_zero(&text));
            return Ok(());
        }
        for (key, value) in pax(&text).ok_or_else(|| self.wrong("its pax records are damaged"))? {
            match key {
                "path" => said.name = Some(value.into()),
                "size" => said.bytes = Some(value.parse().map_err(|_| self.wrong("the size of a file is no number"))?),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Iterator for Headers<'_> {
    type Item = Result<Member>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let member = self.advance().transpose();
        self.done = !matches!(member, Some(Ok(_)));
        member
    }
}

/// The sum of all bytes, those of the sum itself counted as spaces.
fn checks(header: &[u8]) -> bool {
    let sum: u64 =
        header.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u64::from(*b) }).sum();
    number(&header[148..156]) == Some(sum)
}

/// Octal digits; or with the first bit set, GNU's big-endian number.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let bytes = field.iter().enumerate().map(|(i, byte)| if i == 0 { byte & 0x7f } else { *byte });
        return bytes.into_iter().try_fold(0u64, |sum, byte| sum.checked_mul(256)?.checked_add(byte.into()));
    }
    let text = until_zero(field);
    u64::from_str_radix(text.trim(), 8).ok()
}

/// The prefix, where the header has one, and the name.
fn name(header: &[u8]) -> String {
    let name = until_zero(&header[..100]);
    let prefix = if &header[257..263] == b"ustar\0" { until_zero(&header[345..500]) } else { String::new() };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

fn until_zero(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// Records `LENGTH KEY=VALUE\n`; those that are no text are left out.
fn pax(mut text: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut records = Vec::new();
    while !text.is_empty() && text[0] != 0 {
        let space = text.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&text[..space]).ok()?.parse().ok()?;
        let record = text.get(space + 1..length.checked_sub(1)?)?;
        records.extend(std::str::from_utf8(record).ok().and_then(|record| record.split_once('=')));
        text = &text[length..];
    }
    Some(records)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn block(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
        let mut header = vec![0u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        header[156] = kind;
        header[257..263].copy_from_slice(b"ustar\0");
        header[148..156].copy_from_slice(b"        ");
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        header.extend_from_slice(bytes);
        header.resize(header.len().next_multiple_of(512), 0);
        header
    }

    /// A tar file; names of more than 100 bytes as pax has them.
    pub(in super::super) fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut file = Vec::new();
        for (name, bytes) in members {
            if name.len() > 100 {
                let rest = format!(" path={name}\n");
                let length = (1..).find(|n: &usize| n.to_string().len() + rest.len() == *n).unwrap();
                file.extend(block("pax", b'x', format!("{length}{rest}").as_bytes()));
            }
            file.extend(block(&name[..name.len().min(100)], b'0', bytes));
        }
        file.extend([0; 1024]);
        file
    }

    fn read(bytes: &[u8]) -> Result<Vec<Member>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        std::fs::write(&path, bytes).unwrap();
        let source = Source::open(&path).unwrap();
        Headers::of(&source).collect()
    }

    #[test]
    fn members_lie_where_their_headers_say() {
        let members = read(&tar(&[("a", b"12"), ("b/c", &[7; 600])])).unwrap();
        let found: Vec<(&str, u64, u64)> = members.iter().map(|m| (m.name.as_str(), m.at, m.bytes)).collect();
        assert_eq!(found, [("a", 512, 2), ("b/c", 1536, 600)]);
    }

    #[test]
    fn folders_and_links_are_passed_over_and_gnus_long_names_read() {
        let name = "n".repeat(150);
        let mut file = block("folder/", b'5', b"");
        file.extend(block("link", b'2', b""));
        file.extend(block("././@LongLink", b'L', format!("{name}\0").as_bytes()));
        file.extend(block(&name[..100], b'0', b"x"));
        file.extend(block("next", b'0', b"y"));
        file.extend([0; 1024]);
        let names: Vec<String> = read(&file).unwrap().into_iter().map(|m| m.name).collect();
        assert_eq!(names, [name.as_str(), "next"]);
    }

    #[test]
    fn damaged_files_are_refused_with_the_place() {
        let whole = tar(&[("a", &[1; 700]), ("b", b"2")]);
        for cut in [0, 100, 511, 512, 600, 1400, 1536, 2047, 2560] {
            let message = read(&whole[..cut]).unwrap_err().to_string();
            assert!(message.contains("cut short"), "{cut}: {message}");
        }
        let mut flipped = whole.clone();
        flipped[3] ^= 1;
        assert!(read(&flipped).unwrap_err().to_string().contains("no header"));
        assert!(read(&[0x1f; 2048]).unwrap_err().to_string().contains(".tar.gz"));
        assert_eq!(read(&[0; 1024]).unwrap(), []);
    }

    #[test]
    fn sizes_are_octal_or_binary() {
        assert_eq!(number(b"00000000017\0"), Some(15));
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]), Some(2 << 32));
        assert_eq!(number(&[0xff; 12]), None);
        assert_eq!(number(b"12345678 \0\0\0"), None);
    }
}
