//! From PEM to what rustls takes, and what is wrong where that fails: which file, and what was expected in it.

use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};

use crate::reread::RereadError;

/// Bytes of the longest file: all authorities of a system together have a quarter of it.
pub(super) const MOST_BYTES: u64 = 1 << 20;

/// The authorities in `content`.
pub(super) fn authorities(file: &Path, content: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, content)? {
        let wrong = |error| format!("{} holds a certificate that cannot be an authority's: {error}", file.display());
        roots.add(certificate).map_err(wrong)?;
    }
    Ok(roots)
}

/// Those of the system, at least one.
pub(super) fn system_authorities() -> Result<RootCertStore, RereadError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(RereadError::Wrong(format!(
            "this machine has no certificate authorities{why}: install ca-certificates, or give the one that counts"
        )));
    }
    Ok(roots)
}

/// A certificate with what stands between it and its authority, and its key.
pub(super) fn pair(cert: (&Path, &[u8]), key: (&Path, &[u8])) -> Result<CertifiedKey, String> {
    let chain = certificates(cert.0, cert.1)?;
    let private = private_key(key.0, key.1)?;
    CertifiedKey::from_der(chain, private, &rustls::crypto::ring::default_provider()).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            format!("the key in {} is not the key of the certificate in {}", key.0.display(), cert.0.display())
        }
        Error::InvalidCertificate(why) => {
            format!("the certificate in {} cannot be used: {why}", cert.0.display())
        }
        other => format!("the key in {} cannot be used: {other}", key.0.display()),
    })
}

fn certificates(file: &Path, content: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(content).collect();
    let found = found.map_err(|error| format!("{} is no PEM file: {error}", file.display()))?;
    if found.is_empty() {
        return Err(format!("{} holds no certificate: expected `-----BEGIN CERTIFICATE-----`", file.display()));
    }
    Ok(found)
}

fn private_key(file: &Path, content: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    match PrivateKeyDer::from_pem_slice(content) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if holds(content, b"ENCRYPTED PRIVATE KEY") => Err(format!(
            "the key in {} is encrypted, and nobody could type its password at a start: give it without one, mode 0600",
            file.display()
        )),
        Err(pem::Error::NoItemsFound) => {
            Err(format!("{} holds no private key: expected `-----BEGIN PRIVATE KEY-----`", file.display()))
        }
        // Its own words might quote a line of the key.
        Err(_) => Err(format!("{} is no PEM file", file.display())),
    }
}

fn holds(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}
