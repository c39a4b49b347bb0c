//! Numbers nobody can guess, from the kernel, and whether somebody did.

use subtle::ConstantTimeEq;

/// 64 random bits.
///
/// # Panics
///
/// If the kernel has no random numbers, which on Linux it says only for a misused system call.
pub fn u64() -> u64 {
    getrandom::u64().expect("getrandom(2) without flags does not fail on a Linux that has it")
}

/// A secret for a token file: 256 random bits as 64 hexadecimal digits.
pub fn token() -> String {
    (0..4).map(|_| format!("{:016x}", u64())).collect()
}

/// Whether two secrets are equal, in a time that tells nothing about where they differ (but whether their lengths do):
/// `subtle` looks at every byte, by operations that compilers are kept from shortening.
pub fn secrets_equal(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests;
