//! What a service, or something that pretends to be one, answers to a transaction and to a query.

use super::super::entity::rows;
use super::super::transaction::unpack;
use super::{Answer, OPERATIONS, answer};
use crate::Revision;

/// Any bytes are an answer or none, and nothing is made of them that they do not say.
pub fn azure_answers(data: &[u8]) {
    for operations in [0, 1, 2, OPERATIONS] {
        if let Ok(Answer::Done(etags)) = answer(data, operations) {
            assert_eq!(etags.len(), operations, "an answer to each operation");
        }
    }
    if let Ok(rows) = rows(data) {
        for row in rows {
            drop((row.record(), row.revision("Revision"), row.bytes("Mark"), row.parts('C')));
        }
    }
    if let Some(changes) = unpack(data, Revision(1)) {
        let bytes: usize = changes
            .iter()
            .map(|(name, record)| 5 + name.len() + record.as_ref().map_or(0, |record| 4 + record.value.len()))
            .sum();
        assert_eq!(bytes, data.len(), "every byte was one of a change");
    }
}
