//! Errors: [`lipscope_core::error`], and how libtorch's become one of them.

pub(crate) use lipscope_core::error::printable;
pub use lipscope_core::error::{Error, Result};
use tch::TchError;

/// libtorch's message without its C++ stack: the line that tells the cause.
pub fn torch_message(source: &TchError) -> String {
    lipscope_core::error::torch_message(&source.to_string())
}

/// Says what was being done when libtorch refused.
pub trait Doing<T> {
    /// Turns a libtorch error into an [`Error::Torch`] that names the action.
    fn doing(self, what: &str) -> Result<T>;
}

impl<T> Doing<T> for std::result::Result<T, TchError> {
    fn doing(self, what: &str) -> Result<T> {
        self.map_err(|e| Error::torch(what, &e.to_string()))
    }
}
