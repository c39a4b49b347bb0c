//! Health of an application from its checks, with rise and fall.

use crate::Span;

/// How one check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// The application says it can serve.
    Passed,
    /// It answered that it cannot, or refused the connection.
    Failed,
    /// It did not answer in time: nothing is known, which is not the same as a no.
    TimedOut,
}

/// How often to check and how many results change the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckPolicy {
    /// From the start of one check to the start of the next.
    pub every: Span,
    /// How long one check may take.
    pub timeout: Span,
    /// So many passes in a row make an instance healthy.
    pub rise: u32,
    /// So many that did not pass, in a row, make it unhealthy.
    pub fall: u32,
}

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not enough checks yet.
    Unknown,
    /// Serves.
    Healthy,
    /// Says that it cannot serve.
    Failed,
    /// Is silent.
    Silent,
}

/// The machine: feed it results.
#[derive(Clone, Debug)]
pub struct Health {
    #[expect(dead_code, reason = "skeleton")]
    policy: CheckPolicy,
}

#[expect(unused_variables, missing_docs, clippy::todo, reason = "skeleton")]
impl Health {
    pub fn new(policy: CheckPolicy) -> Health {
        Health { policy }
    }
    /// Takes a result and says whether the verdict changed.
    pub fn handle(&mut self, result: CheckResult) -> bool {
        todo!()
    }
    pub fn verdict(&self) -> Verdict {
        todo!()
    }
}
