//! Waits: the machine under the processes. Everything Linux-only and everything unsafe is here; nothing of sets is.

pub mod clock;
#[allow(missing_docs)]
pub mod random {
    pub fn u64() -> u64 {
        0
    }
}
