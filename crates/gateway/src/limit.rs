//! The limits that peers run into: what they are called, and how often that happened.

/// A limit of `[limits]`, which a peer can run into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    RequestLine,
    Head,
    HeadFields,
    Body,
    HeadWithin,
    BodyStalled,
    BodyRate,
    Idle,
    ReaderStalled,
    AnswerStalled,
    TunnelIdle,
    Connections,
    ConnectionsPerSource,
}

impl Limit {
    /// All of them, in the order they are declared in.
    pub(crate) const ALL: [Limit; 13] = [
        Limit::RequestLine,
        Limit::Head,
        Limit::HeadFields,
        Limit::Body,
        Limit::HeadWithin,
        Limit::BodyStalled,
        Limit::BodyRate,
        Limit::Idle,
        Limit::ReaderStalled,
        Limit::AnswerStalled,
        Limit::TunnelIdle,
        Limit::Connections,
        Limit::ConnectionsPerSource,
    ];

    /// As the configuration calls it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Limit::RequestLine => "request_line",
            Limit::Head => "head",
            Limit::HeadFields => "head_fields",
            Limit::Body => "body",
            Limit::HeadWithin => "head_within",
            Limit::BodyStalled => "body_stalled",
            Limit::BodyRate => "body_rate",
            Limit::Idle => "idle",
            Limit::ReaderStalled => "reader_stalled",
            Limit::AnswerStalled => "answer_stalled",
            Limit::TunnelIdle => "tunnel_idle",
            Limit::Connections => "connections",
            Limit::ConnectionsPerSource => "connections_per_source",
        }
    }

    /// Whether it is reached in a quiet day's work: worth a number, but no line in the log.
    pub(crate) fn is_usual(self) -> bool {
        matches!(self, Limit::Idle | Limit::TunnelIdle)
    }
}
