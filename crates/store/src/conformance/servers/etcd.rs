//! etcd: one member, or several that agree.

use std::process::Command;

use super::{Ground, Kind, Options, Recipe, Server, free_port};

/// Ports of a member: clients', and the other members'.
const PORTS: usize = 2;

impl Server {
    /// A member by itself.
    pub fn etcd(options: &Options) -> Server {
        Server::start(|| recipe(options, "m0", None))
    }

    /// Members of one cluster; each knows all.
    pub fn etcd_members(count: usize, options: &Options) -> Vec<Server> {
        Server::start_all(count, |count| {
            let ports: Vec<Vec<u16>> = (0..count).map(|_| (0..PORTS).map(|_| free_port()).collect()).collect();
            let peer = |(n, ports): (usize, &Vec<u16>)| format!("m{n}={}", peers(ports));
            let all = ports.iter().enumerate().map(peer).collect::<Vec<_>>().join(",");
            let member = |(n, ports)| (recipe(options, &format!("m{n}"), Some(all.clone())), ports);
            ports.into_iter().enumerate().map(member).collect()
        })
    }

    /// Runs `etcdctl` against a member that speaks no TLS; what it prints.
    ///
    /// # Panics
    /// If it fails.
    pub fn etcdctl(&self, arguments: &[&str]) -> String {
        let mut command = self.ground.command("etcdctl");
        command.env("ETCDCTL_API", "3").arg(format!("--endpoints=http://127.0.0.1:{}", self.ports()[0]));
        // An election may be under way.
        command.args(["--dial-timeout=60s", "--command-timeout=60s"]).args(arguments);
        self.ground.run(command)
    }
}

fn peers(ports: &[u16]) -> String {
    format!("http://127.0.0.1:{}", ports[1])
}

/// The member of this name; `all`: the members as etcd wants them told, where it is not alone.
fn recipe(options: &Options, name: &str, all: Option<String>) -> Recipe {
    let (arguments, tls, name) = (options.arguments.clone(), options.tls.clone(), name.to_owned());
    let scheme = if tls.is_some() { "etcds" } else { "etcd" };
    let command = move |ground: &Ground| {
        let http = if tls.is_some() { "https" } else { "http" };
        let clients = format!("{http}://127.0.0.1:{}", ground.ports[0]);
        let peers = peers(&ground.ports);
        let mut command = ground.command("etcd");
        command.arg("--data-dir").arg(ground.data()).arg("--name").arg(&name);
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.arg("--initial-cluster").arg(all.clone().unwrap_or_else(|| format!("{name}={peers}")));
        command.args(["--logger", "zap", "--log-level", "info"]);
        if let Some(tls) = &tls {
            command.arg("--cert-file").arg(&tls.cert).arg("--key-file").arg(&tls.key);
            if let Some(ca) = &tls.client_ca {
                command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(ca);
            }
        }
        command.args(&arguments);
        command as Command
    };
    let url = move |place: &str, ports: &[u16]| {
        let hosts = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        format!("{scheme}://{hosts}/{place}")
    };
    Recipe { ports: PORTS, ..Recipe::new(Kind::Etcd, "serving client traffic", command, url) }
}
