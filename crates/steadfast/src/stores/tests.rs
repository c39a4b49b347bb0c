use std::fs;

use super::*;

#[test]
fn a_password_may_stand_where_nobody_else_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    fs::write(&file, "http://user:hunter2@h:7400\n").unwrap();
    let of = |on_command_line, file: Option<&Path>| {
        let url = file.is_none().then_some("http://user:hunter2@h:7400");
        let name = StoreName::of_flags(url, on_command_line, file).unwrap().expect("a store");
        name.open(None, || Ok(None)).unwrap_err().error.to_string()
    };
    assert!(of(true, None).contains("holds a password on the command line"), "{}", of(true, None));
    // Taken apart then, and refused for what it is: this store knows no user.
    for said in [of(false, None), of(false, Some(&file))] {
        assert!(said.contains("has an `@`: a token is given apart") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn our_own_token_is_told_to_no_store_but_another_steadfasts() {
    let asked = |url: &str| {
        let mut asked = false;
        let opened = StoreName::kept(url).open(None, || {
            asked = true;
            Ok(None)
        });
        opened.map(|_| asked).unwrap_or_else(|error| panic!("{url}: {error:?}"))
    };
    assert!(asked("http://127.0.0.1:7400") && !asked("memory:"));
}

#[test]
fn a_file_that_holds_no_url_is_told_without_a_word_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    fs::write(&file, "hunter2 hunter3\n").unwrap();
    let said = StoreName::of_flags(None, false, Some(&file)).map(|_| ()).unwrap_err().error.to_string();
    let expected = "a store is one line of letters, digits and marks, without spaces: is it the right file?";
    assert_eq!(said, format!("the store file {}: {expected}", file.display()));
}
