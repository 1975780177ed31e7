//! Who watches a run: told how it goes, asked whether to go on.

/// Watches a run. Every method does nothing by default, so that `()` watches in silence.
pub trait Watch {
    /// A stretch of work begins: `length` pieces named `unit`. It ends with the next one, or with the run.
    fn begin(&self, _length: u64, _unit: &str) {}

    /// The stretch is so many pieces long, after all.
    fn lengthen_to(&self, _length: u64) {}

    /// Pieces that an earlier run did.
    fn skip(&self, _count: u64) {}

    /// One piece is done.
    fn advance(&self) {}

    /// What is being done, in a few words.
    fn say(&self, _words: &str) {}

    /// Something worth a line of its own.
    fn note(&self, _text: &str) {}

    /// The stretch is over.
    fn end(&self) {}

    /// Whether to go on; asked after every batch. `false` stops cleanly.
    fn goes_on(&self) -> bool {
        true
    }
}

impl Watch for () {}
