//! The store over HTTP: [`serve`] puts any store on a server, [`Http`] is a store that lies behind one.
//!
//! `POST /store/v1/{read,commit,scan,watch}` and `GET /store/v1/describe`; JSON, with names and values in base64.
//! A watch is answered with a stream of lines of JSON. Errors are problem documents (RFC 9457) whose `reason` is
//! that of [`Error`](crate::Error), so that a conflict keeps its records and "did not happen" stays apart from
//! "may have happened". Who may call is the business of whoever mounts it.

mod client;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod server;
mod wire;

pub use client::Http;
pub(crate) use client::Missed;
pub use server::{BODY_BYTES, Service, serve};

/// The paths served all begin so.
pub const PATH: &str = "/store/v1/";

/// The protocol's number, in the answer to `describe`.
const PROTOCOL: u32 = 1;
