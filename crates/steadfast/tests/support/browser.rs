//! A real browser without a screen: Chromium, driven through chromedriver (WebDriver, W3C).

use std::time::Duration;

use serde_json::{Value, json};

use super::http::Connection;
use super::ports::free_port;
use super::process::Process;
use super::sandbox::Sandbox;
use super::{SOON, get, wait_for, wait_until};

/// How long one command may take: a browser that is started on a loaded machine takes its time.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// What WebDriver calls an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window.
pub struct Browser {
    address: String,
    session: String,
    _driver: Process,
}

/// A key as WebDriver names it.
#[derive(Clone, Copy, Debug)]
pub enum Key {
    Tab,
    Enter,
}

impl Browser {
    /// Starts chromedriver and a browser of this size. Both end with `sandbox`.
    pub fn start(sandbox: &Sandbox, width: u32, height: u32) -> Browser {
        let port = free_port();
        let mut command = sandbox.command("chromedriver");
        command.args([format!("--port={port}"), "--log-level=WARNING".to_owned()]);
        command.env("HOME", sandbox.dir()).env("TMPDIR", sandbox.dir());
        let driver = sandbox.spawn("chromedriver", &mut command);
        let ready = || get(&format!("http://127.0.0.1:{port}/status")).is_ok_and(|answer| answer.status == 200);
        wait_until("chromedriver to be ready", SOON, ready);
        let flags = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-background-networking".to_owned(),
            format!("--user-data-dir={}", sandbox.path("chromium").display()),
            format!("--window-size={width},{height}"),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": flags },
        } } });
        let mut browser = Browser { address: format!("127.0.0.1:{port}"), session: String::new(), _driver: driver };
        let session = browser.command("POST", "/session", &wanted);
        browser.session = format!("/session/{}", session["sessionId"].as_str().expect("a session"));
        browser
    }

    /// Opens a page and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.in_session("POST", "/url", &json!({ "url": url }));
    }

    /// What a script's `return` returns. `arguments` has what is given.
    #[track_caller]
    pub fn script(&self, script: &str, arguments: &[Value]) -> Value {
        self.in_session("POST", "/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// The text of the first element that `selector` finds, if there is one.
    pub fn text(&self, selector: &str) -> Option<String> {
        let found = self.script("return document.querySelector(arguments[0])?.textContent ?? null", &[selector.into()]);
        found.as_str().map(str::to_owned)
    }

    /// Clicks on the element that `selector` finds, where a person would: it must be there, seen, and uncovered. Why
    /// not, if that is not so at this moment: a page that lives moves things about.
    pub fn try_click(&self, selector: &str) -> Result<(), Value> {
        let element = self.find(selector)?;
        self.ask("POST", &format!("{}/element/{element}/click", self.session), &json!({})).map(drop)
    }

    /// Types into the element that `selector` finds.
    #[track_caller]
    pub fn write(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.in_session("POST", &format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses a key, wherever the focus is.
    pub fn press(&self, key: Key) {
        let value = match key {
            Key::Tab => "\u{E004}",
            Key::Enter => "\u{E007}",
        };
        let steps = json!([{ "type": "keyDown", "value": value }, { "type": "keyUp", "value": value }]);
        self.in_session("POST", "/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": steps }] }));
    }

    /// Resizes the window.
    pub fn resize(&self, width: u32, height: u32) {
        self.in_session("POST", "/window/rect", &json!({ "width": width, "height": height }));
    }

    /// Says that whoever looks prefers `value` of the media feature `name`.
    pub fn prefer(&self, name: &str, value: &str) {
        let features = json!({ "features": [{ "name": name, "value": value }] });
        let command = json!({ "cmd": "Emulation.setEmulatedMedia", "params": features });
        self.in_session("POST", "/goog/cdp/execute", &command);
    }

    /// What pages complained of since the last look. That a request failed is the network's complaint, not a page's.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.in_session("POST", "/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().expect("a list of entries").clone();
        let of_pages = entries.into_iter().filter(|entry| entry["source"] != "network");
        of_pages.map(|entry| entry["message"].to_string()).collect()
    }

    #[track_caller]
    fn element(&self, selector: &str) -> String {
        self.find(selector).unwrap_or_else(|refused| panic!("{selector}: {refused}"))
    }

    fn find(&self, selector: &str) -> Result<String, Value> {
        let by = json!({ "using": "css selector", "value": selector });
        let found = self.ask("POST", &format!("{}/element", self.session), &by)?;
        Ok(found[ELEMENT].as_str().expect("an element").to_owned())
    }

    #[track_caller]
    fn in_session(&self, method: &str, path: &str, body: &Value) -> Value {
        self.command(method, &format!("{}{path}", self.session), body)
    }

    #[track_caller]
    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, path, body).unwrap_or_else(|refused| panic!("{method} {path} {body}: {refused}"))
    }

    /// What chromedriver answers, or why it refuses.
    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let connection = || Connection::open(&self.address, COMMAND_LIMIT).ok();
        let mut connection = wait_for("a connection to chromedriver", SOON, connection);
        let headers = [("content-type", "application/json"), ("connection", "close")];
        let answer = connection.exchange(method, path, &headers, body.to_string().as_bytes());
        let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let value = answer.json()["value"].clone();
        if answer.status == 200 { Ok(value) } else { Err(value) }
    }
}
