"""What psycopg sees: values of every type, there and back, as text and in binary; COPY; pipelines; cursors; errors.

usage: check.py HOST PORT. Says "all is well" at the end; the same holds of a PostgreSQL.
"""

import datetime as dt
import decimal
import sys
import uuid

import psycopg
from psycopg.types.json import Json, Jsonb

UTC = dt.timezone.utc
VALUES = [
    ("bool", [True, False]),
    ("int2", [0, -32768, 32767]),
    ("int4", [0, -(2**31), 2**31 - 1]),
    ("int8", [0, -(2**63), 2**63 - 1]),
    ("float4", [0.0, 1.5, -0.25, float("inf")]),
    ("float8", [0.0, 0.1, 1e300, -5e-324, float("-inf")]),
    ("numeric", [decimal.Decimal(t) for t in ("0", "-1.5", "123456.789", "12345678901234567890.5")]),
    ("text", ["", "a", "h\u00e9llo \u2603", "tab\tnl\nbs\\"]),
    ("varchar(5)", ["", "abcde"]),
    ("bytea", [b"", b"\x00\xff\\", bytes(range(256))]),
    ("date", [dt.date(2024, 2, 29), dt.date(1, 1, 1), dt.date(9999, 12, 31)]),
    ("time", [dt.time(0, 0), dt.time(12, 34, 56, 789), dt.time(23, 59, 59, 999999)]),
    ("timestamp", [dt.datetime(2024, 2, 29, 12, 34, 56, 789000), dt.datetime(1, 1, 1)]),
    ("timestamptz", [dt.datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)]),
    ("interval", [dt.timedelta(0), dt.timedelta(days=-1), dt.timedelta(days=3, seconds=4, microseconds=5)]),
    ("uuid", [uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
    ("oid", [0, 2**32 - 1]),
    ("int4[]", [[], [1, None, -3]]),
    ("int8[]", [[2**40]]),
    ("float8[]", [[1.5, float("inf")]]),
    ("text[]", [["a", "b c", None, "null", "", '"', "\\", "{", "a,b"]]),
    ("bool[]", [[True, False]]),
    ("numeric[]", [[decimal.Decimal("1.5"), None]]),
    ("bytea[]", [[b"\xde", b""]]),
    ("date[]", [[dt.date(2024, 2, 29)]]),
    ("timestamptz[]", [[dt.datetime(2024, 2, 29, tzinfo=UTC)]]),
    ("uuid[]", [[uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]]),
]


def check(found, expected, what):
    if found != expected:
        sys.exit(f"{what}: {found!r} instead of {expected!r}")


def values_go_both_ways(conn):
    for binary in (False, True):
        form = "%b" if binary else "%t"
        for sql_type, values in VALUES:
            for value in values:
                cursor = conn.cursor(binary=binary)
                cursor.execute(f"select {form}::{sql_type}", (value,))
                check(cursor.fetchone(), (value,), f"{sql_type}, binary={binary}")
        cursor = conn.cursor(binary=binary)
        document = {"a": [1, None, "x"], "b": {"c": 1.5}}
        cursor.execute(f"select {form}::json, {form}::jsonb", (Json(document), Jsonb(document)))
        check(cursor.fetchone(), (document, document), f"json, binary={binary}")
        cursor.execute("select null::int, null::text[], null::interval")
        check(cursor.fetchone(), (None, None, None), "null")


def copy_brings_rows_in_and_out(conn):
    conn.execute("create table clients_copy (a int primary key, b text, c timestamptz, d numeric(10, 2), e int[])")
    moment = dt.datetime(2024, 2, 29, 12, tzinfo=UTC)
    rows = [(1, "x\ty", moment, decimal.Decimal("1.50"), [1, 2]), (2, None, None, None, None)]
    with conn.cursor() as cursor:
        with cursor.copy("copy clients_copy from stdin") as copy:
            for row in rows:
                copy.write_row(row)
        check(cursor.rowcount, 2, "rows copied")
        with cursor.copy("copy clients_copy from stdin (format binary)") as copy:
            copy.set_types(["int4", "text", "timestamptz", "numeric", "int4[]"])
            for row in rows:
                copy.write_row((row[0] + 2, *row[1:]))
        for form in ("text", "binary"):
            with cursor.copy(f"copy (select * from clients_copy order by a) to stdout (format {form})") as copy:
                copy.set_types(["int4", "text", "timestamptz", "numeric", "int4[]"])
                found = list(copy.rows())
            check(found, [*rows, *((row[0] + 2, *row[1:]) for row in rows)], f"copy, {form}")
        try:
            with cursor.copy("copy clients_copy from stdin") as copy:
                copy.write("9\t\\N\t\\N\t\\N\t\\N\n")
                raise RuntimeError("the client gives up")
        except RuntimeError:
            pass
    check(conn.execute("select count(*) from clients_copy").fetchone(), (4,), "rows after a copy that failed")
    conn.execute("drop table clients_copy")


def transactions_and_savepoints(conn):
    conn.execute("create table clients_tx (a int primary key)")
    with conn.transaction():
        conn.execute("insert into clients_tx values (1)")
        try:
            with conn.transaction():
                conn.execute("insert into clients_tx values (2)")
                conn.execute("select 1 / 0")
        except psycopg.errors.DivisionByZero:
            pass
        conn.execute("insert into clients_tx values (3)")
    check(conn.execute("select a from clients_tx order by a").fetchall(), [(1,), (3,)], "savepoint")
    try:
        conn.execute("insert into clients_tx values (1)")
    except psycopg.errors.UniqueViolation as error:
        check(error.diag.message_detail, "Key (a)=(1) already exists.", "detail")
    conn.execute("drop table clients_tx")


def pipelines(conn):
    conn.execute("create table clients_pipe (a int primary key)")
    with conn.pipeline() as pipeline:
        for number in range(100):
            conn.execute("insert into clients_pipe values (%s)", (number,))
        total = conn.execute("select sum(a) from clients_pipe")
        pipeline.sync()
        check(total.fetchone(), (4950,), "pipeline")
    try:
        with conn.pipeline():
            conn.execute("insert into clients_pipe values (1000)")
            conn.execute("select nosuch")
    except psycopg.errors.UndefinedColumn:
        pass
    check(conn.execute("select count(*) from clients_pipe where a = 1000").fetchone(), (0,), "pipeline that failed")
    conn.execute("drop table clients_pipe")


def prepared_and_server_side_cursors(conn):
    for number in range(10):
        # After the fifth time psycopg prepares it.
        check(conn.execute("select %s::int + 1", (number,)).fetchone(), (number + 1,), "prepared")
    with conn.transaction(), conn.cursor(name="named") as cursor:
        cursor.itersize = 100
        cursor.execute("select i from generate_series(1, 1000) i")
        check(cursor.fetchone(), (1,), "first of a named cursor")
        cursor.scroll(9)
        check(cursor.fetchmany(2), [(11,), (12,)], "after a scroll")
        check(sum(row[0] for row in cursor), sum(range(13, 1001)), "the rest")
    with conn.cursor() as cursor:
        check(sum(row[0] for row in cursor.stream("select i from generate_series(1, 1000) i")), 500500, "stream")
        cursor.executemany("select %s::int", [(1,), (2,)], returning=True)
        check(cursor.fetchone(), (1,), "executemany")


def errors_say_where(conn):
    try:
        conn.execute("select '\u00e9', nosuch from (select 1 as a) t")
    except psycopg.errors.UndefinedColumn as error:
        check((error.diag.statement_position, error.diag.severity), ("13", "ERROR"), "position")
    else:
        sys.exit("there is a column nosuch")


def main():
    host, port = sys.argv[1:3]
    with psycopg.connect(
        host=host, port=port, user="highwater", dbname="highwater", autocommit=True, options="-c TimeZone=UTC"
    ) as conn:
        values_go_both_ways(conn)
        copy_brings_rows_in_and_out(conn)
        transactions_and_savepoints(conn)
        pipelines(conn)
        prepared_and_server_side_cursors(conn)
        errors_say_where(conn)
    # Without autocommit a transaction is opened around everything.
    with psycopg.connect(host=host, port=port, user="highwater", dbname="highwater") as conn:
        conn.execute("create table if not exists clients_plain (a int)")
        conn.execute("insert into clients_plain values (1)")
        conn.rollback()
        conn.execute("drop table if exists clients_plain")
        conn.commit()
    print("all is well")


main()
