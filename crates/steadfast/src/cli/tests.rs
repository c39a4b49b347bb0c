use super::*;

/// What listens has another variable than what says to others where to find it.
const OTHERWISE_NAMED: [(&str, &str); 2] = [("admin", "STEADFAST_ADMIN_LISTEN"), ("api", "STEADFAST_API_LISTEN")];

fn each_command(command: &clap::Command, look: &mut impl FnMut(&clap::Command)) {
    look(command);
    for below in command.get_subcommands() {
        each_command(below, look);
    }
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_flag_has_its_variable() {
    let mut flags = 0;
    each_command(&Cli::command(), &mut |command| {
        for flag in command.get_arguments().filter_map(|arg| Some((arg.get_long()?, arg.get_env()))) {
            let (long, env) = flag;
            if matches!(long, "help" | "version") {
                continue;
            }
            let env = env.and_then(|env| env.to_str()).unwrap_or_default();
            let rule = format!("STEADFAST_{}", long.to_uppercase().replace('-', "_"));
            let known = env == rule || OTHERWISE_NAMED.contains(&(long, env));
            assert!(known, "{} --{long} has the variable {env:?}, not {rule}", command.get_name());
            flags += 1;
        }
    });
    assert!(flags > 30, "only {flags} flags were looked at");
}

#[test]
fn what_was_said_counts_whatever_the_environment_says() {
    let settled = |given: &[&str], said: &[&str]| {
        let text = |flag: &str| given.contains(&flag).then(|| flag.to_owned());
        let mut reach = Reach {
            admin: text("admin"),
            store: text("store"),
            store_file: text("store_file").map(Into::into),
            store_on_command_line: false,
            token_file: None,
            tls: TlsFlags::default(),
        };
        reach.settle(|flag| said.contains(&flag)).map_err(|error| error.to_string())?;
        let left = [reach.admin, reach.store, reach.store_file.map(|file| file.display().to_string())];
        Ok::<_, String>((left.into_iter().flatten().collect::<Vec<_>>().concat(), reach.store_on_command_line))
    };
    let counts = |given: &[&str], said: &[&str]| settled(given, said).unwrap();
    assert_eq!(counts(&["admin", "store"], &["admin"]), ("admin".into(), false));
    assert_eq!(counts(&["admin", "store"], &["store"]), ("store".into(), true));
    assert_eq!(counts(&["admin", "store", "store_file"], &["store_file"]), ("store_file".into(), false));
    assert_eq!(counts(&["store"], &[]), ("store".into(), false));
    assert_eq!(counts(&[], &[]), ("".into(), false));
    let refused = |given: &[&str], said: &[&str]| settled(given, said).unwrap_err();
    assert!(refused(&["admin", "store"], &["admin", "store"]).contains("--admin and --store name two places"));
    assert!(refused(&["admin", "store"], &[]).contains("STEADFAST_ADMIN and STEADFAST_STORE"));
    assert!(refused(&["store", "store_file"], &["store", "store_file"]).contains("--store and --store-file"));
}

#[test]
fn every_command_teaches_by_example() {
    each_command(&Cli::command(), &mut |command| {
        if command.get_name() == "steadfast" || command.is_hide_set() {
            return;
        }
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = help.lines().filter(|line| line.contains("steadfast ")).count();
        assert!(examples >= 2, "{} has {examples} examples", command.get_name());
    });
}

/// Splits a line as a shell does: at spaces outside of quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.push(c),
            ('\'' | '"', None) => quote = Some(c),
            (' ', None) => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            (c, None) => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[test]
fn every_example_is_understood() {
    let mut understood = 0;
    each_command(&Cli::command(), &mut |command| {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default().replace("\\\n", " ");
        for line in help.lines().filter(|line| line.starts_with("  ") && line.contains("steadfast ")) {
            let example = line.trim_start().trim_start_matches("STEADFAST_LOG=debug ");
            // What is no beginning of a command is a sentence, and what a shell makes of an answer is the shell's.
            let Some(example) = example.strip_prefix("steadfast ") else { continue };
            let words = words(&format!("steadfast {example}"));
            // What follows after two spaces says what the example is for.
            let ends = |word: &&String| !matches!(word.as_str(), "|" | "&&" | ">");
            let told = example.split("   ").next().map_or(0, |command| self::words(command).len() + 1);
            let words: Vec<&String> = words.iter().take(told).take_while(ends).collect();
            if let Err(error) = Cli::command().try_get_matches_from(&words) {
                panic!("{}: {line}\n{error}", command.get_name());
            }
            understood += 1;
        }
    });
    assert!(understood > 40, "only {understood} examples were found");
}
