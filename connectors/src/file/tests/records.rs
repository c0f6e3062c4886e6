//! Records of csv and JSON lines, and their offsets.

use super::*;

#[test]
fn csv_is_read_as_copy_reads_it() {
    let folder = Folder::new();
    folder.write(
        "a.csv",
        "1,plain\n2,\"a, \"\"b\"\"\nc\"\r\n3,\n4,\"\"\n\n5,mid\"dle, \"x\n",
    );
    let seen = all(&folder.source("a.csv", ""));
    assert!(seen.ended);
    assert_eq!(
        seen.rows,
        [
            "0: 1 plain",
            "8: 2 a, \"b\"\nc",
            "24: 3 null",
            "27: 4 ",
            "33: 5 middle, x"
        ]
    );
    assert!(seen.dead.is_empty(), "{:?}", seen.dead);
}

#[test]
fn csv_options_are_those_of_copy() {
    let folder = Folder::new();
    folder.write("a.txt", "NAME|other|id\n'it\\'s'|0|1\nNULL|0|2\n");
    let mut spec = folder.source("a.txt", ", header = true, delimiter = |, null = NULL");
    spec.format = "PLAIN".to_string();
    spec.encode = "CSV".to_string();
    spec.encode_options = [("quote", "'"), ("escape", "\\")]
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .into();
    assert_eq!(all(&spec).rows, ["14: 1 it's", "26: 2 null"]);
}

#[test]
fn a_malformed_record_is_a_dead_letter_and_the_rest_goes_on() {
    let folder = Folder::new();
    let text = b"1,a\nx,b\n3\n4,d,e\n5,\xff\n6,f\n7,\"open\n8,h\n".to_vec();
    folder.write("a.csv", text);
    let seen = all(&folder.source("a.csv", ""));
    assert_eq!(seen.rows, ["0: 1 a", "20: 6 f", "32: 8 h"]);
    assert_eq!(
        reasons(&seen),
        [
            "4: invalid input syntax for type bigint: \"x\" | x,b",
            "8: the record has 1 values, not 2 | 3",
            "10: the record has 3 values, not 2 | 4,d,e",
            "16: the record is not UTF-8 | 5,\u{fffd}",
            "24: a quoted value is not closed | 7,\"open",
        ]
    );
}

#[test]
fn json_lines_find_columns_by_name_and_pass_over_the_rest() {
    let folder = Folder::new();
    let columns = [
        ("id", SqlType::Int8),
        ("userid", SqlType::Text),
        ("price", SqlType::Numeric(Some((10, 3)))),
        ("at", SqlType::Timestamp),
        ("doc", SqlType::Jsonb),
        ("tags", SqlType::Array(Box::new(SqlType::Text))),
        ("ok", SqlType::Bool),
    ];
    let lines = [
        r#"{"id": 1, "userId": "u", "price": 1.10, "at": "2024-01-02T03:04:05Z", "doc": {"b": [1, null]}, "tags": ["a,b", null, "c\"d"], "ok": true, "more": {"x": [1]}}"#,
        r#"{"price": null, "id": 2, "doc": "text", "tags": []}"#,
        r#"{"id": "3", "userid": 7, "doc": null}"#,
        r#"[1]"#,
        r#"{"id": 1.5}"#,
        r#"{"id": 6"#,
        "",
        r#"{"id": 7} x"#,
    ];
    folder.write("a.jsonl", lines.join("\n"));
    let path = folder.path("a.jsonl").display().to_string();
    let seen = all(&spec("file", &columns, &format!("path = {path}")));
    assert_eq!(
        seen.rows,
        [
            r#"0: 1 u 1.100 2024-01-02T03:04:05 {"b": [1, null]} [a,b, null, c"d] true"#,
            r#"158: 2 null null null "text" [] null"#,
            "210: 3 7 null null null null null",
        ]
    );
    assert_eq!(
        reasons(&seen),
        [
            "248: the record is not a JSON object | [1]",
            "252: invalid input syntax for type bigint: \"1.5\" | {\"id\": 1.5}",
            "264: invalid input syntax for type json: The input string ended unexpectedly. | {\"id\": 6",
            "274: invalid input syntax for type json: Expected end of input, but found \"x\". | {\"id\": 7} x",
        ]
    );
}

#[test]
fn json_values_of_other_kinds_are_read_as_the_column_s_type_reads_their_text() {
    let folder = Folder::new();
    let columns = [
        ("id", SqlType::Int4),
        ("f", SqlType::Float8),
        ("n", SqlType::Numeric(None)),
        ("t", SqlType::Text),
        ("ok", SqlType::Bool),
        ("doc", SqlType::Jsonb),
    ];
    let lines = [
        // Numbers keep every digit, whatever a float could hold.
        r#"{"id": 1, "n": 123456789012345678901234567890.000000000001, "f": 1e3, "t": 12.50}"#,
        // Strings, and the words for true; escapes.
        r#"{"id": "2", "ok": "yes", "t": "a\tb\u00e9\ud83d\ude00\"\\"}"#,
        r#"{"id": 3, "t": {"a": [1, "x"]}, "ok": false}"#,
        // Of equal keys the last one counts, also when it is null, and also inside a document.
        r#"{"id": 4, "t": "first", "id": 44, "t": null, "doc": {"b": 1, "a": 2, "b": 3.10}}"#,
        r#"{"id": 2147483648}"#,
        r#"{"id": 6, "f": 1e400}"#,
        r#"{"id": 7, "ok": 7}"#,
        r#"{"id": 8, "t": "\u0000"}"#,
        r#"{"id": 9, "skipped": {"x": [1,,2]}}"#,
        r#"{"id": 10, "id": tru}"#,
        "",
        "   ",
        "\u{feff}{\"id\": 11}",
        "null",
        r#"{}"#,
    ];
    folder.write("a.jsonl", lines.join("\r\n") + "\r\n");
    let path = folder.path("a.jsonl").display().to_string();
    let seen = all(&spec("file", &columns, &format!("path = {path}")));
    let bare = |line: &String| line.split_once(": ").expect("an offset").1.to_string();
    assert_eq!(
        seen.rows.iter().map(bare).collect::<Vec<_>>(),
        [
            "1 1000.0 123456789012345678901234567890.00000000000100000000 12.50 null null",
            "2 null null a\tbé😀\"\\ true null",
            "3 null null {\"a\": [1, \"x\"]} false null",
            "44 null null null null {\"a\": 2, \"b\": 3.10}",
            "null null null null null null",
        ]
    );
    let why = |text: &str| {
        let letter = seen.dead.iter().find(|d| d.payload.starts_with(text));
        letter.map(|d| d.reason.as_str())
    };
    let expected = [
        (
            r#"{"id": 2147483648"#,
            "value \"2147483648\" is out of range for type integer",
        ),
        (r#"{"id": 6"#, "\"1e400\" is out of range for type double precision"),
        (r#"{"id": 7"#, "invalid input syntax for type boolean: \"7\""),
        ("null", "the record is not a JSON object"),
    ];
    for (record, reason) in expected {
        assert_eq!(why(record), Some(reason), "{record}");
    }
    // Also a zero byte, a hole in a list, a word that is none, a byte order mark where no file begins.
    assert_eq!(seen.dead.len(), 8, "{:?}", reasons(&seen));
}

#[test]
fn reading_again_from_an_offset_gives_the_same_rows() {
    let folder = Folder::new();
    let text: String = (0..1000).map(|i| format!("{i},\"name\n{i}\"\n")).collect();
    let partition = folder.write("a.csv", format!("id,name\n{text}"));
    let (connector, _) = connect(&folder.source("a.csv", ", header = true"));
    let whole = read_all(connector.as_ref(), &partition, 0, None, 7);
    assert_eq!(whole.rows.len(), 1000);
    let offset = |line: &str| {
        line.split_once(':')
            .and_then(|(o, _)| o.parse::<u64>().ok())
            .expect("an offset")
    };
    for at in [0, 1, 499, 999] {
        let from = offset(&whole.rows[at]);
        assert_eq!(
            read_all(connector.as_ref(), &partition, from, None, 100).rows,
            whole.rows[at..]
        );
        let until = read_all(connector.as_ref(), &partition, 0, Some(from), 100);
        assert!(until.ended);
        assert_eq!(until.rows, whole.rows[..at]);
    }
    assert!(
        read_all(connector.as_ref(), &partition, whole.next.0, None, 9)
            .rows
            .is_empty()
    );
}

#[test]
fn records_longer_than_the_limit_are_given_up() {
    let folder = Folder::new();
    let limit = crate::file::lines::RECORD_BYTES_MAX;
    let exact = format!("2,{}", "x".repeat(limit - 2));
    let long = format!("3,{}", "x".repeat(limit - 1));
    let open = format!("5,\"{}", format!("{}\n", "y".repeat(999)).repeat(5000));
    folder.write("a.csv", format!("1,a\n{exact}\n{long}\n4,c\n{open}"));
    let source = folder.source("a.csv", "");
    let seen = all(&source);
    let starts: Vec<String> = seen.rows.iter().map(|row| row.chars().take(12).collect()).collect();
    let offsets = [4, 4 + exact.len() + 1, 4 + exact.len() + long.len() + 2];
    let shown = |at: usize, text: &str| format!("{at}: {text}").chars().take(12).collect::<String>();
    assert_eq!(
        starts,
        [
            shown(0, "1 a"),
            shown(offsets[0], "2 xxxxxxxxxx"),
            shown(offsets[2], "4 c")
        ]
    );
    assert_eq!(
        (seen.dead[0].offset.0, seen.dead[0].reason.as_str()),
        (offsets[1] as u64, "the record is too long")
    );
    assert_eq!(seen.dead[0].payload.len(), DeadLetter::PAYLOAD_CHARS_MAX);
    assert_eq!(seen.dead[1].reason, "a quoted value is not closed");
    assert!(
        seen.dead[2].reason.contains("1 values, not 2"),
        "the lines after an open quote are records again"
    );
    // Read from any of its records, the file falls into the same ones.
    let (connector, _) = connect(&source);
    let partition = folder.partition("a.csv");
    for from in offsets {
        let rest = read_all(connector.as_ref(), &partition, from as u64, None, 7);
        let later = seen.dead.iter().filter(|d| d.offset.0 >= from as u64);
        assert!(rest.dead.iter().eq(later), "from {from}");
    }
}

#[test]
fn a_byte_order_mark_and_carriage_returns_belong_to_no_value() {
    let folder = Folder::new();
    folder.write("a.csv", "\u{feff}id,name\r\n1,a\r\n2,\"b\r\nc\"\r\n\r\n3,d");
    let seen = all(&folder.source("a.csv", ", header = true"));
    assert_eq!(seen.rows, ["12: 1 a", "17: 2 b\r\nc", "29: 3 d"]);
    assert!(seen.dead.is_empty(), "{:?}", seen.dead);
    // Without a header, the first value is not spoilt by the mark either.
    folder.write("b.csv", "\u{feff}1,a\n");
    assert_eq!(all(&folder.source("b.csv", "")).rows, ["0: 1 a"]);
}

#[test]
fn every_offset_is_where_its_record_begins() {
    let folder = Folder::new();
    let text = "\u{feff}1,\"é\n\n\"\r\n\n2,ü\n  \n\"3\",\"a\"\"\n,b\"\nbad\n4,\n";
    folder.write("a.csv", text);
    let seen = all(&folder.source("a.csv", ""));
    let at = |record: &str| text.find(record).expect("it is there");
    assert_eq!(
        seen.rows,
        [
            "0: 1 é\n\n".to_string(),
            format!("{}: 2 ü", at("2,ü")),
            format!("{}: 3 a\"\n,b", at("\"3\"")),
            format!("{}: 4 null", at("4,"))
        ]
    );
    assert_eq!(
        reasons(&seen),
        [format!("{}: the record has 1 values, not 2 | bad", at("bad"))]
    );
    assert_eq!(seen.next.0, text.len() as u64);
}

#[test]
fn rows_read_before_an_error_are_not_lost() {
    let folder = Folder::new();
    let partition = folder.write("a.csv", "1,a\n2,b\n");
    let (connector, _) = connect(&folder.source("a.csv", ", follow = true"));
    let mut reader = connector.open(&partition, Offset(0), None).expect("a file");
    fs::remove_file(folder.path("a.csv")).expect("removed");
    assert_eq!(lines(&next_rows(reader.as_mut())), ["0: 1 a", "4: 2 b"]);
    assert!(reader.read(9).is_err());
}
