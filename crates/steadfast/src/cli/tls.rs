//! The files of TLS, as flags.

use std::path::PathBuf;

use clap::Args;
use steadfast_core::Host;
use steadfast_host::tls::ServerFiles;
use steadfast_store::TlsFiles;

/// How a server proves who it is, and we to it. The files are read again when they change.
#[derive(Clone, Debug, Default, Args)]
pub struct TlsFlags {
    /// The authorities whose certificates a server may show, PEM [default: those of the system]
    #[arg(long, value_name = "FILE", env = "STEADFAST_TLS_CA", help_heading = "TLS")]
    pub tls_ca: Option<PathBuf>,
    /// Our own certificate, for a server that wants one, PEM
    #[arg(long, value_name = "FILE", env = "STEADFAST_TLS_CERT", requires = "tls_key", help_heading = "TLS")]
    pub tls_cert: Option<PathBuf>,
    /// The key of our own certificate, PEM
    #[arg(long, value_name = "FILE", env = "STEADFAST_TLS_KEY", requires = "tls_cert", help_heading = "TLS")]
    pub tls_key: Option<PathBuf>,
    /// The name that is expected in the server's certificate [default: the host in the URL]
    #[arg(long, value_name = "HOST", env = "STEADFAST_TLS_NAME", help_heading = "TLS")]
    pub tls_name: Option<Host>,
}

impl TlsFlags {
    /// The files.
    pub fn files(&self) -> TlsFiles {
        let TlsFlags { tls_ca, tls_cert, tls_key, tls_name } = self.clone();
        TlsFiles { ca: tls_ca, cert: tls_cert, key: tls_key, name: tls_name }
    }

    /// Whether any of them is.
    pub fn is_given(&self) -> bool {
        self.files() != TlsFiles::default()
    }
}

/// Under what the API is served over TLS. The files are read again when they change.
#[derive(Clone, Debug, Default, Args)]
pub struct AdminTlsFlags {
    /// With --admin: the certificate under which the API is served over TLS, PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "STEADFAST_ADMIN_TLS_CERT",
        requires = "admin_tls_key",
        help_heading = "TLS"
    )]
    pub admin_tls_cert: Option<PathBuf>,
    /// With --admin: the key of that certificate, PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "STEADFAST_ADMIN_TLS_KEY",
        requires = "admin_tls_cert",
        help_heading = "TLS"
    )]
    pub admin_tls_key: Option<PathBuf>,
    /// With --admin: the authorities one of which is to have signed the certificate of whoever asks, PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "STEADFAST_ADMIN_TLS_CLIENT_CA",
        requires = "admin_tls_cert",
        help_heading = "TLS"
    )]
    pub admin_tls_client_ca: Option<PathBuf>,
}

impl AdminTlsFlags {
    /// The files, where there is a certificate.
    pub fn files(&self) -> Option<ServerFiles> {
        let (cert, key) = self.admin_tls_cert.clone().zip(self.admin_tls_key.clone())?;
        Some(ServerFiles { cert, key, client_ca: self.admin_tls_client_ca.clone() })
    }
}
