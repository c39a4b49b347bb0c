//! Clients: who must stick, what of a request says who it is, and how much work it brings.

mod key;
mod read;
mod source;

pub use key::{BadKey, ClientKey};
pub use read::{BadRequest, KeyBytes, RequestView};
pub use source::{LabelName, Labels, Source, Sources};
