use super::*;

fn error(said: &str) -> Error {
    refusal("redis://db:6379", said).error
}

#[test]
fn each_refusal_says_what_the_caller_does_next_and_what_would_be_right() {
    let at = |kind: fn(String) -> Error, why: &str| kind(format!("redis://db:6379{why}"));
    for (said, meant) in [
        (
            "READONLY You can't write against a read only replica.",
            at(Error::Unavailable, ": it is a replica (`READONLY You can\\'t write against a read only replica.`)"),
        ),
        (
            "WRONGPASS invalid username-password pair or user is disabled.",
            at(
                Error::Denied,
                ": the user or the password is wrong (`WRONGPASS invalid username-password pair or user is disabled.`)",
            ),
        ),
        (
            "NOAUTH Authentication required.",
            at(Error::Denied, ": it wants a password: give it with --token-file (`NOAUTH Authentication required.`)"),
        ),
        (
            "WRONGTYPE Operation against a key holding the wrong kind of value script: 8b0, on @user_script:11.",
            at(
                Error::Corrupt,
                ": something else lies under the prefix: choose another one (`WRONGTYPE Operation against a key \
                 holding the wrong kind of value`)",
            ),
        ),
        ("MOVED 3999 10.0.0.1:6379", at(Error::Config, &format!(": {CLUSTER} (`MOVED 3999 10.0.0.1:6379`)"))),
        ("ERR max number of clients reached", at(Error::Unavailable, " says `ERR max number of clients reached`")),
        ("ERR something new", at(Error::OutcomeUnknown, " says `ERR something new`")),
        ("", at(Error::OutcomeUnknown, " says ``")),
    ] {
        assert_eq!(error(said), meant);
    }
}

#[test]
fn a_scripts_error_is_understood_as_older_servers_wrap_it() {
    let wrapped = "ERR Error running script (call to f_8b0): @user_script:96: @user_script: 96: -OOM command not \
                   allowed when used memory > 'maxmemory'.";
    assert!(matches!(error(wrapped), Error::Unavailable(_)));
    let own = "ERR Error running script (call to f_8b0): @user_script:96: attempt to index a nil value";
    assert!(matches!(error(own), Error::OutcomeUnknown(_)));
    // Words of an ordinary error mean nothing.
    assert!(matches!(error("ERR the OOM killer was here"), Error::OutcomeUnknown(_)));
}

#[test]
fn a_look_never_leaves_an_outcome_open() {
    assert_eq!(of_look(Error::OutcomeUnknown("x".to_owned())), Error::Unavailable("x".to_owned()));
    assert_eq!(of_look(Error::Denied("x".to_owned())), Error::Denied("x".to_owned()));
}

#[test]
fn what_a_server_does_not_know_is_not_quoted_back_with_its_secrets() {
    let said = "ERR unknown command 'AUTH', with args beginning with: 'hunter2' ";
    let error = error(said).to_string();
    assert!(error.contains("unknown command") && !error.contains("hunter2"), "{error}");
}

#[test]
fn a_right_that_is_missing_in_a_script_is_one_as_every_version_says_it() {
    for said in [
        "NOPERM ACL failure in script: User poor has no permissions to run the 'xadd' command script: 8b0, on @user_script:79.",
        "ERR Error running script (call to f_8b0): @user_script:79: The user executing the script can't run this \
         command or subcommand",
        "ERR Error running script (call to f_8b0): @user_script:79: The user executing the script can't access at least \
         one of the keys mentioned in the command arguments",
    ] {
        assert!(matches!(error(said), Error::Denied(_)), "{said}");
    }
    let killed = "ERR Error running script (call to f_8b0): @user_script:9: Script killed by user with SCRIPT KILL...";
    assert!(matches!(error(killed), Error::Unavailable(_)));
}
