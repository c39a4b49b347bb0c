//! `steadfast agent`: one agent, and nothing else unless asked.

use std::sync::Arc;

use steadfast_agent::{Controls, ForwardSignal};
use steadfast_host::notify::Notify;
use steadfast_host::process::Signal;
use steadfast_host::shutdown::{self, Asked, Shutdown};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::api::{ApiServer, Served};
use super::ground::Ground;
use super::tasks::agent_outcome;
use crate::admin::{Local, Service};
use crate::cli;
use crate::config::{Admin, DEFAULT_TOKEN_FILE, agent_from_flags, parse_listen};
use crate::exit::{Failure, Outcome};
use crate::stores::StoreName;

pub(crate) async fn agent(flags: &cli::Agent) -> Outcome {
    let mut config = agent_from_flags(flags).map_err(Failure::usage)?;
    let mut signals = shutdown::signals()?;
    let named = &flags.store;
    let store = StoreName::of_flags(named.url.as_deref(), named.on_command_line, named.file.as_deref())?;
    let ground = Ground::open(flags.state_dir.clone(), store, named.token_file.as_deref(), named.tls.files())?;
    config.state_dir = ground.state.path().to_path_buf();
    let served = serve(flags, &ground)?;

    let (leave, at_once) = (Shutdown::new(), Shutdown::new());
    let controls = Controls::new(leave.clone(), at_once.clone()).with_notify(Notify::from_env());
    let (controls, forward) = controls.with_signals();
    let passing = pass_on(forward.clone())?;
    let work = steadfast_agent::run(config, ground.registry.clone(), controls);
    tokio::pin!(work);
    let ended = loop {
        tokio::select! {
            ended = &mut work => break ended,
            asked = signals.next() => match asked {
                Asked::End => leave.begin(),
                Asked::EndAtOnce => at_once.begin(),
                Asked::Reload => forward.send(Signal::HUP),
            },
        }
    };
    passing.abort();
    if let Some(served) = served {
        served.end().await;
    }
    agent_outcome(ended)
}

/// Serves the API, if `--admin` says where.
fn serve(flags: &cli::Agent, ground: &Ground) -> Result<Option<Served>, Failure> {
    let Some(listen) = &flags.admin else { return Ok(None) };
    let listen = parse_listen(listen).map_err(|why| Failure::usage(format!("--admin: {why}")))?;
    let admin = Admin { listen, token_file: DEFAULT_TOKEN_FILE.into(), tls: flags.admin_tls.files() };
    let api = ApiServer::bind(&admin, &ground.state)?;
    let local = Local { operator: "the API".to_owned(), ..Local::default() };
    let service = Arc::new(Service::new(ground.registry.clone(), local));
    service.follow([&flags.set]);
    let served = api.start(service, &ground.registry, None);
    served.set_ready(true);
    tracing::info!(admin = %served.address(), "serving the API");
    Ok(Some(served))
}

/// Passes on to the application what is meant for it.
fn pass_on(forward: ForwardSignal) -> Result<JoinHandle<()>, Failure> {
    let mut first = signal(SignalKind::user_defined1())?;
    let mut second = signal(SignalKind::user_defined2())?;
    Ok(tokio::spawn(async move {
        loop {
            let meant = tokio::select! {
                _ = first.recv() => Signal::USR1,
                _ = second.recv() => Signal::USR2,
            };
            forward.send(meant);
        }
    }))
}
