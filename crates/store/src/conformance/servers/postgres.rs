//! PostgreSQL, and PgBouncer in front of it.

use std::thread::JoinHandle;

use super::{Ground, Kind, Options, Recipe, Server, process};

/// The only user, who may do everything.
const USER: &str = "steadfast";
const PASSWORD: &str = "s3cret, with: /@? %41";
/// The database that is there from the beginning.
const DATABASE: &str = "postgres";
const READY: &str = "database system is ready to accept connections";
const STANDBY_READY: &str = "database system is ready to accept read-only connections";

impl Server {
    /// A server with one user, who has a password, and one database. Each place is a schema.
    pub fn postgres(options: &Options) -> Server {
        Server::start(|| postgres(options))
    }

    /// A pooler in front of `behind`, which gives a connection to a client for a transaction at a time.
    pub fn pgbouncer(behind: &Server) -> Server {
        let port = behind.ports()[0];
        Server::start(|| pgbouncer(port))
    }

    /// A server that follows `primary`, and lags behind it a little; it can be read from, and promoted.
    pub fn standby(primary: &Server) -> Server {
        let port = primary.ports()[0];
        Server::start(|| Recipe {
            ready: STANDBY_READY,
            prepare: Box::new(copy_of(port)),
            ..postgres(&Options::default())
        })
    }

    /// Runs statements as the user who may do everything; what they give, a row a line, columns parted by `|`.
    ///
    /// # Panics
    /// If one fails.
    pub fn sql(&self, statements: &str) -> String {
        self.ground.run(self.psql(statements)).trim_end().to_owned()
    }

    /// The same beside what the test does, whatever becomes of it.
    pub fn background_sql(&self, statements: &str) -> JoinHandle<()> {
        let mut command = self.psql(statements);
        std::thread::spawn(move || {
            command.output().expect("start psql");
        })
    }

    /// Lets no file of its grow beyond so many bytes, for connections made from now on; `None`: all as they like.
    ///
    /// # Panics
    /// If it cannot be told so.
    pub fn limit_files(&self, bytes: Option<usize>) {
        let bytes = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        // Of another user's process not even root may be able to say so.
        let mut command = self.ground.command("prlimit");
        command.args(["--pid", &self.pid().to_string(), &format!("--fsize={bytes}:")]);
        self.ground.run(command);
    }

    fn psql(&self, statements: &str) -> std::process::Command {
        let mut command = self.ground.command("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", USER, "-d", DATABASE]);
        command.args(["-p", &self.ports()[0].to_string(), "-c", statements]).env("PGPASSWORD", PASSWORD);
        command
    }
}

/// What is ready to follow the server at `port`.
fn copy_of(port: u16) -> impl Fn(&Ground) + Send + Sync {
    move |ground| {
        let mut copy = ground.command("pg_basebackup");
        copy.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", USER, "-X", "stream", "-c", "fast", "-R", "-D"]);
        copy.arg(ground.data()).env("PGPASSWORD", PASSWORD);
        ground.run(copy);
    }
}

fn url(place: &str, ports: &[u16]) -> String {
    let hosts = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
    format!("postgres://{USER}@{hosts}/{DATABASE}?schema={place}")
}

fn postgres(options: &Options) -> Recipe {
    let (arguments, tls) = (options.arguments.clone(), options.tls.clone());
    let command = move |ground: &Ground| {
        let mut command = ground.command("postgres");
        command.arg("-D").arg(ground.data()).args(["-p", &ground.ports[0].to_string(), "-h", "127.0.0.1"]);
        command.args(["-c", "unix_socket_directories=", "-c", "max_connections=200", "-c", "shared_buffers=32MB"]);
        if tls.is_some() {
            let file = |name: &str| ground.directory.join(name).display().to_string();
            command.args(["-c", "ssl=on", "-c", &format!("ssl_cert_file={}", file("cert"))]);
            command.args(["-c", &format!("ssl_key_file={}", file("key"))]);
            if tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()) {
                command.args(["-c", &format!("ssl_ca_file={}", file("ca"))]);
            }
        }
        command.args(&arguments);
        command
    };
    let tls = options.tls.clone();
    let prepare = move |ground: &Ground| {
        let password = ground.directory.join("password");
        process::write(ground, &password, PASSWORD);
        let mut initdb = ground.command("initdb");
        initdb.args(["-N", "-A", "scram-sha-256", "-U", USER, "--locale", "C.UTF-8", "-E", "UTF8"]);
        initdb.arg("--pwfile").arg(&password).arg("-D").arg(ground.data());
        ground.run(initdb);
        let Some(tls) = &tls else { return };
        // It takes only files that belong to its user, and a key that nobody else reads.
        let mut files = vec![("cert", &tls.cert), ("key", &tls.key)];
        files.extend(tls.client_ca.iter().map(|ca| ("ca", ca)));
        for (name, from) in files {
            let text = std::fs::read_to_string(from).unwrap_or_else(|e| panic!("read {}: {e}", from.display()));
            process::write(ground, &ground.directory.join(name), &text);
        }
        let verify = if tls.client_ca.is_some() { " clientcert=verify-ca" } else { "" };
        let rules = format!("hostssl all all 127.0.0.1/32 scram-sha-256{verify}\n");
        process::write(ground, &ground.data().join("pg_hba.conf"), &rules);
    };
    Recipe {
        // Without waiting for clients to go.
        stop: process::Signal::Interrupt,
        unprivileged: true,
        prepare: Box::new(prepare),
        secret: Some(PASSWORD.to_owned()),
        ..Recipe::new(Kind::Postgres, READY, command, url)
    }
}

fn pgbouncer(behind: u16) -> Recipe {
    let file = |ground: &Ground| ground.directory.join("pgbouncer.ini");
    let prepare = move |ground: &Ground| {
        let port = ground.ports[0];
        // In its files a quote is doubled; there is none in the password.
        let text = format!(
            "[databases]\n\
             {DATABASE} = host=127.0.0.1 port={behind} dbname={DATABASE} user={USER} password='{PASSWORD}'\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 20\nmax_client_conn = 200\n"
        );
        process::write(ground, &file(ground), &text);
    };
    let command = move |ground: &Ground| {
        let mut command = ground.command("pgbouncer");
        command.arg(file(ground));
        command
    };
    Recipe {
        unprivileged: true,
        prepare: Box::new(prepare),
        secret: Some(PASSWORD.to_owned()),
        ..Recipe::new(Kind::PgBouncer, "process up", command, url)
    }
}
