//! What the agent knows of itself in numbers, in Prometheus' text format. A scrape asks nobody.

use std::fmt::Write;

use steadfast_core::Moment;
use steadfast_host::http::{Reached, Response, StatusCode};
use steadfast_registry::Role;

use super::Service;

const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn page(service: &Service, now: Moment) -> Response {
    let answer = service.speaker.answer(now);
    let mut page = String::new();
    let mut gauge = |name: &str, help: &str, value: String| {
        let labels = format!("set=\"{}\",instance=\"{}\"", answer.set, answer.instance);
        // Writing to a text cannot fail.
        let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{{{labels}}} {value}\n");
    };
    let serving = u8::from(answer.role != Role::Standby);
    gauge("steadfast_agent_serving", "1 while the probe says 200.", serving.to_string());
    gauge("steadfast_agent_epoch", "The epoch held, or the highest seen.", answer.epoch.to_string());
    if let Some(clients) = &service.clients {
        let reported = clients.roster.len();
        gauge("steadfast_agent_clients", "Clients the application says are connected.", reported.to_string());
        if let Some(milli) = service.load.at(now) {
            let used = format!("{}.{:03}", milli / 1000, milli % 1000);
            gauge("steadfast_agent_load", "The load the application reported.", used);
        }
    }
    let name = "steadfast_agent_refused_total";
    let _ = write!(page, "# HELP {name} Who was turned away for a limit, by server.\n# TYPE {name} counter\n");
    for (server, tally) in [("probe", &service.probe), ("api", &service.own)] {
        for limit in Reached::ALL {
            let labels = format!("set=\"{}\",instance=\"{}\"", answer.set, answer.instance);
            let (reason, count) = (limit.as_str(), tally.of(limit));
            let _ = writeln!(page, "{name}{{{labels},server=\"{server}\",reason=\"{reason}\"}} {count}");
        }
    }
    Response::full(StatusCode::OK, MEDIA_TYPE, page)
}
