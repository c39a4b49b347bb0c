//! The page, as a person meets it: in a real browser, over a running demo.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Browser, Key, Process, SOON, Sandbox, Signal, get, wait_for, wait_until};

/// Before a dead recorder is taken for lost its presence is missed for ten seconds; then its cameras come one by one.
const MOVED_WITHIN: Duration = Duration::from_secs(120);
/// An order that is not to be seen after so long is given again.
const CLICK_AGAIN: Duration = Duration::from_secs(10);
/// Elements with the focus, one after the other, until all must have had it.
const TABS: usize = 200;

/// A demo and a browser that shows its page.
struct Show {
    browser: Browser,
    demo: Process,
    url: String,
    sandbox: Sandbox,
}

impl Show {
    /// Everything is there: the page shows all cameras at home.
    fn begin() -> Show {
        let sandbox = Sandbox::new("page");
        let demo = sandbox.spawn("demo", &mut sandbox.steadfast(["demo"]));
        let url = || demo.log().split_whitespace().find(|word| word.contains("/#token=")).map(str::to_owned);
        let url = wait_for("the page's address", SOON, url);
        let browser = Browser::start(&sandbox, 1440, 1000);
        browser.open(&url);
        Show { browser, demo, url, sandbox }
    }

    /// Where each camera is on the screen: which card it stands in.
    fn homes(&self) -> BTreeMap<String, String> {
        let script = "return [...document.querySelectorAll('[data-set=recorder] [data-client]')]
            .map((chip) => [chip.dataset.client, chip.closest('[data-instance]').dataset.instance])";
        let pairs = self.browser.script(script, &[]);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        pairs.as_array().expect("pairs").iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
    }

    /// The cameras of one recorder, on the screen.
    fn at(&self, recorder: &str) -> BTreeSet<String> {
        self.homes().into_iter().filter(|(_, home)| home == recorder).map(|(camera, _)| camera).collect()
    }

    /// The word on a card's pill.
    fn state(&self, recorder: &str) -> String {
        self.browser.text(&format!("[data-instance={recorder}] .pill")).unwrap_or_default()
    }

    /// Clicks until what comes of it is to be seen: a page that has just grown a line may be missed.
    #[track_caller]
    fn click(&self, selector: &str, what: &str, done: impl Fn() -> bool) {
        let mut clicked: Option<Instant> = None;
        let mut refused = None;
        wait_until(what, SOON, || {
            if !done() && clicked.is_none_or(|at| at.elapsed() > CLICK_AGAIN) {
                // One that was refused has done nothing, and is tried again at the next look.
                match self.browser.try_click(selector) {
                    Ok(()) => clicked = Some(Instant::now()),
                    Err(why) if refused.as_ref() != Some(&why) => {
                        eprintln!("{selector} cannot be clicked on: {why}");
                        refused = Some(why);
                    }
                    Err(_) => {}
                }
            }
            done()
        });
    }

    /// Gives an order by its button.
    #[track_caller]
    fn order(&self, instance: &str, order: &str, what: &str, done: impl Fn() -> bool) {
        self.click(&Show::button(instance, order), what, done);
    }

    /// Closes the panel of a client that was found.
    #[track_caller]
    fn close_found(&self) {
        let hidden = || self.browser.script("return document.querySelector('#found').hidden", &[]) == json!(true);
        self.click("#found .close", "the panel to close", hidden);
    }

    /// The button of an instance that gives an order.
    fn button(recorder: &str, order: &str) -> String {
        format!("[data-instance={recorder}] [data-order={order}]")
    }

    /// What the bars say, for every recorder: charged and capacity.
    fn bars(&self) -> Vec<(f64, f64)> {
        let script = "return [...document.querySelectorAll('[data-set=recorder] [role=meter]')]
            .map((bar) => [Number(bar.ariaValueNow), Number(bar.ariaValueMax)])";
        let bars = self.browser.script(script, &[]);
        let number = |value: &Value| value.as_f64().expect("a number");
        bars.as_array().expect("bars").iter().map(|bar| (number(&bar[0]), number(&bar[1]))).collect()
    }

    #[track_caller]
    fn nobody_is_above_capacity(&self) {
        for (charged, capacity) in self.bars() {
            assert!(charged <= capacity, "{charged} of {capacity} on the screen");
        }
    }
}

#[test]
fn the_page_shows_homes_and_its_buttons_work() {
    let mut show = Show::begin();
    let cameras = everybody_comes_home(&show);
    the_token_is_in_nobodys_sight(&show);
    a_kill_moves_the_cameras_of_one_recorder(&show, &cameras);
    the_keyboard_is_enough(&show);
    a_client_is_found_and_explained(&show);
    a_key_of_any_letters_is_shown_and_found(&show);
    a_key_that_means_harm_is_a_text_like_any_other(&show);
    it_looks_right_by_day_and_by_night_and_narrow(&show);
    without_a_token_it_asks_for_one(&show);
    assert_eq!(show.browser.complaints(), Vec::<String>::new());
    lost_contact_is_said(&mut show);
}

/// All cameras are on the screen within a minute of a loaded machine; the single set has a leader there.
fn everybody_comes_home(show: &Show) -> usize {
    let figures = wait_for("the demo to say how many are at home", SOON, || {
        let about = show.browser.text("#foot")?;
        let (_, about) = about.split_once("demo: ")?;
        let mut numbers = about.split_whitespace().filter_map(|word| word.parse::<usize>().ok());
        Some((numbers.next()?, numbers.next()?)).filter(|(home, all)| home == all)
    });
    wait_until("every camera on the screen", SOON, || show.homes().len() == figures.1);
    let used: BTreeSet<String> = show.homes().into_values().collect();
    assert_eq!(used.len(), 4, "four recorders share them");
    show.nobody_is_above_capacity();
    let leads = || show.browser.text("[data-set=web] .summary").is_some_and(|text| text.contains(" leads"));
    wait_until("a leader on the screen", SOON, leads);
    let counts = || show.browser.text("#counters").is_some_and(|text| text.contains("redirected"));
    wait_until("the redirects among the counters", SOON, counts);
    figures.1
}

fn the_token_is_in_nobodys_sight(show: &Show) {
    let address = show.browser.script("return location.href", &[]);
    assert!(!address.as_str().expect("text").contains("token"), "{address}");
    assert!(show.url.contains("#token="), "it came by the address");
}

fn a_kill_moves_the_cameras_of_one_recorder(show: &Show, cameras: &usize) {
    let before = show.homes();
    let mut sizes: BTreeMap<&String, usize> = BTreeMap::new();
    before.values().for_each(|home| *sizes.entry(home).or_default() += 1);
    let victim = sizes.iter().max_by_key(|(_, size)| **size).map(|(home, _)| (*home).clone()).expect("somebody");
    let mine = show.at(&victim);

    show.order(&victim, "kill", "the screen to say it is killed", || show.state(&victim) == "killed");
    let away = || show.homes().len() == *cameras && show.at(&victim).is_empty();
    wait_until("its cameras to have another home on the screen", MOVED_WITHIN, away);
    let after = show.homes();
    for (camera, home) in &before {
        assert!(mine.contains(camera) || after[camera] == *home, "{camera} moved without need");
    }
    show.nobody_is_above_capacity();
    let told = show.browser.text("[data-set=recorder] .note").unwrap_or_default();
    assert!(told.contains(&victim), "the move is told: {told:?}");

    show.order(&victim, "start", "it to take part again", || show.state(&victim) == "open");
    wait_until("its cameras to be back on the screen", MOVED_WITHIN, || show.at(&victim) == mine);
    show.nobody_is_above_capacity();
}

/// Tab reaches a drain button; Enter drains, and the focus is on what takes it back.
fn the_keyboard_is_enough(show: &Show) {
    let drain = Show::button("rec-1", "drain");
    let undrain = Show::button("rec-1", "undrain");
    let focused = |selector: &str| {
        let script = "return document.activeElement === document.querySelector(arguments[0])";
        show.browser.script(script, &[selector.into()]) == json!(true)
    };
    show.browser.script("document.activeElement.blur(); window.scrollTo(0, 0)", &[]);
    let reached = (0..TABS).any(|_| {
        show.browser.press(Key::Tab);
        focused(&drain)
    });
    assert!(reached, "the tabulator does not reach {drain}");
    let outline = "return getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(show.browser.script(outline, &[]), "solid", "one sees where the focus is");
    show.browser.press(Key::Enter);
    wait_until("the drain on the screen", SOON, || show.state("rec-1") == "draining");
    wait_until("the focus on what takes it back", SOON, || focused(&undrain));
    show.browser.press(Key::Enter);
    wait_until("it to take part again", SOON, || show.state("rec-1") == "open");
}

fn a_client_is_found_and_explained(show: &Show) {
    show.browser.write("#client", "cam-07");
    show.browser.press(Key::Enter);
    let home = &show.homes()["cam-07"];
    let told = || show.browser.text("#found h2").is_some_and(|text| text == format!("cam-07 is at home at {home}"));
    wait_until("where it is", SOON, told);
    wait_until("why", SOON, || show.browser.text("#found table").is_some_and(|text| text.contains("rec-4")));
    show.browser.write("#client", "-nobody");
    show.browser.press(Key::Enter);
    let unknown = || show.browser.text("#found h2").is_some_and(|text| text.contains("has no home"));
    wait_until("that nobody knows it", SOON, unknown);
}

/// A key is any bytes: the API tells it encoded, people see and type it as it is.
fn a_key_of_any_letters_is_shown_and_found(show: &Show) {
    let (text, key) = ("Tür/7 +%", "T%C3%BCr%2F7%20%2B%25");
    let log = show.demo.log();
    let gateway = log.lines().find_map(|line| line.trim().strip_prefix("gateway ")).expect("its address").trim();
    let sent = get(&format!("{gateway}ingest/stream?camera={key}&mbps=1")).expect("an answer");
    assert_eq!(sent.status, 307, "{sent:?}");
    let chip = format!("[data-client='{key}'] button");
    wait_until("it on the screen, as it is called", SOON, || show.browser.text(&chip).as_deref() == Some(text));
    let found =
        || show.browser.text("#found h2").is_some_and(|told| told.starts_with(&format!("{text} is at home at ")));
    show.close_found();
    show.click(&chip, "it found by a click", found);
    show.close_found();
    show.browser.script("document.querySelector('#found').replaceChildren()", &[]);
    show.browser.script("document.querySelector('#client').value = ''", &[]);
    show.browser.write("#client", text);
    show.browser.press(Key::Enter);
    wait_until("it found by its name", SOON, found);
}

/// Markup in a key is text, and what would turn the direction of the text around it is shown encoded.
fn a_key_that_means_harm_is_a_text_like_any_other(show: &Show) {
    let log = show.demo.log();
    let gateway = log.lines().find_map(|line| line.trim().strip_prefix("gateway ")).expect("its address").trim();
    let title = show.browser.script("return document.title", &[]);
    let markup = "<img src=x onerror=\"document.title='hurt'\">";
    for (key, shown) in [
        ("%3Cimg%20src%3Dx%20onerror%3D%22document.title%3D%27hurt%27%22%3E", markup),
        ("txt%E2%80%AEexe%1B%5B2J", "txt%E2%80%AEexe%1B%5B2J"),
    ] {
        let sent = get(&format!("{gateway}ingest/stream?camera={key}&mbps=1")).expect("an answer");
        assert_eq!(sent.status, 307, "{sent:?}");
        let chip = format!("[data-client='{key}'] button");
        wait_until("it on the screen, letter for letter", SOON, || show.browser.text(&chip).as_deref() == Some(shown));
        let found =
            || show.browser.text("#found h2").is_some_and(|told| told.starts_with(&format!("{shown} is at home at ")));
        show.click(&chip, "it found by a click", found);
        show.close_found();
    }
    assert_eq!(show.browser.script("return document.querySelectorAll('img[src=x]').length", &[]), json!(0));
    assert_eq!(show.browser.script("return document.title", &[]), title, "nothing of it was run");
}

fn it_looks_right_by_day_and_by_night_and_narrow(show: &Show) {
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let mut seen = BTreeSet::new();
    for scheme in ["light", "dark"] {
        show.browser.prefer("prefers-color-scheme", scheme);
        seen.insert(show.browser.script(ground, &[]).to_string());
    }
    assert_eq!(seen.len(), 2, "day and night look the same: {seen:?}");
    let theme = || show.browser.text("#theme");
    let by_hand: BTreeSet<String> = (0..3)
        .map(|_| {
            let before = theme();
            show.click("#theme", "another theme", || theme() != before);
            show.browser.script(ground, &[]).to_string()
        })
        .collect();
    assert_eq!(by_hand, seen, "the button chooses between the same two");
    show.browser.resize(500, 900);
    let overhang = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    wait_until("nothing to hang over", SOON, || show.browser.script(overhang, &[]) == json!(0));
    show.browser.resize(1440, 1000);
}

/// A tab that has no token reads, and asks for it when something shall be changed.
fn without_a_token_it_asks_for_one(show: &Show) {
    let (page, token) = show.url.split_once("#token=").expect("a token");
    show.browser.script("sessionStorage.clear()", &[]);
    show.browser.open(page);
    wait_until("the cards again", SOON, || show.state("rec-2") == "open");
    let asks = || show.browser.script("return document.querySelector('#ask-token').open", &[]) == json!(true);
    show.order("rec-2", "drain", "the question for the token", asks);
    assert_eq!(show.state("rec-2"), "open", "nothing has happened yet");
    show.browser.write("#token-text", token);
    show.browser.press(Key::Enter);
    wait_until("the drain on the screen", SOON, || show.state("rec-2") == "draining");
    show.order("rec-2", "undrain", "it to take part again", || show.state("rec-2") == "open");
}

fn lost_contact_is_said(show: &mut Show) {
    show.demo.signal(Signal::Int);
    show.demo.wait(SOON);
    let said = || show.browser.text("#contact").is_some_and(|text| text.starts_with("no contact since"));
    wait_until("the page to say that it is alone", SOON, said);
    assert!(!show.homes().is_empty(), "what was seen last is still shown");
    let ours = |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("steadfast"));
    wait_until("nothing to be left of the demo", SOON, || !show.sandbox.running().iter().any(ours));
}
