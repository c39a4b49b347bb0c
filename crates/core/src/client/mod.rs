//! Clients: who must stick, what of a request says who it is, and how much work it brings.

mod key;
mod source;

pub use key::{BadKey, ClientKey};
pub use source::{BadRequest, LabelName, Labels, RequestView, Source, Sources};
