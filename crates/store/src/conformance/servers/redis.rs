//! Redis: alone, as a replica, and watched over by Sentinels.

use super::{Ground, Kind, Options, Recipe, Server, process};

impl Server {
    /// A master whose every command is on disk before it is answered; `--replicaof` makes it a replica.
    pub fn redis(options: &Options) -> Server {
        Server::start(|| redis(options))
    }

    /// A Sentinel that knows the master `name` at `port` and fails it over, with `quorum` of them, after it was away
    /// for a second.
    pub fn sentinel(name: &str, port: u16, quorum: usize) -> Server {
        Server::start(|| sentinel(name, port, quorum))
    }

    /// Runs `redis-cli` against one that speaks no TLS; what it prints.
    ///
    /// # Panics
    /// If it cannot be reached. What the server refuses is printed.
    pub fn redis_cli(&self, arguments: &[&str]) -> String {
        let mut command = self.ground.command("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.ports()[0].to_string()]).args(arguments);
        if let Some(secret) = self.secret() {
            command.env("REDISCLI_AUTH", secret);
        }
        self.ground.run(command)
    }
}

fn redis(options: &Options) -> Recipe {
    let (arguments, tls) = (options.arguments.clone(), options.tls.clone());
    let scheme = if tls.is_some() { "rediss" } else { "redis" };
    let command = move |ground: &Ground| {
        let port = ground.ports[0].to_string();
        let mut command = ground.command("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        command.arg("--dir").arg(ground.data());
        match &tls {
            None => drop(command.args(["--port", &port])),
            Some(tls) => {
                command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients"]);
                command.arg(if tls.client_ca.is_some() { "yes" } else { "no" });
                command.arg("--tls-cert-file").arg(&tls.cert).arg("--tls-key-file").arg(&tls.key);
                // It wants one in any case; without client certificates any will do.
                command.arg("--tls-ca-cert-file").arg(tls.client_ca.as_ref().unwrap_or(&tls.cert));
            }
        }
        command.args(&arguments);
        command
    };
    let url = move |place: &str, ports: &[u16]| format!("{scheme}://127.0.0.1:{}/{place}", ports[0]);
    let after = |name: &str| options.arguments.iter().skip_while(|argument| *argument != name).nth(1).cloned();
    Recipe {
        prepare: Box::new(data),
        secret: after("--requirepass"),
        ..Recipe::new(Kind::Redis, "Ready to accept connections", command, url)
    }
}

fn sentinel(name: &str, master: u16, quorum: usize) -> Recipe {
    let file = |ground: &Ground| ground.data().join("sentinel.conf");
    let text = format!(
        "sentinel monitor {name} 127.0.0.1 {master} {quorum}\n\
         sentinel down-after-milliseconds {name} 1000\n\
         sentinel failover-timeout {name} 5000\n"
    );
    let prepare = move |ground: &Ground| {
        data(ground);
        let port = ground.ports[0];
        // Written to by the Sentinel itself, as it learns of the others.
        process::write(ground, &file(ground), &format!("bind 127.0.0.1\nport {port}\n{text}"));
    };
    let command = move |ground: &Ground| {
        let mut command = ground.command("redis-server");
        command.arg(file(ground)).arg("--sentinel").arg("--dir").arg(ground.data());
        command
    };
    let name = name.to_owned();
    let url = move |place: &str, ports: &[u16]| {
        let hosts = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        format!("redis+sentinel://{hosts}/{name}/{place}")
    };
    Recipe { prepare: Box::new(prepare), ..Recipe::new(Kind::Sentinel, "+monitor master", command, url) }
}

fn data(ground: &Ground) {
    std::fs::create_dir(ground.data()).expect("a directory for its data");
}
