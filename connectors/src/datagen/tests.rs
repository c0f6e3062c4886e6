//! Datagen sources through the connector's own interface.

use highwater_types::{SqlError, SqlType};

use crate::testing::{connect, read_all, refusal, spec};
use crate::{Offset, PartitionId, ReadStep, SourceSpec};

fn rows(spec: &SourceSpec) -> Vec<String> {
    let (connector, _) = connect(spec);
    let seen = read_all(connector.as_ref(), &PartitionId::new("0"), 0, None, 3);
    assert!(seen.ended);
    seen.rows
}

fn everything(options: &str) -> SourceSpec {
    let columns = [
        ("id", SqlType::Int8),
        ("n", SqlType::Int4),
        ("f", SqlType::Float8),
        ("d", SqlType::Numeric(Some((8, 2)))),
        ("t", SqlType::Text),
        ("c", SqlType::Bpchar(Some(3))),
        ("b", SqlType::Bool),
        ("ts", SqlType::Timestamp),
        ("day", SqlType::Date),
        ("at", SqlType::Time),
        ("u", SqlType::Uuid),
        ("item", SqlType::Text),
    ];
    let fixed = "fields.id.kind = sequence, fields.id.start = 1, fields.item.values = tea,salt,rice, \
                 fields.ts.max_past = 5 seconds, fields.n.max = 50, fields.f.min = -1, fields.f.max = 1, \
                 fields.n.null_probability = 0.3";
    spec("datagen", &columns, &format!("{fixed}{options}"))
}

#[test]
fn the_first_rows_of_a_seed_are_these() {
    let golden: Vec<&str> = include_str!("golden.txt").lines().collect();
    assert_eq!(rows(&everything(", rows = 6")), golden);
    assert_ne!(rows(&everything(", rows = 6, seed = 1")), golden);
}

#[test]
fn reading_again_from_an_offset_gives_the_same_rows() {
    let (connector, _) = connect(&everything(", rows = 100"));
    let partition = PartitionId::new("0");
    let all = read_all(connector.as_ref(), &partition, 0, None, 7).rows;
    for from in [0, 1, 50, 99, 100] {
        assert_eq!(
            read_all(connector.as_ref(), &partition, from, None, 10).rows,
            all[from as usize..]
        );
    }
    let part = read_all(connector.as_ref(), &partition, 10, Some(20), 4);
    assert!(part.ended);
    assert_eq!(part.rows, all[10..20]);
}

#[test]
fn partitions_share_the_rows_out() {
    let (mut connector, _) = connect(&everything(", rows = 10, partitions = 3"));
    let partitions = connector.partitions().expect("fixed");
    let sizes: Vec<usize> = partitions
        .iter()
        .map(|p| read_all(connector.as_ref(), p, 0, None, 2).rows.len())
        .collect();
    assert_eq!(sizes, [4, 3, 3]);
    assert_eq!(
        read_all(connector.as_ref(), &partitions[1], 2, None, 9).rows.len(),
        2,
        "rows 4 and 7"
    );
}

#[test]
fn a_sequence_with_an_end_ends_the_source() {
    let spec = spec(
        "datagen",
        &[("n", SqlType::Int4)],
        "fields.n.kind = sequence, fields.n.start = 5, fields.n.end = 7",
    );
    assert_eq!(rows(&spec), ["0: 5", "1: 6", "2: 7"]);
}

#[test]
fn numbers_stay_between_their_bounds() {
    let spec = spec(
        "datagen",
        &[("n", SqlType::Int4), ("d", SqlType::Numeric(Some((3, 1))))],
        "rows = 500, fields.n.min = -2, fields.n.max = 2, fields.d.min = 9.5, fields.d.max = 9.9",
    );
    let mut seen: Vec<String> = rows(&spec)
        .iter()
        .map(|line| line.split_once(": ").expect("an offset").1.to_string())
        .collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 25, "5 numbers with 5 decimals: {seen:?}");
    assert!(
        seen.iter()
            .all(|line| line.starts_with(['-', '0', '1', '2']) && line.contains(" 9."))
    );
}

#[test]
fn a_rate_is_kept_by_the_clock() {
    let (connector, clock) = connect(&everything(", rows_per_second = 10"));
    let mut reader = connector
        .open(&PartitionId::new("0"), Offset(0), None)
        .expect("a partition");
    let mut due = || match reader.read(100).expect("rows") {
        ReadStep::Rows(batch) => batch.batch.num_rows(),
        ReadStep::Idle => 0,
        ReadStep::End => panic!("it has no end"),
    };
    assert_eq!((due(), due()), (1, 0));
    clock.advance_us(1_000_000);
    assert_eq!((due(), due()), (10, 0));
}

#[test]
fn mistakes_in_a_declaration_are_named() {
    let hint = |columns: &[(&str, SqlType)], options: &str| {
        let error = SqlError::from(refusal(&spec("datagen", columns, options)));
        format!("{}: {}", error.message, error.hint.unwrap_or_default())
    };
    let n = [("n", SqlType::Int4)];
    assert_eq!(
        hint(&n, "fields.n.knid = random"),
        "connector datagen has no option \"fields.n.knid\": Did you mean \"fields.n.kind\"?"
    );
    assert!(hint(&n, "fields.m.min = 1").contains("\"fields.n.min\""));
    assert!(hint(&n, "fields.n.kind = sequenze").contains("Did you mean \"sequence\"?"));
    assert!(hint(&n, "fields.n.min = 5, fields.n.max = 4").contains("A number from 5 to"));
    assert!(hint(&n, "fields.n.values = 1,x").contains("Values separated by commas"));
    assert!(hint(&[("j", SqlType::Jsonb)], "").contains("list some in \"fields.j.values\""));
    assert!(hint(&[], "").starts_with("connector datagen needs a list of columns"));
}
