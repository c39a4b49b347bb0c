//! Certificates for tests: an authority in a directory, and what it signs, as PEM files.
//!
//! For tests alone, ours and those of the crates above (feature `test-certs`): nothing here is random enough to be
//! asked about, and everything ends the test that cannot be done.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// An authority, and the directory its certificates are written to.
pub struct Authority {
    dir: PathBuf,
    name: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// The files of a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key, mode 0600: some servers take no other.
    pub key: PathBuf,
}

/// When a certificate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valid {
    /// Whenever the test is run.
    Now,
    /// Until 2001-01-01.
    Expired,
    /// From 3000-01-01 on.
    NotYet,
}

impl Authority {
    /// An authority of this name, whose own certificate is written to `name.pem` in `dir`.
    pub fn new(dir: &Path, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are right names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("make a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("sign an authority");
        let authority = Authority { dir: dir.to_path_buf(), name: name.to_owned(), issuer };
        replace(&authority.file(), &authority.issuer.pem());
        replace(&authority.key_file(), &authority.issuer.key().serialize_pem());
        authority
    }

    /// Its certificate: what who trusts it is given.
    pub fn file(&self) -> PathBuf {
        self.dir.join(format!("{}.pem", self.name))
    }

    /// The key it signs with.
    pub fn key_file(&self) -> PathBuf {
        self.dir.join(format!("{}.key", self.name))
    }

    /// A certificate for these names and addresses, for servers and clients, in `file.pem` and `file.key` of the
    /// directory. What is there already is replaced, as who rotates does it: the new files are renamed to the old names.
    pub fn issue(&self, file: &str, names: &[&str], valid: Valid) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names for a certificate");
        params.distinguished_name.push(DnType::CommonName, file);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = match valid {
            Valid::Now => (date_time_ymd(2000, 1, 1), date_time_ymd(3000, 1, 1)),
            Valid::Expired => (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1)),
            Valid::NotYet => (date_time_ymd(3000, 1, 1), date_time_ymd(3001, 1, 1)),
        };
        let key = KeyPair::generate().expect("make a key");
        let cert = params.signed_by(&key, &self.issuer).expect("sign a certificate");
        let pair = Pair { cert: self.dir.join(format!("{file}.pem")), key: self.dir.join(format!("{file}.key")) };
        replace(&pair.cert, &cert.pem());
        replace(&pair.key, &key.serialize_pem());
        pair
    }
}

fn replace(file: &Path, content: &str) {
    use std::os::unix::fs::PermissionsExt;
    let fresh = file.with_extension("new");
    fs::write(&fresh, content).expect("write a file");
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).expect("set a mode");
    fs::rename(&fresh, file).expect("rename a file");
}
