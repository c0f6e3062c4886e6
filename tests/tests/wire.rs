//! The server through a real driver: logins, both protocols, values in binary, COPY, cancel, notifications.

use std::time::Duration;

use futures::{SinkExt, StreamExt, TryStreamExt};
use highwater_server::pg::{UserVerifier, Users};
use highwater_tests::conversation::converse;
use highwater_tests::{TestServer, workspace_root};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

fn code(error: &Error) -> Option<&str> {
    error.code().map(SqlState::code)
}

async fn text(client: &Client, sql: &str) -> Vec<Vec<Option<String>>> {
    let messages = client.simple_query(sql).await.expect("a query that works");
    messages
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_string)).collect()),
            _ => None,
        })
        .collect()
}

/// What was said, each with what was heard.
fn exchanges(conversation: &str) -> Vec<String> {
    let mut exchanges = Vec::new();
    for line in conversation.split_inclusive('\n') {
        match exchanges.last_mut() {
            Some(last) if line.starts_with('<') => *last = format!("{last}{line}"),
            _ => exchanges.push(line.to_string()),
        }
    }
    exchanges
}

/// Every file in `wire/`, against a server of its own. With `HIGHWATER_RECORD=host:port` the files are written anew
/// from what the server there says, which should be a PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn conversations_go_as_with_postgres() {
    let folder = workspace_root().join("tests/tests/wire");
    let record = std::env::var("HIGHWATER_RECORD").ok();
    let mut different = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let expected = std::fs::read_to_string(&path).expect("a text file");
        if let Some(address) = &record {
            let heard = converse(address.parse().expect("host:port"), &expected).await;
            std::fs::write(&path, heard).expect("a writable folder");
            continue;
        }
        let server = TestServer::start().await;
        let heard = converse(server.address(), &expected).await;
        server.stop().await;
        for (expected, heard) in exchanges(&expected).into_iter().zip(exchanges(&heard)) {
            if expected != heard {
                different.push(format!("{}: expected\n{expected}heard\n{heard}", path.display()));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_asked_for_and_checked() {
    let mut users = Users::default();
    users.declare("ada", Some(UserVerifier::of_password("correct horse")));
    users.declare("bob", None);
    let server = TestServer::start_with(users, 2).await;
    let login = |user: &'static str, password: &'static str| {
        let mut config = server.config();
        config.user(user).password(password);
        async move { TestServer::open(&config).await.map(|_| ()) }
    };
    login("ada", "correct horse").await.expect("the right password");
    login("bob", "").await.expect("no password is asked for");
    for (user, password) in [("ada", "wrong"), ("eve", "correct horse")] {
        let error = login(user, password).await.expect_err("not let in");
        assert_eq!(code(&error), Some("28P01"), "{error}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_go_both_ways_in_binary() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let row = client
        .query_one(
            "select $1::int2, $2::int4, $3::int8, $4::float8, $5::text, $6::bool, $7::bytea, $8::int4[]",
            &[
                &7i16,
                &-8i32,
                &(1i64 << 40),
                &0.1f64,
                &"h\u{e9}",
                &true,
                &vec![0u8, 255],
                &vec![Some(1), None],
            ],
        )
        .await
        .expect("every type is known");
    assert_eq!(row.get::<_, i16>(0), 7);
    assert_eq!(row.get::<_, i32>(1), -8);
    assert_eq!(row.get::<_, i64>(2), 1 << 40);
    assert_eq!(row.get::<_, f64>(3), 0.1);
    assert_eq!(row.get::<_, &str>(4), "h\u{e9}");
    assert!(row.get::<_, bool>(5));
    assert_eq!(row.get::<_, Vec<u8>>(6), [0, 255]);
    assert_eq!(row.get::<_, Vec<Option<i32>>>(7), [Some(1), None]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_brings_rows_in_and_out() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    client
        .batch_execute("create table c (a int primary key, b text)")
        .await
        .expect("a new table");
    let sink = client.copy_in("copy c from stdin").await.expect("a table");
    let mut sink = std::pin::pin!(sink);
    for piece in ["1\to", "ne\n2\t", "\\N\n3\tth\\tree\n"] {
        sink.send(bytes::Bytes::from(piece)).await.expect("the server reads");
    }
    assert_eq!(sink.finish().await.expect("good rows"), 3);

    let sink = client
        .copy_in::<_, bytes::Bytes>("copy c from stdin")
        .await
        .expect("a table");
    let mut sink = std::pin::pin!(sink);
    sink.send("4\tfour\nfive\tfive\n".into())
        .await
        .expect("the server reads");
    let error = sink.finish().await.expect_err("five is no number");
    assert_eq!(code(&error), Some("22P02"));

    let out = client
        .copy_out("copy (select * from c order by a) to stdout csv")
        .await
        .expect("a query");
    let lines: Vec<bytes::Bytes> = out.try_collect().await.expect("rows");
    assert_eq!(lines, [&b"1,one\n"[..], b"2,\n", b"3,th\tree\n"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_stops_rows_and_the_session_goes_on() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let rows = client
        .query_raw(
            "select i from generate_series(1, 1000000000) as t(i)",
            Vec::<i32>::new(),
        )
        .await
        .expect("a query");
    let mut rows = std::pin::pin!(rows);
    rows.next().await.expect("a first row").expect("is no error");
    client
        .cancel_token()
        .cancel_query(NoTls)
        .await
        .expect("the server takes cancels");
    let error = loop {
        match rows.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the query ran to its end"),
        }
    };
    assert_eq!(code(&error), Some("57014"));
    assert_eq!(text(&client, "select 1").await, [[Some("1".to_string())]]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_stops_a_statement() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    client
        .batch_execute("set statement_timeout = '50ms'")
        .await
        .expect("a setting");
    let error = client
        .simple_query("select count(*) from generate_series(1, 100000000000) as t(i)")
        .await
        .expect_err("too long");
    assert_eq!(code(&error), Some("57014"), "{error}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_reaches_who_listens_when_its_transaction_commits() {
    let server = TestServer::start().await;
    let (listener, mut connection) = server.config().connect(NoTls).await.expect("the server takes clients");
    let (sender, mut notices) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = futures::stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            if let tokio_postgres::AsyncMessage::Notification(notification) = message {
                let _ = sender.send((notification.channel().to_string(), notification.payload().to_string()));
            }
        }
    });
    listener.batch_execute("listen news").await.expect("a channel");
    let other = server.connect().await;
    other
        .batch_execute("begin; notify news, 'never'; rollback; begin; notify news, 'once'; notify news, 'once'; commit")
        .await
        .expect("two transactions");
    other.batch_execute("notify news, 'twice'").await.expect("a third");
    let mut heard = Vec::new();
    for _ in 0..2 {
        let next = tokio::time::timeout(Duration::from_secs(10), notices.recv()).await;
        heard.extend(next.expect("in time").map(|(_, payload)| payload));
    }
    assert_eq!(heard, ["once", "twice"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_points_at_its_place() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let error = client
        .simple_query("select 1;\nselect '\u{e9}', nosuch")
        .await
        .expect_err("no such column");
    let error = error.as_db_error().expect("from the server");
    assert_eq!(error.code().code(), "42703");
    assert_eq!(
        error.position(),
        Some(&tokio_postgres::error::ErrorPosition::Original(23))
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_tells_the_clients() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    server.stop().await;
    let error = client.simple_query("select 1").await.expect_err("the server has gone");
    assert!(error.is_closed() || code(&error) == Some("57P01"), "{error}");
}
