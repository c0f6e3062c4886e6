//! Files that grow, and folders that get new ones.

use super::*;

#[test]
fn a_followed_file_gives_lines_as_they_are_complete() {
    let folder = Folder::new();
    let partition = folder.write("a.csv", "1,a\n2,");
    let (connector, _) = connect(&folder.source("a.csv", ", follow = true"));
    let mut reader = connector.open(&partition, Offset(0), None).expect("a file");
    let mut read = || match reader.read(100).expect("readable") {
        ReadStep::Rows(batch) => lines(&batch),
        ReadStep::Idle => Vec::new(),
        ReadStep::End => panic!("it is followed"),
    };
    assert_eq!(read(), ["0: 1 a"]);
    assert!(read().is_empty());
    folder.append("a.csv", "b\n3,\"c");
    assert_eq!(read(), ["4: 2 b"]);
    assert!(read().is_empty());
    folder.append("a.csv", "\nd\"\n");
    assert_eq!(read(), ["8: 3 c\nd"]);
    // A file that shrinks is not what was read before.
    folder.write("a.csv", "1,a\n");
    let error = SqlError::from(reader.read(100).expect_err("it shrank"));
    assert_eq!(error.state, SqlState::IO_ERROR);
}

#[test]
fn a_followed_file_may_get_its_header_later() {
    let folder = Folder::new();
    let partition = folder.write("a.csv", "");
    let (connector, _) = connect(&folder.source("a.csv", ", follow = true, header = true"));
    let mut reader = connector.open(&partition, Offset(0), None).expect("a file");
    assert!(matches!(reader.read(9).expect("empty"), ReadStep::Idle));
    folder.append("a.csv", "name,id\na,1\n");
    let ReadStep::Rows(batch) = reader.read(9).expect("a row") else {
        panic!("a row is there")
    };
    assert_eq!(lines(&batch), ["8: 1 a"]);
}

#[test]
fn new_files_are_found_when_the_clock_says_so() {
    let folder = Folder::new();
    folder.write("b.csv", "1,a\n");
    folder.write(".hidden.csv", "1,a\n");
    let (mut connector, clock) = connect(&folder.source("*.csv", ", follow = true"));
    let names = |connector: &mut dyn Connector| -> Vec<String> {
        let found = connector.partitions().expect("found");
        found
            .iter()
            .map(|p| p.as_str().rsplit('/').next().expect("a name").to_string())
            .collect()
    };
    assert_eq!(names(connector.as_mut()), ["b.csv"]);
    folder.write("a.csv", "2,b\n");
    assert_eq!(names(connector.as_mut()), ["b.csv"]);
    clock.advance_us(1_000_000);
    assert_eq!(names(connector.as_mut()), ["b.csv", "a.csv"]);
}

#[test]
fn a_folder_stands_for_its_files_and_includes_tell_them_apart() {
    let folder = Folder::new();
    folder.write("a[1].csv", "1,a\n");
    folder.write("b.csv", "2,b\n");
    let mut source = folder.source("", ", format = csv");
    source
        .columns
        .push(column("file", SqlType::Text, Some(Include::Partition)));
    source.columns.push(column("at", SqlType::Int8, Some(Include::Offset)));
    let (mut connector, _) = connect(&source);
    let partitions = connector.partitions().expect("found");
    let rows: Vec<String> = partitions
        .iter()
        .flat_map(|p| read_all(connector.as_ref(), p, 0, None, 9).rows)
        .collect();
    let path = |name: &str| folder.path(name).display().to_string();
    assert_eq!(
        rows,
        [
            format!("0: 1 a {} 0", path("a[1].csv")),
            format!("0: 2 b {} 0", path("b.csv"))
        ]
    );
}

#[test]
fn a_record_that_is_too_long_is_waited_for_in_a_followed_file() {
    let folder = Folder::new();
    let long = "x".repeat(crate::file::lines::RECORD_BYTES_MAX + 300_000);
    let partition = folder.write("a.csv", format!("1,a\n2,{long}"));
    let (connector, _) = connect(&folder.source("a.csv", ", follow = true"));
    let mut reader = connector.open(&partition, Offset(0), None).expect("a file");
    let batch = next_rows(reader.as_mut());
    // Until its end is there, reading would begin with it again.
    assert_eq!(
        (lines(&batch), batch.next, batch.dead.len()),
        (vec!["0: 1 a".to_string()], Offset(4), 0)
    );
    assert!(matches!(reader.read(9).expect("no end"), ReadStep::Idle));
    folder.append("a.csv", "x\n3,c\n");
    let batch = next_rows(reader.as_mut());
    assert_eq!(
        (batch.dead[0].offset, batch.dead[0].reason.as_str()),
        (Offset(4), "the record is too long")
    );
    assert_eq!(lines(&batch), [format!("{}: 3 c", 4 + 2 + long.len() + 2)]);
}

#[test]
fn a_file_in_the_place_of_a_followed_one_is_not_taken_for_it() {
    let folder = Folder::new();
    let partition = folder.write("a.csv", "1,a\n");
    let (connector, _) = connect(&folder.source("a.csv", ", follow = true"));
    let mut reader = connector.open(&partition, Offset(0), None).expect("a file");
    assert_eq!(lines(&next_rows(reader.as_mut())), ["0: 1 a"]);
    fs::rename(folder.path("a.csv"), folder.path("a.csv.1")).expect("moved away");
    // What is appended to it is still read, before anything else is said.
    folder.append("a.csv.1", "2,b\n");
    assert_eq!(lines(&next_rows(reader.as_mut())), ["4: 2 b"]);
    let gone = reader.read(9).expect_err("it is gone");
    assert!(gone.may_pass());
    assert_eq!(SqlError::from(gone).state, SqlState::UNDEFINED_FILE);
    folder.write("a.csv", "1,other\n2,other\n3,other\n");
    let replaced = reader.read(9).expect_err("another one");
    assert!(!replaced.may_pass());
    let replaced = SqlError::from(replaced);
    assert_eq!(replaced.state, SqlState::IO_ERROR);
    assert!(
        replaced.message.ends_with("is another file now"),
        "{}",
        replaced.message
    );
}
