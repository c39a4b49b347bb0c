//! `steadfast run`, as a process: what a file without listeners and agents is good for.

mod support;

use support::{SOON, Sandbox, Signal, free_port, get, wait_until};

#[test]
fn a_file_without_listeners_and_agents_serves_the_api_until_it_is_ended() {
    let sandbox = Sandbox::new("api-only");
    let port = free_port();
    let state = sandbox.path("state");
    let text = format!("state_dir = {:?}\n[admin]\nlisten = \"127.0.0.1:{port}\"\n", state.display().to_string());
    sandbox.write("api.toml", &text);
    let mut run = sandbox.spawn("run", &mut sandbox.steadfast(["run", "--config", "api.toml"]));
    let ready = || get(&format!("http://127.0.0.1:{port}/readyz")).is_ok_and(|answer| answer.status == 200);
    wait_until("the API to be ready", SOON, ready);
    let admin = format!("http://127.0.0.1:{port}");
    let status = sandbox.run(&mut sandbox.steadfast(["status", "--json", "--admin", &admin]));
    assert_eq!(status.code(), 0, "{status:?}");
    assert!(run.is_running(), "it goes on");
    run.signal(Signal::Term);
    assert!(run.wait(SOON).success(), "it ends in good order");
}
