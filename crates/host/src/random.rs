//! Numbers nobody can guess, from the kernel.

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

/// Whether two secrets are equal, in a time that tells nothing about where they differ (but their lengths).
pub fn secrets_equal(one: &[u8], other: &[u8]) -> bool {
    let difference = one.iter().zip(other).fold(0, |all, (a, b)| all | std::hint::black_box(a ^ b));
    one.len() == other.len() && difference == 0
}

#[cfg(test)]
mod tests;
