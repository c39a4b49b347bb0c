//! The frozen hash that draws two instances for a client (`two-choice`).

use crate::InstanceId;
use crate::client::ClientKey;

/// A number for each pair of a client and an instance that every process computes alike, in every version: FNV-1a over
/// the key, mixed, continued over the id, mixed again (the mixing is that of SplitMix64).
///
/// It is not keyed. Whoever chooses keys can choose which two instances are drawn; what is charged there is checked all
/// the same, so that buys nothing but an uneven fill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(client: &ClientKey) -> Draw {
        Draw(mix(fnv(0xcbf2_9ce4_8422_2325, client.as_bytes())))
    }

    /// The instances with the greatest numbers are drawn. One that comes or goes changes nobody else's number.
    pub(super) fn number(self, instance: &InstanceId) -> u64 {
        mix(fnv(self.0, instance.as_str().as_bytes()))
    }
}

fn fnv(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn mix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
