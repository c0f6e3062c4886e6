//! What SET, RESET and SHOW promise.

use super::*;

fn settings() -> Settings {
    Settings::try_new("ada", &[]).expect("nothing asked for")
}

fn set(settings: &mut Settings, name: &str, value: &str) {
    settings
        .set(name, &[value.to_string()], Scope::Session)
        .expect("a value it takes");
}

fn set_local(settings: &mut Settings, name: &str, value: &str) {
    settings
        .set(name, &[value.to_string()], Scope::Local)
        .expect("a value it takes");
}

#[test]
fn rollback_undoes_set_and_commit_keeps_it() {
    let mut s = settings();
    s.begin();
    set(&mut s, "application_name", "a");
    s.rollback();
    assert_eq!(s.get("application_name").as_deref(), Some(""));
    s.begin();
    set(&mut s, "application_name", "a");
    s.commit();
    assert_eq!(s.get("application_name").as_deref(), Some("a"));
}

#[test]
fn set_local_ends_with_its_transaction_and_does_nothing_outside_one() {
    let mut s = settings();
    set_local(&mut s, "application_name", "outside");
    assert_eq!(s.get("application_name").as_deref(), Some(""));
    s.begin();
    set(&mut s, "application_name", "session");
    set_local(&mut s, "application_name", "local");
    assert_eq!(s.get("application_name").as_deref(), Some("local"));
    s.commit();
    assert_eq!(s.get("application_name").as_deref(), Some("session"));
}

#[test]
fn rolling_back_to_a_savepoint_undoes_what_was_set_since() {
    let mut s = settings();
    s.begin();
    set(&mut s, "statement_timeout", "1s");
    s.savepoint("p");
    set(&mut s, "statement_timeout", "2s");
    s.rollback_to("p");
    assert_eq!(s.get("statement_timeout").as_deref(), Some("1s"));
    s.commit();
    assert_eq!(s.statement_timeout(), Some(Duration::from_secs(1)));
}

#[test]
fn values_are_kept_in_one_spelling_and_shown_in_the_largest_unit() {
    let mut s = settings();
    for (name, value, shown) in [
        ("statement_timeout", "90000", "90s"),
        ("statement_timeout", "120s", "2min"),
        ("statement_timeout", "0", "0"),
        ("work_mem", "64MB", "64MB"),
        ("row_security", "f", "off"),
        ("client_encoding", "'utf-8'", "UTF8"),
        ("datestyle", "ISO", "ISO, MDY"),
        ("datestyle", "iso, dmy", "ISO, DMY"),
        ("timezone", "europe/berlin", "Europe/Berlin"),
        ("INTERVALSTYLE", "ISO_8601", "iso_8601"),
        ("client_min_messages", "WARNING", "warning"),
        ("extra_float_digits", "3", "3"),
    ] {
        set(&mut s, name, value);
        assert_eq!(s.get(name).as_deref(), Some(shown), "{name} = {value}");
    }
}

#[test]
fn unknown_names_and_bad_values_have_their_sqlstates() {
    let mut s = settings();
    let mut code = |name: &str, value: &str| {
        s.set(name, &[value.to_string()], Scope::Session)
            .map_err(|e| e.state.0)
            .err()
    };
    assert_eq!(code("nosuch_guc", "1"), Some("42704"));
    assert_eq!(code("statement_timeout", "soon"), Some("22023"));
    assert_eq!(code("statement_timeout", "5 parsecs"), Some("22023"));
    assert_eq!(code("timezone", "Nowhere"), Some("22023"));
    assert_eq!(code("server_version", "16"), Some("55P02"));
    assert_eq!(code("standard_conforming_strings", "off"), Some("0A000"));
    assert_eq!(code("my.custom", "x"), None);
    assert_eq!(s.get("my.custom").as_deref(), Some("x"));
    assert_eq!(s.get("my.other"), None);
}

#[test]
fn search_path_takes_names_and_lists() {
    let mut s = settings();
    assert_eq!(s.search_path(), ["public"]);
    s.set("search_path", &["Sales".into(), "pg_catalog".into()], Scope::Session)
        .expect("names");
    assert_eq!(s.get("search_path").as_deref(), Some("\"Sales\", pg_catalog"));
    s.set_text("search_path", "a, \"B\"", Scope::Session).expect("a list");
    assert_eq!(s.search_path(), ["a", "B"]);
    s.set_text("search_path", "", Scope::Session).expect("an empty list");
    assert!(s.search_path().is_empty());
}

#[test]
fn a_new_transaction_takes_the_session_characteristics() {
    let mut s = settings();
    s.set(
        "session characteristics",
        &["ISOLATION LEVEL SERIALIZABLE".into()],
        Scope::Session,
    )
    .expect("a mode");
    s.begin();
    assert_eq!(s.get("transaction_isolation").as_deref(), Some("serializable"));
    s.set("transaction", &["READ ONLY".into()], Scope::Session)
        .expect("a mode");
    assert!(s.is_on("transaction_read_only"));
    s.commit();
    assert!(!s.is_on("transaction_read_only"));
}

#[test]
fn reports_are_made_once_and_again_after_a_rollback() {
    let mut s = settings();
    assert_eq!(s.take_reports().len(), 13);
    assert!(s.take_reports().is_empty());
    s.begin();
    set(&mut s, "timezone", "Asia/Kolkata");
    assert_eq!(s.take_reports(), [("TimeZone", "Asia/Kolkata".to_string())]);
    s.rollback();
    assert_eq!(s.take_reports(), [("TimeZone", "UTC".to_string())]);
}

#[test]
fn reset_goes_back_to_what_the_client_started_with() {
    let startup = [("application_name".to_string(), "x1".to_string())];
    let mut s = Settings::try_new("ada", &startup).expect("known");
    set(&mut s, "application_name", "zz");
    s.reset("application_name").expect("known");
    assert_eq!(s.get("application_name").as_deref(), Some("x1"));
    assert_eq!(s.show("timezone").expect("known").0, "TimeZone");
}
