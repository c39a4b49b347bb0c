//! Rules broken on purpose, each in the shell around `decide`: what it breaks is written beside the code that does.

/// Which rule is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    Nothing,
    /// The client's record is committed first, the ledgers in a second commit.
    ChargeInASecondCommit,
    /// A keeper expires by its wall clock instead of the set's ticks.
    ExpiryByWallClock,
    /// A keeper raises the clock whenever its own timer says so, not after having seen it stand still for a tick.
    TicksByOwnTimer,
    /// A drain is told to one gateway, and is not in the ledger.
    DrainNotInTheLedger,
    /// A ledger is written whatever its version.
    LedgerWithoutVersion,
    /// A client's record is written whatever is there.
    ClientWithoutVersion,
    /// After a conflict the same decision is committed again, with the versions that the conflict showed.
    MirrorAfterConflict,
    /// A commit of unknown outcome is taken for one that failed: it is written again over whatever is there.
    UnknownTakenForFailed,
    /// A commit of unknown outcome is taken for one that happened.
    UnknownTakenForDone,
    /// Whoever else writes a ledger leaves the mark of the last batch in it.
    MarkOutlivesItsVersion,
    /// Where a mirror shows no ledger of a client's home, the commit does not say that it expects none.
    AbsenceNotExpected,
    /// A refusal is judged by the mirror alone.
    RefusalFromTheMirror,
    /// Expiries are counted from the tick that the mirror shows, and the commit does not say which one that is.
    TickFromTheMirror,
}

impl Broken {
    pub(crate) const ALL: [Broken; 13] = [
        Broken::ChargeInASecondCommit,
        Broken::ExpiryByWallClock,
        Broken::TicksByOwnTimer,
        Broken::DrainNotInTheLedger,
        Broken::LedgerWithoutVersion,
        Broken::ClientWithoutVersion,
        Broken::MirrorAfterConflict,
        Broken::UnknownTakenForFailed,
        Broken::UnknownTakenForDone,
        Broken::MarkOutlivesItsVersion,
        Broken::AbsenceNotExpected,
        Broken::RefusalFromTheMirror,
        Broken::TickFromTheMirror,
    ];
}
