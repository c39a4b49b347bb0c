//! Scans: how much is asked for at once, since etcd bounds an answer by records and we by bytes.

use std::sync::atomic::Ordering;

use steadfast_host::clock;

use super::failure::Asked;
use super::grpc::MESSAGE_BYTES;
use super::proto::{RangeRequest, RangeResponse, RequestOp, TxnRequest};
use super::{Core, transaction};
use crate::page::{PageBuilder, records_at_most};
use crate::{Error, PAGE_BYTES, PAGE_RECORDS, Page, PageToken, Space, rules};

/// Records of each range that are asked for while it is not known how large they are: five ranges of so many fit a message
/// if each record is as large as can be.
pub(super) const FEW: usize = 24;
const _: () = assert!(5 * FEW * rules::LIMITS.bytes <= MESSAGE_BYTES);

impl Core {
    pub(super) async fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        within: std::time::Duration,
    ) -> Result<Page, Error> {
        rules::check_prefix(prefix, self.limits)?;
        let records = records_at_most(space, limit)?;
        let at_once = records.min(self.page_records.load(Ordering::Relaxed));
        // The head in the same transaction as the first page: no commit comes between.
        let mut success = Vec::new();
        if page.is_none() {
            success.push(RequestOp::range(RangeRequest::one(self.keys.head(space))));
        }
        let after = page.as_ref().map(|token| token.after.as_slice());
        for range in self.keys.ranges(space, prefix, after) {
            success.push(RequestOp::range(RangeRequest { limit: at_once as i64, ..range }));
        }
        let request = TxnRequest { success, ..TxnRequest::default() };
        let answer = self.transact(Asked::Look, &request, clock::now() + within).await;
        // It may have been too much for one message, or for the time.
        let answer = answer.inspect_err(|_| self.page_records.store(FEW, Ordering::Relaxed))?;
        let mut read = transaction::ranges(answer);
        let cursor = match page {
            Some(token) => token.cursor,
            None => transaction::head_of(&read.next().unwrap_or_default()),
        };
        let page = self.fill(space, PageBuilder::new(cursor, records), read)?;
        self.learn(&page);
        Ok(page)
    }

    /// The page that `read`, ranges one after the other, makes: up to its bounds, or to where a range was cut off.
    fn fill(
        &self,
        space: &Space,
        mut page: PageBuilder,
        read: impl Iterator<Item = RangeResponse>,
    ) -> Result<Page, Error> {
        for range in read {
            let cut = range.more;
            for kv in range.kvs {
                if page.is_full() {
                    return Ok(page.finish());
                }
                let (name, record) = transaction::named(&self.keys, space, kv)?;
                page.add(&name, record);
            }
            if cut {
                let mut page = page.finish();
                let last = page.records.last().map(|(name, _)| name.clone());
                page.next = last.map(|after| PageToken { cursor: page.cursor.clone(), after });
                return Ok(page);
            }
        }
        Ok(page.finish())
    }

    /// Asks next time for about as many records as make a page, if they are like these.
    fn learn(&self, page: &Page) {
        let bytes: usize = page.records.iter().map(|(name, record)| name.len() + record.value.len()).sum();
        if let Some(mean) = bytes.checked_div(page.records.len()) {
            let fit = PAGE_BYTES / mean.max(1);
            self.page_records.store(fit.clamp(FEW, PAGE_RECORDS), Ordering::Relaxed);
        }
    }
}
