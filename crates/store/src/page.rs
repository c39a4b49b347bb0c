//! A scan's pages: their bounds, and how one is filled.

use crate::{Cursor, Error, Page, PageToken, Record, Space};

/// Records in a page of a scan, at most.
pub const PAGE_RECORDS: usize = 4096;

/// Bytes of names and values in a page of a scan, at most; a page has one record even so.
pub const PAGE_BYTES: usize = 1 << 20;

/// How many records a page gets when `limit` are asked for; [`Error::Config`] if it is zero.
pub(crate) fn records_at_most(space: &Space, limit: usize) -> Result<usize, Error> {
    if limit == 0 {
        return Err(Error::Config(format!("a scan of space `{space}` asks for pages of no records")));
    }
    Ok(limit.min(PAGE_RECORDS))
}

/// Fills a page up to its bounds.
pub(crate) struct PageBuilder {
    page: Page,
    records_at_most: usize,
    bytes: usize,
}

impl PageBuilder {
    pub(crate) fn new(cursor: Cursor, records_at_most: usize) -> PageBuilder {
        PageBuilder { page: Page { cursor, records: Vec::new(), next: None }, records_at_most, bytes: 0 }
    }

    /// Whether there is no room for a record that is there; then the page says where the next one goes on.
    pub(crate) fn is_full(&mut self) -> bool {
        let full = self.page.records.len() >= self.records_at_most || self.bytes >= PAGE_BYTES;
        if full {
            let after = self.page.records.last().map_or_else(Vec::new, |(name, _)| name.clone());
            self.page.next = Some(PageToken { cursor: self.page.cursor.clone(), after });
        }
        full
    }

    pub(crate) fn add(&mut self, name: &[u8], record: Record) {
        self.bytes += name.len() + record.value.len();
        self.page.records.push((name.to_vec(), record));
    }

    pub(crate) fn finish(self) -> Page {
        self.page
    }
}
