//! The files of TLS.

use std::path::PathBuf;

use steadfast_host::tls::ServerFiles;
use steadfast_store::TlsFiles;

use super::reader::{At, Table};

/// `tls` in `[admin]`.
pub(super) fn of_admin(admin: &Table<'_>) -> Option<ServerFiles> {
    let table = admin.table("tls")?;
    let (cert, key) = (file(&table, "cert"), file(&table, "key"));
    let client_ca = file(&table, "client_ca");
    let cert = table.require("cert", cert, "\"/etc/steadfast/server.pem\"");
    let key = table.require("key", key, "\"/etc/steadfast/server.key\"");
    table.finish();
    Some(ServerFiles { cert: cert?, key: key?, client_ca })
}

/// `store_tls`.
pub(super) fn of_store(root: &Table<'_>) -> TlsFiles {
    let Some(table) = root.table("store_tls") else { return TlsFiles::default() };
    let files = TlsFiles {
        ca: file(&table, "ca"),
        cert: file(&table, "cert"),
        key: file(&table, "key"),
        name: table.parsed("name").map(|name: At<_>| name.value),
    };
    if files.cert.is_some() != files.key.is_some() {
        table.source().wrong(table.span(), "store_tls is to have both cert and key, or neither");
    }
    table.finish();
    files
}

fn file(table: &Table<'_>, key: &'static str) -> Option<PathBuf> {
    let path = table.text(key)?;
    let file = PathBuf::from(&path.value);
    if !file.is_absolute() {
        let what = format!("{key} is to be an absolute path: a service has no directory of its own to start from");
        table.source().wrong(&path.span, what);
    }
    Some(file)
}
