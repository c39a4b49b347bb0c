//! The settings of a sticky set, from the first file to the store, as a person meets them.

mod support;

use support::{Ended, Sandbox, store_url};

const USAGE: i32 = 2;
const REFUSED: i32 = 4;

/// The program ends with `code` and says all of `words`.
#[track_caller]
fn check(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code(), code, "{ended:#?}");
    let said = format!("{}{}", ended.out, ended.err);
    let missing: Vec<&&str> = words.iter().filter(|word| !said.contains(**word)).collect();
    assert!(missing.is_empty(), "{missing:?} is not in:\n{said}");
}

#[test]
fn a_file_to_start_from_is_checked_and_applied() {
    let sandbox = Sandbox::new("sticky-init");
    let run = |words: &[&str]| sandbox.run(&mut sandbox.steadfast(words));
    check(&run(&["init", "sticky"]), 0, &["steadfast check steadfast.toml"]);
    check(&run(&["init", "sticky"]), REFUSED, &["is there already"]);
    check(&run(&["check", "steadfast.toml"]), 0, &["is fine: 1 set, 1 listener, 2 agents"]);

    let store = store_url(&sandbox);
    let apply = |file: &str| run(&["apply", file, "--store", &store]);
    check(
        &apply("steadfast.toml"),
        0,
        &["[sets.rooms] is new", "+ client = \"query:client\"", "+ policy = \"spread\""],
    );
    check(&apply("steadfast.toml"), 0, &["[sets.rooms] is as it was"]);
    let text = std::fs::read_to_string(sandbox.path("steadfast.toml")).expect("init wrote it");
    sandbox.write(
        "other.toml",
        &text.replace("weight = \"query:weight\"", "weight = 2\nrequire = { zone = \"query:zone\" }"),
    );
    check(
        &apply("other.toml"),
        0,
        &["- weight = \"query:weight\"\n+ weight = 2\n", "+ require = { zone = \"query:zone\" }\n"],
    );
    sandbox.write("single.toml", "[sets.rooms]\nkind = \"single\"\n");
    check(&apply("single.toml"), REFUSED, &["set rooms is sticky in the store and cannot become single"]);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let sandbox = Sandbox::new("sticky-bad");
    let routes =
        "[[listeners]]\nlisten = \"0.0.0.0:8080\"\nroutes = [{ path = \"/\", set = \"rec\", answer = \"redirect\" }]\n";
    for (settings, words) in [
        ("client = \"camera\"", ["bad.toml:3:10", "expected query:NAME, header:NAME"]),
        ("client = \"query:camera\"\nwieght = 1", ["bad.toml:4:1", "did you mean \"weight\"?"]),
        ("client = \"query:camera\"\nidle_after = \"1s\"", ["bad.toml:4:14", "5s at least"]),
        ("client = \"path:{camera}\"", ["bad.toml:6:20", "the path / has no {camera}"]),
        ("client = \"query:camera\"\npresence = \"connection\"", ["bad.toml:7:47", "presence = \"report\""]),
    ] {
        sandbox.write("bad.toml", &format!("[sets.rec]\nkind = \"sticky\"\n{settings}\n{routes}"));
        check(&sandbox.run(&mut sandbox.steadfast(["check", "bad.toml"])), USAGE, &words);
    }
    let short = "client = \"query:camera\"\nidle_after = \"10m\"";
    sandbox.write("short.toml", &format!("[sets.rec]\nkind = \"sticky\"\n{short}\n{routes}"));
    let warned = sandbox.run(&mut sandbox.steadfast(["check", "short.toml"]));
    check(&warned, 0, &["warning: short.toml:7:47", "longer than idle_after 10m", "short.toml is fine"]);
}
