use super::super::{Config, Problems, agent_from_flags};
use crate::cli::{Cli, Command};

fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse("test.toml", text, &|_| None)
}

/// `text` has exactly one problem: its first line is `first`.
#[track_caller]
fn check(text: &str, first: &str) {
    let problems = parse(text).expect_err("there is something wrong with it").to_string();
    assert_eq!(problems.lines().next(), Some(first), "all of it:\n{problems}");
    assert_eq!(problems.matches("test.toml:").count(), 1, "more than one:\n{problems}");
}

/// A sticky set with `more` settings, and a listener with these routes to it.
fn rooms(more: &str, routes: &str) -> String {
    let set = format!("[sets.rooms]\nkind = \"sticky\"\nclient = \"path:{{room}}\"\n{more}\n");
    format!("{set}[[listeners]]\nlisten = \"0.0.0.0:80\"\nroutes = [{routes}]\n")
}

#[test]
fn a_client_read_from_the_path_needs_routes_that_catch_it() {
    let fine = rooms(
        "",
        "{ path = \"/rooms/{room}/\", set = \"rooms\" }, { path = \"/\", set = \"rooms\", client = \"query:room\" }",
    );
    parse(&fine).unwrap_or_else(|problems| panic!("{problems}"));
    check(
        &rooms("", "{ path = \"/rooms/\", set = \"rooms\" }"),
        "test.toml:7:20: no request of this route would say who its client is: the set's client is path:{room}, and the path /rooms/ has no {room}",
    );
    check(
        &rooms("", "{ path = \"/{hall}/\", set = \"rooms\", client = [\"path:{room}\", \"query:room\"] }"),
        "test.toml:7:56: path:{room} catches nothing: the path /{hall}/ of this route has no {room}",
    );
    check(
        &rooms("", "{ path = \"/{room}/\", set = \"rooms\", weight = \"path:{seats}\" }"),
        "test.toml:7:56: path:{seats} catches nothing: the path /{room}/ of this route has no {seats}",
    );
    let either = "[sets.rooms]\nkind = \"sticky\"\nclient = [\"path:{room}\", \"query:room\"]\n[[listeners]]\nlisten = \"0.0.0.0:80\"\nroutes = [{ path = \"/\", set = \"rooms\" }]\n";
    parse(either).unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn what_a_route_says_of_its_clients_is_kept() {
    let text = rooms(
        "weight_max = 8",
        "{ path = \"/{room}/\", set = \"rooms\", answer = \"assign\", endpoint = \"stream\", client = [\"header:X-Room\", \"path:{room}\"], weight = 2.5 }",
    );
    let config = parse(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let shown = format!("{:?}", config.listeners[0].routes[0]);
    for part in ["answer: Assign", "\"stream\"", "Header(\"x-room\")", "Path(\"room\")", "Fixed(Weight(2500))"] {
        assert!(shown.contains(part), "{shown} has no {part}");
    }
    for (route, first) in [
        ("weight = 9", "test.toml:7:56: weight 9 is more than the set's weight_max 8"),
        ("weight = 0", "test.toml:7:56: weight is to be more than 0"),
        (
            "client = []",
            "test.toml:7:56: client names no place in a request: write one, such as \"query:camera\", or leave it out",
        ),
        (
            "client = 7",
            "test.toml:7:56: client is to be a place in a request, such as \"query:camera\", or a list of such, not a number",
        ),
    ] {
        check(&rooms("weight_max = 8", &format!("{{ path = \"/{{room}}/\", set = \"rooms\", {route} }}")), first);
    }
}

#[test]
fn only_sticky_sets_send_clients_home() {
    let web = |route: &str| {
        format!(
            "[sets.web]\nkind = \"single\"\n[[listeners]]\nlisten = \"0.0.0.0:80\"\nroutes = [{{ set = \"web\", {route} }}]\n"
        )
    };
    check(
        &web("answer = \"redirect\""),
        "test.toml:5:35: only a sticky set's clients have a home to be sent to: a single set is reached with answer = \"proxy\"",
    );
    check(
        &web("client = \"query:camera\""),
        "test.toml:5:35: client is for routes to sticky sets: a single set does not tell its clients apart",
    );
    check(
        "[sets.rec]\nkind = \"sticky\"\nclient = \"query:camera\"\n[[sets.rec.instances]]\nid = \"a\"\n",
        "test.toml:4:1: a sticky set has no instances in the file: its instances are the [[agents]], or `steadfast agent` beside each copy, which keep its capacity and its clients in the store",
    );
    let unreadable = "[sets.rec]\nkind = \"sticky\"\nclient = \"camera\"\n[[listeners]]\nlisten = \"0.0.0.0:80\"\nroutes = [{ set = \"rec\", answer = \"redirect\" }]\n";
    assert_eq!(parse(unreadable).unwrap_err().lines().len(), 1, "what could not be read is not judged by");
}

#[test]
fn a_client_that_is_sent_away_must_not_outlive_its_charge_unseen() {
    let redirect = "{ path = \"/{room}/\", set = \"rooms\", answer = \"redirect\" }";
    let proxy = "{ path = \"/control/{room}\", set = \"rooms\" }";
    let refused = parse(&rooms("presence = \"connection\"", redirect)).unwrap_err().to_string();
    assert!(refused.starts_with("test.toml:7:56: nobody would see the clients of rooms at home: "), "{refused}");
    let warned = |more: &str, routes: &str| parse(&rooms(more, routes)).unwrap().warnings.lines();
    let both = warned("presence = \"connection\"", &format!("{redirect}, {proxy}"));
    assert!(both.len() == 1 && both[0].contains("are connected past the gateway"), "{both:?}");
    let short = warned("idle_after = \"10m\"", redirect);
    assert!(short.len() == 1 && short[0].contains("longer than idle_after 10m without asking"), "{short:?}");
    for fine in ["presence = \"report\"", "idle_after = \"24h\"", ""] {
        assert_eq!(warned(fine, redirect), Vec::<String>::new(), "{fine}");
    }
    assert_eq!(warned("presence = \"connection\"", proxy), Vec::<String>::new());
}

#[test]
fn an_instance_of_a_sticky_set_says_what_it_can_carry() {
    let with = |set: &str, more: &str| {
        format!("[sets.rec]\nkind = {set}\n[[agents]]\nset = \"rec\"\ninstance = \"rec-1\"\n{more}\n")
    };
    let sticky = "\"sticky\"\nclient = \"query:camera\"";
    let config = parse(&with(sticky, "capacity = 2.5\nlabels.region = \"eu\"")).unwrap_or_else(|e| panic!("{e}"));
    let agent = &config.agents[0];
    assert_eq!(agent.capacity, Some("2.5".parse().unwrap()));
    assert_eq!(format!("{:?}", agent.labels), r#"{LabelName("region"): "eu"}"#);
    check(
        &with(sticky, ""),
        "test.toml:4:1: [[agents]] needs capacity, such as capacity = 100: what this instance can carry, in the unit of its clients' weights",
    );
    check(
        &with(sticky, "capacity = \"all\""),
        "test.toml:7:12: capacity: \"all\" is not a weight: expected a decimal from 0 to 1000000000 with at most three places, such as 8 or 0.5",
    );
    check(
        &with(sticky, "capacity = 1\nlabels.region = \"\""),
        "test.toml:8:17: region: a label's value has 1 to 256 bytes, not 0",
    );
    check(
        &with(sticky, "capacity = 1\nendpoints.http = \"http://h:1\"\ngate.http = \"127.0.0.1:80\""),
        "test.toml:9:13: a gate is for single sets: it cannot tell which clients of a sticky set are at home here",
    );
    check(
        &with("\"single\"", "capacity = 1"),
        "test.toml:6:12: capacity is for instances of sticky sets: \"rec\" is single, and one carries all",
    );
    check(
        &with("\"single\"", "labels.region = \"eu\""),
        "test.toml:6:1: labels is for instances of sticky sets: \"rec\" is single, and one carries all",
    );
}

#[test]
fn flags_say_what_a_file_says() {
    let agent = |flags: &str| {
        let words = "steadfast agent --set rec --instance rec-1".split(' ').chain(flags.split(' ')).map(Into::into);
        let Command::Agent(flags) = Cli::read_from(words).unwrap_or_else(|e| panic!("{e}")).command else {
            unreachable!()
        };
        agent_from_flags(&flags)
    };
    let all = "--kind sticky --client query:camera,header:x-camera --weight query:mbps --presence report --capacity 100 \
               --label region=eu --label zone=a --api 127.0.0.1:7402";
    let said = agent(all).unwrap();
    let file = parse(
        "[sets.rec]\nkind = \"sticky\"\nclient = [\"query:camera\", \"header:x-camera\"]\nweight = \"query:mbps\"\npresence = \"report\"\n\
         [[agents]]\nset = \"rec\"\ninstance = \"rec-1\"\ncapacity = 100\nlabels = { region = \"eu\", zone = \"a\" }\napi = \"127.0.0.1:7402\"\n",
    );
    assert_eq!(format!("{said:#?}"), format!("{:#?}", file.unwrap().agents[0]));
    let fixed = agent("--kind sticky --client query:camera --weight 2.5 --capacity 1").unwrap();
    assert!(format!("{:?}", fixed.introduce).contains("Fixed(Weight(2500))"), "{:?}", fixed.introduce);
    for (flags, expected) in [
        ("--kind sticky --capacity 1", "--kind sticky needs --client, such as --client query:camera"),
        ("--kind sticky --client query:camera", "--kind sticky needs --capacity: what this copy can carry"),
        ("--kind sticky --client camera --capacity 1", "--client: \"camera\" is not a place in a request"),
        ("--kind single --client query:camera", "--client is for --kind sticky"),
        (
            "--kind sticky --client query:camera --capacity 1 --gate http=127.0.0.1:80",
            "--gate: a gate is for single sets",
        ),
        ("--kind single --capacity 1", "--capacity and --label are for sticky sets"),
        ("--presence report", "--presence is for --kind sticky"),
        ("--label region", "--label \"region\": expected NAME=VALUE"),
        ("--label region=", "--label region: a label's value has 1 to 256 bytes"),
    ] {
        let refused = agent(flags).expect_err(flags);
        assert!(refused.contains(expected), "{refused}");
    }
}
