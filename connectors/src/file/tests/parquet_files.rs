//! Parquet files.

use super::*;

#[test]
fn parquet_columns_are_found_by_name_cast_and_read_from_any_row() {
    let folder = Folder::new();
    let partition = parquet_file(&folder);
    let columns = [
        ("at", SqlType::Timestamptz),
        ("name", SqlType::Int4),
        ("id", SqlType::Int8),
    ];
    let path = folder.path("a.parquet").display().to_string();
    let (connector, _) = connect(&spec("file", &columns, &format!("path = {path}")));
    let whole = read_all(connector.as_ref(), &partition, 0, None, 64);
    assert_eq!(whole.rows.len(), 1000);
    assert_eq!(whole.rows[3], "3: 1970-01-01T00:00:00.003 3 null");
    assert_eq!(
        read_all(connector.as_ref(), &partition, 599, None, 1000).rows,
        whole.rows[599..]
    );
    let part = read_all(connector.as_ref(), &partition, 250, Some(350), 1000);
    assert!(part.ended);
    assert_eq!(part.rows, whole.rows[250..350]);
    let inferred = default_columns("file", &[("path".to_string(), path)].into());
    let inferred = inferred
        .expect("a readable file")
        .expect("a Parquet file knows its columns");
    assert_eq!(inferred[0], ("id".to_string(), SqlType::Int4));
    assert_eq!(inferred[1], ("name".to_string(), SqlType::Text));
}

#[test]
fn a_parquet_value_that_cannot_be_cast_is_a_dead_letter() {
    let folder = Folder::new();
    let partition = parquet_file(&folder);
    let path = folder.path("a.parquet").display().to_string();
    let columns = [("id", SqlType::Int2), ("name", SqlType::Numeric(Some((2, 0))))];
    let (connector, _) = connect(&spec("file", &columns, &format!("path = {path}")));
    let seen = read_all(connector.as_ref(), &partition, 90, Some(110), 1000);
    assert_eq!(seen.rows.len(), 10);
    assert_eq!(seen.dead.len(), 10);
    assert_eq!(
        (seen.dead[0].offset, seen.dead[0].reason.as_str()),
        (Offset(100), "numeric field overflow")
    );
}

#[test]
fn a_parquet_column_of_another_kind_is_refused_when_the_source_is_made() {
    let folder = Folder::new();
    parquet_file(&folder);
    let path = folder.path("a.parquet").display().to_string();
    let told = |name: &str, sql_type: SqlType| {
        let error = SqlError::from(refusal(&spec("file", &[(name, sql_type)], &format!("path = {path}"))));
        assert_eq!(error.state, SqlState::DATATYPE_MISMATCH);
        format!("{}: {}", error.message, error.hint.unwrap_or_default())
    };
    assert_eq!(
        told("id", SqlType::Bool),
        "column \"id\" cannot be of type boolean: The file has it as integer."
    );
    assert_eq!(
        told("at", SqlType::Int8),
        "column \"at\" cannot be of type bigint: The file has it as timestamp without time zone."
    );
    assert_eq!(
        told("id", SqlType::Timestamp),
        "column \"id\" cannot be of type timestamp without time zone: The file has it as integer."
    );
    assert_eq!(
        told("id", SqlType::Text),
        "column \"id\" cannot be of type text: The file has it as integer."
    );
}
