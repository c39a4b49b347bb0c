//! What is asked of the books, what they say, and what is to be done.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::client::Labels;
use crate::settings::StickySettings;
use crate::{InstanceId, Weight};

use super::{Ledger, Placement, Reason, Tick};

/// An instance, as far as decisions go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its ledger.
    pub ledger: Ledger,
    /// What it offers.
    pub labels: Labels,
    /// The load it reported within the last ten seconds, in thousandths.
    pub load_milli: Option<u64>,
    /// Whoever decides could not reach it just now: no new clients from here.
    pub suspended: bool,
}

/// Every instance of a set.
pub type Members = BTreeMap<InstanceId, Member>;

/// What the books say, apart from the client.
#[derive(Clone, Copy, Debug)]
pub struct Books<'a> {
    /// The set's settings.
    pub settings: &'a StickySettings,
    /// The set's time.
    pub tick: Tick,
    /// Its instances.
    pub members: &'a Members,
}

/// What somebody wants of a client's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What.
    pub wish: Wish,
    /// Who: a gateway, an agent, the keeper, an operator.
    pub by: String,
    /// When, for people.
    pub at: String,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A client's request is here and wants to be sent home: placed, returned, moved off a lost home, refreshed,
    /// reweighed, as it needs. With `present` its request or connection is carried by the asker: a reservation
    /// turns active (`presence = "connection"`).
    Arrive {
        /// What the request says it weighs.
        weight: Option<Weight>,
        /// What the request requires and prefers.
        labels: Labels,
        /// It is there now.
        present: bool,
    },
    /// A client is there, says this instance: claimed, refreshed, returned; if unknown, placed right there.
    Report {
        /// Where it is.
        at: InstanceId,
        /// What it weighs, if that is known.
        weight: Option<Weight>,
    },
    /// A client was sent to its home while the books could not be asked, idle as it was: it is charged there now, even
    /// above the capacity, since it may be there already. One that has become another's, or nobody's, is left alone.
    Served {
        /// Which home it was sent to.
        at: InstanceId,
        /// What it said it weighs.
        weight: Option<Weight>,
    },
    /// A client's last connection that the asker saw closed: it stays charged for `idle_after` from now. Whoever still
    /// carries another one of it refreshes it in time.
    Leave {
        /// At which home: that of a former one means nothing.
        at: InstanceId,
    },
    /// An operator (or a matchmaker) places a client that is not there yet; one that has a home keeps it.
    Place {
        /// Where; by the policy if not said.
        to: Option<InstanceId>,
        /// What it will weigh.
        weight: Option<Weight>,
        /// What it requires and prefers.
        labels: Labels,
    },
    /// Moves a client, to `to` or by the policy. `certain_to_leave`: one that is connected will be made to leave.
    Move {
        /// Only while it is at home there, and, where a drain is the reason, while that drain's deadline is over: who
        /// asks saw that a while ago. `None`: wherever it is.
        from: Option<InstanceId>,
        /// Where to.
        to: Option<InstanceId>,
        /// Why.
        reason: Reason,
        /// A connected client can be made to leave its former home.
        certain_to_leave: bool,
    },
    /// The keeper: what is over is over.
    Expire,
    /// An operator: as if it had never been there.
    Forget,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it lives for one step: a box would cost more than it saves")]
pub enum Decision {
    /// Nothing: what the books say is the answer.
    Keep,
    /// This.
    Write(Change),
}

/// A client's record and the ledgers it touches, after the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `None`: deleted.
    pub client: Option<Placement>,
    /// One or two, or none where neither a charge nor a count changes.
    pub ledgers: Vec<(InstanceId, Ledger)>,
    /// The books show no ledger of the client's former home, so its charge is nowhere to be given back. The commit must
    /// expect that ledger to be absent: where it only had not been heard of yet, its charge would stay for ever.
    pub absent: Option<InstanceId>,
    /// What people should hear of.
    pub notes: Vec<Note>,
}

/// Something people should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A client declared another weight, and that did not fit.
    Overweight {
        /// What it declared.
        declared: Weight,
        /// What it stays charged.
        charged: Weight,
    },
    /// A client was charged above its home's capacity.
    Overflow {
        /// Where.
        home: InstanceId,
    },
}
