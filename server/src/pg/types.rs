//! PostgreSQL's numbers for types: OID, length and modifier, and the way back from a parameter's OID.

use highwater_types::SqlType;

/// Clients write this OID, or 0, for a parameter whose type is to be inferred.
pub(crate) const UNKNOWN_OID: u32 = 705;

/// Types with their OID, their array's OID and their length.
const TYPES: &[(SqlType, u32, u32, i16)] = &[
    (SqlType::Bool, 16, 1000, 1),
    (SqlType::Bytea, 17, 1001, -1),
    (SqlType::Char, 18, 1002, 1),
    (SqlType::Name, 19, 1003, 64),
    (SqlType::Int8, 20, 1016, 8),
    (SqlType::Int2, 21, 1005, 2),
    (SqlType::Int2Vector, 22, 1006, -1),
    (SqlType::Int4, 23, 1007, 4),
    (SqlType::Regproc, 24, 1008, 4),
    (SqlType::Text, 25, 1009, -1),
    (SqlType::Oid, 26, 1028, 4),
    (SqlType::OidVector, 30, 1013, -1),
    (SqlType::Json, 114, 199, -1),
    (SqlType::PgNodeTree, 194, 0, -1),
    (SqlType::Float4, 700, 1021, 4),
    (SqlType::Float8, 701, 1022, 8),
    (SqlType::Unknown, UNKNOWN_OID, 0, -2),
    (SqlType::Bpchar(None), 1042, 1014, -1),
    (SqlType::Varchar(None), 1043, 1015, -1),
    (SqlType::Date, 1082, 1182, 4),
    (SqlType::Time, 1083, 1183, 8),
    (SqlType::Timestamp, 1114, 1115, 8),
    (SqlType::Timestamptz, 1184, 1185, 8),
    (SqlType::Interval, 1186, 1187, 16),
    (SqlType::Numeric(None), 1700, 1231, -1),
    (SqlType::Regclass, 2205, 2210, 4),
    (SqlType::Regtype, 2206, 2211, 4),
    (SqlType::Void, 2278, 0, 4),
    (SqlType::Uuid, 2950, 2951, 16),
    (SqlType::Jsonb, 3802, 3807, -1),
    (SqlType::Regnamespace, 4089, 4090, 4),
    (SqlType::Regrole, 4096, 4097, 4),
];

const RECORD: (u32, u32, i16) = (2249, 2287, -1);

/// OID, array's OID and length of a type that is not an array.
fn entry(sql_type: &SqlType) -> (u32, u32, i16) {
    let plain = match sql_type {
        SqlType::Record(_) => return RECORD,
        SqlType::Numeric(_) => &SqlType::Numeric(None),
        SqlType::Varchar(_) => &SqlType::Varchar(None),
        SqlType::Bpchar(_) => &SqlType::Bpchar(None),
        other => other,
    };
    TYPES
        .iter()
        .find(|(t, ..)| t == plain)
        .map_or((25, 1009, -1), |(_, oid, array, length)| (*oid, *array, *length))
}

/// The type's OID. Arrays of arrays have their innermost element's array OID, as PostgreSQL's have.
pub(crate) fn oid(sql_type: &SqlType) -> u32 {
    match sql_type {
        SqlType::Array(element) => match innermost(element) {
            // PostgreSQL has no arrays of these; clients read them as text.
            plain if entry(plain).1 == 0 => 1009,
            plain => entry(plain).1,
        },
        plain => entry(plain).0,
    }
}

/// The element type under any number of arrays.
pub(crate) fn innermost(sql_type: &SqlType) -> &SqlType {
    match sql_type {
        SqlType::Array(element) => innermost(element),
        plain => plain,
    }
}

/// The type's length in bytes; -1 when it varies.
pub(crate) fn length(sql_type: &SqlType) -> i16 {
    match sql_type {
        SqlType::Array(_) => -1,
        plain => entry(plain).2,
    }
}

/// The modifier that holds a type's limit, or -1.
pub(crate) fn modifier(sql_type: &SqlType) -> i32 {
    match sql_type {
        SqlType::Varchar(Some(limit)) | SqlType::Bpchar(Some(limit)) => i32::try_from(*limit).map_or(-1, |n| n + 4),
        SqlType::Numeric(Some((precision, scale))) => ((i32::from(*precision) << 16) | (i32::from(*scale) & 0x7ff)) + 4,
        SqlType::Array(element) => modifier(element),
        _ => -1,
    }
}

/// The type of this OID.
pub(crate) fn from_oid(oid: u32) -> Option<SqlType> {
    TYPES.iter().find_map(|(sql_type, own, array, _)| {
        if *own == oid {
            Some(sql_type.clone())
        } else if *array == oid && oid != 0 {
            Some(SqlType::Array(Box::new(sql_type.clone())))
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_in_the_modifier() {
        assert_eq!(modifier(&SqlType::Varchar(Some(20))), 24);
        assert_eq!(modifier(&SqlType::Numeric(Some((10, 3)))), 655_367);
        assert_eq!(modifier(&SqlType::Int4), -1);
    }

    #[test]
    fn oids_lead_back_to_their_types() {
        for (sql_type, number, array, _) in TYPES {
            assert_eq!(oid(sql_type), *number);
            assert_eq!(from_oid(*number).as_ref(), Some(sql_type));
            if *array != 0 {
                let array_type = SqlType::Array(Box::new(sql_type.clone()));
                assert_eq!(oid(&array_type), *array);
                assert_eq!(from_oid(*array), Some(array_type));
            }
        }
        assert_eq!(oid(&SqlType::Numeric(Some((10, 2)))), 1700);
        assert_eq!(from_oid(0), None);
    }
}
