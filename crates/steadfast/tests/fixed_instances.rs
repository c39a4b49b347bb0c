//! The original pattern's load balancer: a gateway that checks two instances itself, for an application that answers
//! 200 or 503 and has no agent.

mod support;

use std::fs;
use std::time::Duration;

use support::{Load, Pace, SOON, Sandbox, Signal, free_port, get, start_app, wait_until};

fn config(sandbox: &Sandbox, port: u16, apps: [u16; 2]) -> String {
    let instances: String = [("a", apps[0]), ("b", apps[1])]
        .map(|(id, app)| {
            format!(
                "[[sets.web.instances]]\nid = \"{id}\"\nendpoints.http = \"http://127.0.0.1:{app}\"\n\
                 check = {{ path = \"/healthz\", every = \"100ms\", timeout = \"100ms\", rise = 1, fall = 2 }}\n"
            )
        })
        .concat();
    support::gateway_config(sandbox, port, free_port()).replace("[[listeners]]", &format!("{instances}[[listeners]]"))
}

/// Waits until it is `name` who answers.
#[track_caller]
fn answered_by(load: &Load, name: &str) {
    wait_until(&format!("{name} to answer"), SOON, || load.so_far().turns().last() == Some(&name));
}

#[test]
fn the_healthy_one_answers() {
    let sandbox = Sandbox::new("fixed");
    let (port, apps) = (free_port(), [free_port(), free_port()]);
    sandbox.write("b.sick", "");
    let _a = start_app(&sandbox, "a", apps[0]);
    let mut b = start_app(&sandbox, "b", apps[1]);
    sandbox.write("gateway.toml", &config(&sandbox, port, apps));
    let _gateway = sandbox.spawn("gateway", &mut sandbox.steadfast(["run", "--config", "gateway.toml"]));

    let url = format!("http://127.0.0.1:{port}/");
    wait_until("the gateway to answer", SOON, || get(&url).is_ok_and(|answer| answer.status == 200));
    let load = Load::at_pace(&url, Pace { pause: Duration::from_millis(10), ..Pace::default() });
    answered_by(&load, "a");
    sandbox.write("a.sick", "");
    fs::remove_file(sandbox.path("b.sick")).expect("well again");
    answered_by(&load, "b");
    fs::remove_file(sandbox.path("a.sick")).expect("well again");
    b.signal(Signal::Kill);
    b.wait(SOON);
    answered_by(&load, "a");
    let report = load.stop();
    let failed = report.failures();
    assert!(failed.is_empty(), "{} of {} failed: {:?}", failed.len(), report.samples.len(), failed.first());
}
