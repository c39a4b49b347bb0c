//! Why a handshake failed, in words: who, what was found, what was expected, what would mend it.

use std::error::Error as _;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};
use steadfast_core::Host;

use super::stream::{Unheard, is_about_certificates};
use crate::clock::WallTime;

/// So many names of a certificate are told; some have hundreds.
const SHOWN_NAMES: usize = 5;

/// The server wants a certificate, and we have none.
pub(super) fn certificate_wanted(peer: &str) -> String {
    format!("{peer} wants a client certificate, and none is given: give one with its key")
}

/// It asked for one, got none, and hung up before it said anything.
pub(super) fn certificate_perhaps_wanted(peer: &str) -> String {
    format!("{peer} asked for a client certificate, was given none, and closed the connection: give one with its key")
}

/// It hung up in the handshake.
pub(super) fn hung_up(peer: &str) -> String {
    format!("{peer} closed the connection in the TLS handshake: is it TLS that it speaks?")
}

/// What rustls says, where we are the client.
pub(super) fn of_client(dialled: &Unheard, error: &Error) -> String {
    let peer = &dialled.peer;
    match error {
        Error::InvalidCertificate(why) => of_certificate(dialled, why),
        Error::AlertReceived(alert) => of_alert(dialled, *alert),
        Error::InvalidMessage(_) => format!("{peer} answers, and it is not TLS: is that port for plain connections?"),
        Error::PeerIncompatible(why) => {
            format!("{peer} and this program have no way of TLS in common: TLS 1.2 or 1.3 is needed ({why:?})")
        }
        Error::NoApplicationProtocol => format!("{peer} speaks TLS, and not the protocol that is wanted inside it"),
        other => format!("TLS with {peer} failed: {other}"),
    }
}

fn of_certificate(dialled: &Unheard, why: &CertificateError) -> String {
    let Unheard { peer, name, trusted, .. } = dialled;
    match why {
        CertificateError::NotValidForNameContext { presented, .. } => names_differ(peer, name, presented),
        CertificateError::NotValidForName => names_differ(peer, name, &[]),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the certificate of {peer} expired at {}", shown(*not_after))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let (from, now) = (shown(*not_before), shown(*time));
            format!("the certificate of {peer} is valid from {from} on, and here it is {now}: is the clock right?")
        }
        CertificateError::UnknownIssuer => {
            format!(
                "the certificate of {peer} is signed by no authority that {trusted} knows: give the one that signed it"
            )
        }
        CertificateError::Other(other) => match is_authority(other) {
            true => format!(
                "the certificate of {peer} is an authority's own, which no server may show: sign one for the server with it"
            ),
            false => format!("the certificate of {peer} cannot be accepted: {why}"),
        },
        _ => format!("the certificate of {peer} cannot be accepted: {why}"),
    }
}

/// What `openssl req -x509` makes by default says of itself that it is an authority.
fn is_authority(other: &rustls::OtherError) -> bool {
    let inner = other.source().map_or_else(|| other.to_string(), ToString::to_string);
    [other.to_string(), format!("{other:?}"), inner].iter().any(|text| text.contains("CaUsedAsEndEntity"))
}

fn names_differ(peer: &str, wanted: &Host, presented: &[String]) -> String {
    if presented.is_empty() {
        return format!("the certificate of {peer} names nobody, and is to name {wanted}: it has no subjectAltName");
    }
    let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
    let mut shown = names[..names.len().min(SHOWN_NAMES)].join(", ");
    if names.len() > SHOWN_NAMES {
        shown.push_str(&format!(" and {} more", names.len() - SHOWN_NAMES));
    }
    // One with a wildcard is the name of no server.
    let hint = names.iter().find(|name| !name.starts_with('*'));
    let hint = hint.map(|name| format!(" (add name={name} if that is meant)")).unwrap_or_default();
    format!("the certificate of {peer} is for {shown}, not {wanted}{hint}")
}

/// `DnsName("pg.internal")` and `IpAddress(10.0.0.4)` as they would be written.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

fn of_alert(dialled: &Unheard, alert: AlertDescription) -> String {
    let Unheard { peer, proof, .. } = dialled;
    match alert {
        AlertDescription::CertificateRequired => certificate_wanted(peer),
        alert if is_about_certificates(alert) && proof.is_given() => {
            format!("{peer} does not accept our client certificate ({alert:?})")
        }
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
            format!("{peer} and this program have no way of TLS in common: TLS 1.2 or 1.3 is needed ({alert:?})")
        }
        AlertDescription::UnrecognisedName => {
            format!("{peer} knows no server of that name: give the name in its certificate with name=")
        }
        AlertDescription::NoApplicationProtocol => {
            format!("{peer} speaks TLS, and not the protocol that is wanted inside it")
        }
        _ => format!("{peer} refused the TLS handshake ({alert:?})"),
    }
}

/// A time in a certificate, to the second: it has no fractions.
fn shown(time: UnixTime) -> String {
    let ms = i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000);
    WallTime::from_unix_millis(ms).to_string().replace(".000Z", "Z")
}
