//! Clients: where each is at home, read one by one, in pages, or followed.

use steadfast_core::client::ClientKey;
use steadfast_core::placement::Placement;
use steadfast_core::{Moment, SetName};
use steadfast_store::{Cursor, Key, Named, PageToken, Record, Revision, Space};
use tokio::sync::mpsc;

use crate::follow::{Fact, Follow, News, Reading, UNHURRIED, Wanted};
use crate::records::ClientRecord;
use crate::registry::CALL_WITHIN;
use crate::{Error, Registry, Stored, keys};

/// News on their way to whoever follows a set's clients. A slow reader delays the watch, and loses nothing.
const NEWS_WAITING: usize = 64;

/// A page of clients, in the order of their keys.
#[derive(Clone, Debug)]
pub struct ClientPage {
    /// Keys and records.
    pub clients: Vec<(ClientKey, Stored<Placement>)>,
    /// What lies between them and cannot be read, and why.
    pub unreadable: Vec<Error>,
    /// Give this as `after` to the next call; `None`: that was all.
    pub next: Option<ClientKey>,
}

/// What a feed says of a set's clients, in order.
#[derive(Clone, Debug)]
pub enum ClientNews {
    /// From here on every change is told. What was known before may have changed unseen; what a placer answers after
    /// this came has not.
    Begin {
        /// Where the set stood.
        at: Cursor,
    },
    /// One commit changed these clients (`None`: forgotten, or written so that it cannot be read).
    Changed {
        /// By which revision: compare with [`Stored::version`].
        revision: Revision,
        /// Which.
        clients: Vec<(ClientKey, Option<Placement>)>,
        /// When it reached this process.
        at: Moment,
    },
    /// Nothing changed, the store is there.
    Contact(Moment),
    /// The store cannot be heard, and why. Changes may be missed until the next news, but none is lost: the feed goes
    /// on where it stopped, or begins anew.
    Trouble(String),
}

impl Registry {
    /// Where a client is at home.
    pub async fn client(&self, set: &SetName, client: &ClientKey) -> Result<Option<Stored<Placement>>, Error> {
        let key = keys::client(set, client);
        let found = self.store.read(&key, CALL_WITHIN).await?;
        let found = found.map(|record| read(&key, &record)).transpose()?;
        Ok(found.map(|stored| Stored { version: stored.version, record: stored.record.placement }))
    }

    /// A page of at most `limit` clients after this key. It begins where the last one ended: a client that is placed or
    /// forgotten meanwhile may be missed, and none is there twice.
    pub async fn clients(&self, set: &SetName, after: Option<&ClientKey>, limit: usize) -> Result<ClientPage, Error> {
        let space = keys::space(set);
        let mut token = after.map(|key| PageToken { cursor: Cursor::START, after: keys::client_name(key) });
        let mut found = ClientPage { clients: Vec::new(), unreadable: Vec::new(), next: None };
        loop {
            let page = self.store.scan(&space, keys::CLIENTS, token, limit.max(1), CALL_WITHIN).await?;
            for (name, record) in page.records {
                let key = Key::new(space.clone(), name);
                match parse_key(&key).and_then(|client| Ok((client, read(&key, &record)?))) {
                    Ok((client, Stored { version, record })) => {
                        found.clients.push((client, Stored { version, record: record.placement }));
                    }
                    Err(error) => found.unreadable.push(error),
                }
            }
            let Some(next) = page.next else { return Ok(found) };
            found.next = parse_key(&Key::new(space.clone(), next.after.clone())).ok();
            if found.next.is_some() {
                return Ok(found);
            }
            // The page ended with a key that is none, which nobody could give back as the place to go on from.
            token = Some(next);
        }
    }

    /// Follows every change of a set's clients from now on, without reading those that are there. Must be called
    /// inside a Tokio runtime; ends when the receiver is dropped.
    pub fn follow_clients(&self, set: &SetName) -> mpsc::Receiver<ClientNews> {
        let follow = Follow {
            store: self.store.clone(),
            space: keys::space(set),
            prefixes: vec![keys::CLIENTS.to_vec()],
            reading: Reading::Nothing,
            wanted: Wanted::always(UNHURRIED),
        };
        let (facts, mut incoming) = mpsc::channel(NEWS_WAITING);
        let (tell, news) = mpsc::channel(NEWS_WAITING);
        let space = keys::space(set);
        tokio::spawn(async move {
            // Ends with the reader: then the follower has nobody to tell, and ends too.
            let pass_on = async {
                while let Some(fact) = incoming.recv().await {
                    if tell.send(translate(&space, fact)).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                () = pass_on => {}
                () = tell.closed() => {}
                () = follow.run(facts) => {}
            }
        });
        news
    }
}

fn translate(space: &Space, fact: Fact) -> ClientNews {
    match fact.news {
        News::All { at, .. } => ClientNews::Begin { at },
        News::Changed { revision, changes } => {
            let clients = changes.into_iter().filter_map(|change| changed(space, change)).collect();
            ClientNews::Changed { revision, clients, at: fact.at }
        }
        News::Contact => ClientNews::Contact(fact.at),
        News::Trouble(why) => ClientNews::Trouble(why),
    }
}

fn changed(space: &Space, (name, record): Named) -> Option<(ClientKey, Option<Placement>)> {
    let key = Key::new(space.clone(), name);
    let unusable = |error: &Error| tracing::error!(%error, "a client's record cannot be used");
    let client = parse_key(&key).inspect_err(unusable).ok()?;
    let placement = record.and_then(|record| Some(read(&key, &record).inspect_err(unusable).ok()?.record.placement));
    Some((client, placement))
}

/// A client's record as the store showed it.
pub(crate) fn read(key: &Key, record: &Record) -> Result<Stored<ClientRecord>, Error> {
    Ok(Stored { version: record.version, record: ClientRecord::decode(key, &record.value)? })
}

/// The client whose record lies here.
pub(crate) fn parse_key(key: &Key) -> Result<ClientKey, Error> {
    let bytes = key.name.strip_prefix(keys::CLIENTS).unwrap_or_default();
    ClientKey::new(bytes).map_err(|e| Error::Record { key: format!("{key:?}"), problem: e.to_string() })
}
