//! Texts joined and formatted: `||`, `concat`, `format`, and the quoting of names and constants.

use highwater_types::{SqlError, SqlState, SqlType};

use super::function::{Call, Function, Takes};
use super::rows::{Bytes, Text, Texts, map_rows, map1, map2, map3};
use super::string::invalid;
use super::to_text::{ToText, any_texts};

const TEXT: fn() -> SqlType = || SqlType::Text;
const BYTEA: fn() -> SqlType = || SqlType::Bytea;

pub(crate) fn joining() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new("quote_ident", &[T::Text], TEXT, |c| {
            map1::<Text, _>(c, |s| Ok(Some(quote_ident(s))))
        }),
        Function::new("quote_literal", &[T::Text], TEXT, |c| {
            map1::<Text, _>(c, |s| Ok(Some(quote_literal(s))))
        }),
        Function::new("quote_literal", &[T::Any], TEXT, |c| {
            let texts = any_texts(&c.args, &c.settings)?;
            map_rows(c, |r| Ok(texts[0].text(r).map(|t| quote_literal(&t))))
        }),
        Function::new("quote_nullable", &[T::Any], TEXT, |c| {
            let texts = any_texts(&c.args, &c.settings)?;
            map_rows(c, |r| {
                Ok(Some(
                    texts[0]
                        .text(r)
                        .map_or_else(|| "NULL".to_string(), |t| quote_literal(&t)),
                ))
            })
        })
        .with_nulls(),
        Function::new("||", &[T::Text, T::Text], TEXT, |c| {
            map2::<Text, Text, _>(c, |a, b| Ok(Some([a, b].concat())))
        }),
        Function::new("||", &[T::Bytea, T::Bytea], BYTEA, |c| {
            map2::<Bytes, Bytes, _>(c, |a, b| Ok(Some([a, b].concat())))
        }),
        Function::new("||", &[T::Text, T::Any], TEXT, concat_strict),
        Function::new("||", &[T::Any, T::Text], TEXT, concat_strict),
        Function::new("concat", &[T::Any], TEXT, |c| {
            let texts = any_texts(&c.args, &c.settings)?;
            map_rows(c, |r| {
                Ok(Some(texts.iter().filter_map(|t| t.text(r)).collect::<String>()))
            })
        })
        .and_more(T::Any)
        .with_nulls()
        .stable(),
        Function::new("concat_ws", &[T::Text], TEXT, |c| {
            let texts = any_texts(&c.args, &c.settings)?;
            map_rows(c, |r| {
                let Some(separator) = texts[0].text(r) else {
                    return Ok(None);
                };
                let parts: Vec<String> = texts[1..].iter().filter_map(|t| t.text(r)).collect();
                Ok(Some(parts.join(&separator)))
            })
        })
        .and_more(T::Any)
        .with_nulls()
        .stable(),
        Function::new("format", &[T::Text], TEXT, |c| {
            let texts = any_texts(&c.args, &c.settings)?;
            map_rows(c, |r| match texts[0].text(r) {
                None => Ok(None),
                Some(pattern) => format_text(&pattern, &texts[1..], r).map(Some),
            })
        })
        .and_more(T::Any)
        .with_nulls()
        .stable(),
        Function::new("array_to_string", &[T::Texts, T::Text], TEXT, |c| {
            map2::<Texts, Text, _>(c, |parts, separator| Ok(Some(join(parts, separator, None))))
        }),
        Function::new("array_to_string", &[T::Texts, T::Text, T::Text], TEXT, |c| {
            map3::<Texts, Text, Text, _>(c, |parts, separator, null| Ok(Some(join(parts, separator, Some(null)))))
        }),
    ]
}

/// A text and a value of any type, either way round.
fn concat_strict(call: &Call) -> Result<arrow::array::ArrayRef, SqlError> {
    let texts = any_texts(&call.args, &call.settings)?;
    let is_bool = |place: usize| call.args[place].array.data_type() == &arrow::datatypes::DataType::Boolean;
    // As the cast to text writes a boolean, which is not how it is shown.
    let text = |place: usize, row: usize| match texts[place].text(row) {
        Some(shown) if is_bool(place) => Some(if shown == "t" {
            "true".to_string()
        } else {
            "false".to_string()
        }),
        shown => shown,
    };
    map_rows(call, |r| Ok(text(0, r).zip(text(1, r)).map(|(a, b)| a + &b)))
}

fn join(parts: Vec<Option<String>>, separator: &str, null: Option<&str>) -> String {
    let shown = parts.into_iter().filter_map(|p| p.or_else(|| null.map(str::to_string)));
    shown.collect::<Vec<_>>().join(separator)
}

/// `format('%s of %I: %L', ...)`.
fn format_text(pattern: &str, args: &[ToText<'_>], row: usize) -> Result<String, SqlError> {
    let mut out = String::new();
    let mut next = 0;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = String::new();
        let kind = loop {
            match chars.next() {
                None => {
                    return Err(
                        invalid("unterminated format() type specifier").with_hint("For a single \"%\" use \"%%\".")
                    );
                }
                Some(c @ ('s' | 'I' | 'L' | '%')) => break c,
                Some(c) if c.is_ascii_digit() || matches!(c, '$' | '-' | '*') => spec.push(c),
                Some(c) => {
                    return Err(invalid(format!("unrecognized format() type specifier \"{c}\""))
                        .with_hint("For a single \"%\" use \"%%\"."));
                }
            }
        };
        if kind == '%' {
            out.push('%');
            continue;
        }
        if let Some((place, _)) = spec.split_once('$') {
            let place: usize = place
                .parse()
                .map_err(|_| invalid("format specifies argument 0, but arguments are numbered from 1"))?;
            next = place.max(1) - 1;
        }
        let mut width = spec.rsplit('$').next().unwrap_or_default().to_string();
        if width.ends_with('*') {
            let given = args
                .get(next)
                .ok_or_else(|| invalid("too few arguments for format()"))?;
            next += 1;
            width = width.trim_end_matches('*').to_string() + &given.text(row).unwrap_or_default();
        }
        let arg = args
            .get(next)
            .ok_or_else(|| invalid("too few arguments for format()"))?;
        next += 1;
        let value = match (kind, arg.text(row)) {
            ('L', None) => "NULL".to_string(),
            ('I', None) => {
                return Err(SqlError::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            (_, None) => String::new(),
            ('I', Some(text)) => quote_ident(&text),
            ('L', Some(text)) => quote_literal(&text),
            (_, Some(text)) => text,
        };
        let (at_right, digits) = match width.strip_prefix('-') {
            Some(digits) => (false, digits),
            None => (true, width.as_str()),
        };
        let missing = digits
            .parse::<usize>()
            .unwrap_or(0)
            .saturating_sub(value.chars().count());
        let padding = " ".repeat(missing);
        out.push_str(&if at_right { padding + &value } else { value + &padding });
    }
    Ok(out)
}

/// Words that cannot be names without quotes.
const RESERVED: &str = " all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char character check coalesce collate collation column concurrently constraint create cross current_catalog current_date current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull join lateral leading least left like limit localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay placing position precision primary real references returning right row select session_user setof similar smallint some substring symmetric table tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable ";

/// A name, in quotes where it needs them.
pub(crate) fn quote_ident(name: &str) -> String {
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let is_plain = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'$');
    if starts_well && is_plain && !name.contains('$') && !RESERVED.contains(&format!(" {name} ")) {
        return name.to_string();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a constant of SQL.
pub(crate) fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        return format!("E'{}'", quoted.replace('\\', "\\\\"));
    }
    format!("'{quoted}'")
}
