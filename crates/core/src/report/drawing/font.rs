//! The one font: DejaVu Sans, cut down to Latin, Greek, Cyrillic and mathematics, and embedded.
//!
//! No system font is ever looked up, so a figure is the same on every machine.
//! Made with `pyftsubset DejaVuSans.ttf --no-hinting --layout-features=kern,mark,mkmk,ccmp` over the ranges of [`RANGES`];
//! the licence is beside it.

use crate::error::{Error, Result};
use plotters::style::{FontStyle, register_font};
use resvg::usvg::fontdb;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};

/// Family name, as the font file itself says.
pub(in crate::report) const FAMILY: &str = "DejaVu Sans";

static BYTES: &[u8] = include_bytes!("DejaVuSans-subset.ttf");

/// Characters that the subset holds and that stand for themselves in a label.
const RANGES: [RangeInclusive<char>; 17] = [
    ' '..='~',
    '\u{a0}'..='\u{17f}',
    '\u{300}'..='\u{308}',
    '\u{38e}'..='\u{3a1}',
    '\u{3a3}'..='\u{45f}',
    '\u{2010}'..='\u{2016}',
    '\u{2018}'..='\u{201e}',
    '\u{2020}'..='\u{2022}',
    '…'..='…',
    '\u{2032}'..='\u{2033}',
    '\u{2074}'..='\u{208e}',
    '\u{2090}'..='\u{209c}',
    '\u{2190}'..='\u{2195}',
    '\u{2200}'..='\u{2209}',
    '\u{2211}'..='\u{221e}',
    '\u{2264}'..='\u{2265}',
    '\u{fffd}'..='\u{fffd}',
];

/// Makes the font known to plotters, which measures text with it.
pub(in crate::report) fn register() -> Result<()> {
    static REGISTERED: LazyLock<bool> = LazyLock::new(|| register_font(FAMILY, FontStyle::Normal, BYTES).is_ok());
    if *REGISTERED {
        return Ok(());
    }
    Err(Error::mismatch("the embedded font cannot be read", "Please report this: the program was built wrongly."))
}

/// A font database that holds the embedded font and nothing else.
pub(in crate::report) fn database() -> Arc<fontdb::Database> {
    static DATABASE: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
        let mut database = fontdb::Database::new();
        database.load_font_data(BYTES.to_vec());
        Arc::new(database)
    });
    Arc::clone(&DATABASE)
}

/// `text` with white space made single spaces and with what the font lacks shown as U+FFFD, never as nothing.
pub(in crate::report) fn printable(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let known = |c: char| if RANGES.iter().any(|range| range.contains(&c)) { c } else { char::REPLACEMENT_CHARACTER };
    words.join(" ").chars().map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promised_character_has_a_glyph() {
        use resvg::usvg::{Options, Tree};
        let options = Options { fontdb: database(), ..Options::default() };
        let outline = |c: char| {
            let escaped = format!("&#{};", c as u32);
            let svg = format!(
                "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><text font-family='{FAMILY}' y='8'>{escaped}</text></svg>"
            );
            Tree::from_str(&svg, &options).unwrap().to_string(&Default::default())
        };
        // U+4E00 is not in the subset: its drawing is that of "no such glyph".
        let missing = outline('\u{4e00}');
        for c in RANGES.into_iter().flatten().filter(|c| !"\u{ad}".contains(*c)) {
            assert_ne!(outline(c), missing, "U+{:04X} is promised but not in the font", c as u32);
        }
    }

    #[test]
    fn labels_become_printable() {
        assert_eq!(printable("a\n\tb  ε_θ"), "a b ε_θ");
        assert_eq!(printable("模型\u{0}"), "\u{fffd}\u{fffd}\u{fffd}");
    }
}
