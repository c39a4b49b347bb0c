//! The supervised application as a process group: starting it, hearing of its end at once, ending all of it.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use steadfast_core::Moment;
use steadfast_host::process::{Exit, Group, Signal, Spec};
use steadfast_host::shutdown::Shutdown;

use crate::endpoints::Endpoints;
use crate::event::Event;
use crate::life::Life;
use crate::{AgentConfig, Error, Template};

/// Starts and ends the application; what it asks to be awaited becomes an event.
#[derive(Debug)]
pub(crate) struct Supervisor {
    spec: Spec,
    stop_within: Duration,
    at_once: Shutdown,
    life: Arc<Life>,
    /// What runs, and which start it is.
    running: Option<(Arc<Group>, u64)>,
}

impl Supervisor {
    /// For the command of `config`, if it has one.
    pub(crate) fn new(
        config: &AgentConfig,
        endpoints: &Endpoints,
        life: &Arc<Life>,
        api: Option<String>,
        at_once: Shutdown,
    ) -> Result<Option<Supervisor>, Error> {
        let Some(command) = &config.command else { return Ok(None) };
        let filled: Result<Vec<String>, Error> =
            command.iter().map(|word| Template::new(word).fill(|name| endpoints.port_of(name))).collect();
        let mut spec = Spec::new(filled?);
        spec.env = environment(config, endpoints, life, api);
        spec.check()?;
        let stop_within = config.stop_within.duration();
        Ok(Some(Supervisor { spec, stop_within, at_once, life: Arc::clone(life), running: None }))
    }

    /// The program, for people.
    pub(crate) fn program(&self) -> String {
        self.spec.argv.first().map(|program| program.display().to_string()).unwrap_or_default()
    }

    /// Starts it.
    pub(crate) fn start(&self) -> impl Future<Output = Event> + Send + use<> {
        let (spec, life) = (self.spec.clone(), Arc::clone(&self.life));
        async move {
            let started = Group::spawn(&spec).await.map(Arc::new);
            if let Ok(group) = &started {
                let id = group.id().clone();
                // Should we be killed before it is written, the guardian still ends the group.
                let remembered = tokio::task::spawn_blocking(move || life.remember_group(Some(&id))).await;
                if let Ok(Err(error)) = remembered {
                    tracing::warn!(%error, "the application's process group is not remembered");
                }
            }
            Event::Started(started)
        }
    }

    /// It was started, for the `start`th time: hears of its end.
    pub(crate) fn started(&mut self, group: Arc<Group>, start: u64) -> impl Future<Output = Event> + Send + use<> {
        self.running = Some((Arc::clone(&group), start));
        async move { Event::Died { start, exit: group.exited().await } }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.running.as_ref().map(|(group, _)| group.pid())
    }

    /// Its main process died: ends the rest.
    pub(crate) fn bury(&mut self) -> Option<impl Future<Output = Event> + Send + use<>> {
        let (group, start) = self.running.clone()?;
        group.kill();
        Some(async move { Event::Empty { start, exit: ended(&group).await } })
    }

    /// Ends all of it: gently, and for certain after `stop_within`, or at once if that is wished for meanwhile.
    pub(crate) fn stop(&mut self) -> Option<impl Future<Output = Event> + Send + use<>> {
        let (group, start) = self.running.clone()?;
        let (within, at_once) = (self.stop_within, self.at_once.clone());
        Some(async move {
            let exit = tokio::select! {
                exit = group.stop(within) => exit,
                () = at_once.requested() => {
                    group.kill();
                    ended(&group).await
                }
            };
            Event::Empty { start, exit }
        })
    }

    /// Nothing of it runs any more.
    pub(crate) fn forget(&mut self) {
        self.running = None;
    }

    /// Passes a signal on to its main process.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some((group, _)) = &self.running
            && let Err(error) = group.signal(signal)
        {
            tracing::debug!(%signal, %error, "a signal was not passed on");
        }
    }
}

async fn ended(group: &Group) -> Exit {
    group.wait_empty(Moment::MAX).await;
    group.exited().await
}

/// An exit as a process' own exit code.
pub(crate) fn code(exit: Exit) -> u8 {
    u8::try_from(exit.code()).unwrap_or(u8::MAX)
}

fn environment(
    config: &AgentConfig,
    endpoints: &Endpoints,
    life: &Life,
    api: Option<String>,
) -> Vec<(OsString, OsString)> {
    let port = |name: &str| format!("STEADFAST_PORT_{}", name.to_uppercase().replace('-', "_"));
    let ports = endpoints.direct.iter().map(|(name, endpoint)| (port(name.as_str()), endpoint.port().to_string()));
    let named = [
        ("STEADFAST_SET".to_owned(), config.set.to_string()),
        ("STEADFAST_INSTANCE".to_owned(), config.instance.to_string()),
    ];
    let api = api.map(|url| ("STEADFAST_API".to_owned(), url));
    let texts = named.into_iter().chain(ports).chain(api).map(|(name, value)| (name.into(), value.into()));
    texts.chain([("STEADFAST_EPOCH_FILE".into(), life.epoch_file().into())]).collect()
}
