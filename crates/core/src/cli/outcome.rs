//! How a command ended.

/// What a finished command has to say about its own success.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit 0.
    Done,
    /// Exit 1: an asserted check did not hold.
    CheckFailed(String),
    /// This exit status and no word: another process of the same command says why.
    ToldElsewhere(u8),
}
