//! Views over a whole server, through a real driver: current when a write commits, and right after a restart.

use std::path::Path;
use std::sync::Arc;

use highwater_server::database::{Database, DatabaseConfig};
use highwater_server::pg::{Backends, Listener, ListenerConfig, Notifier};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A server on a free port.
struct Server {
    database: Arc<Database>,
    port: u16,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start(folder: &Path, workers: usize) -> Server {
        let config = DatabaseConfig {
            data_dir: folder.to_path_buf(),
            workers,
        };
        let database = Database::open(&config).await.expect("a folder of our own");
        let listen = ListenerConfig::new("127.0.0.1:0".parse().expect("an address"));
        let listener = Listener::bind(&listen, Arc::clone(&database), Backends::new(), Notifier::new())
            .await
            .expect("a free port");
        let port = listener.local_address().expect("an open socket").port();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(listener.serve(async move {
            // A sender that is gone says the same as a message.
            stopped.await.ok();
        }));
        Server {
            database,
            port,
            stop,
            serving,
        }
    }

    async fn connect(&self) -> Client {
        let options = format!("host=127.0.0.1 port={} user=highwater dbname=highwater", self.port);
        let (client, connection) = tokio_postgres::connect(&options, NoTls)
            .await
            .expect("a server that listens");
        tokio::spawn(connection);
        client
    }

    async fn stop(self) {
        self.stop.send(()).expect("a server that serves");
        self.serving.await.expect("no panic");
        self.database.coordinator().stop().await;
    }
}

/// Runs statements; answers the rows, `|` between columns, or the SQLSTATE.
async fn run(client: &Client, sql: &str) -> Vec<String> {
    match client.simple_query(sql).await {
        Ok(messages) => messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    let values: Vec<&str> = (0..row.len()).map(|c| row.get(c).unwrap_or("null")).collect();
                    Some(values.join("|"))
                }
                _ => None,
            })
            .collect(),
        Err(error) => vec![
            error
                .code()
                .map_or_else(|| error.to_string(), |code| code.code().to_string()),
        ],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_current_when_a_write_commits_and_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path(), 2).await;
    let client = server.connect().await;
    run(
        &client,
        "CREATE TABLE t (id bigint PRIMARY KEY, k text NOT NULL, v bigint)",
    )
    .await;
    run(&client, "INSERT INTO t VALUES (1, 'a', 10), (2, 'b', 20)").await;
    run(
        &client,
        "CREATE MATERIALIZED VIEW c AS SELECT k, count(*) AS n, sum(v) AS s FROM t GROUP BY k",
    )
    .await;
    run(&client, "CREATE MATERIALIZED VIEW top AS SELECT k FROM c WHERE n > 1").await;
    assert_eq!(run(&client, "SELECT * FROM c ORDER BY k").await, ["a|1|10", "b|1|20"]);
    run(&client, "INSERT INTO t VALUES (3, 'b', 5)").await;
    assert_eq!(run(&client, "SELECT * FROM c ORDER BY k").await, ["a|1|10", "b|2|25"]);
    assert_eq!(run(&client, "SELECT * FROM top").await, ["b"]);
    run(&client, "UPDATE t SET k = 'a' WHERE id = 2; DELETE FROM t WHERE id = 3").await;
    assert_eq!(run(&client, "SELECT * FROM c ORDER BY k").await, ["a|2|30"]);
    assert_eq!(run(&client, "SELECT * FROM top").await, ["a"]);
    drop(client);
    server.stop().await;

    let server = Server::start(folder.path(), 1).await;
    let client = server.connect().await;
    assert_eq!(run(&client, "SELECT * FROM c ORDER BY k").await, ["a|2|30"]);
    assert_eq!(run(&client, "SELECT * FROM top").await, ["a"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn constraints_and_rolled_back_writes_leave_no_trace() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path(), 1).await;
    let client = server.connect().await;
    run(&client, "CREATE TABLE t (id bigint PRIMARY KEY, v text NOT NULL)").await;
    run(&client, "INSERT INTO t VALUES (1, 'a')").await;
    assert_eq!(run(&client, "INSERT INTO t VALUES (2, 'b'), (1, 'c')").await, ["23505"]);
    assert_eq!(run(&client, "INSERT INTO t VALUES (3, NULL)").await, ["23502"]);
    run(&client, "BEGIN").await;
    run(&client, "INSERT INTO t VALUES (4, 'd')").await;
    assert_eq!(run(&client, "SELECT id FROM t ORDER BY id").await, ["1", "4"]);
    run(&client, "ROLLBACK").await;
    assert_eq!(run(&client, "SELECT id FROM t ORDER BY id").await, ["1"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_over_a_view_with_a_fault_answers_with_it_until_the_row_is_gone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path(), 2).await;
    let client = server.connect().await;
    run(&client, "CREATE TABLE t (id bigint PRIMARY KEY, d bigint)").await;
    run(&client, "INSERT INTO t VALUES (1, 2), (2, 0)").await;
    run(&client, "CREATE MATERIALIZED VIEW q AS SELECT id, 10 / d AS x FROM t").await;
    run(&client, "CREATE MATERIALIZED VIEW w AS SELECT id, x + 1 AS y FROM q").await;
    assert_eq!(run(&client, "SELECT * FROM q").await, ["22012"]);
    assert_eq!(run(&client, "SELECT * FROM w").await, ["22012"]);
    run(&client, "DELETE FROM t WHERE id = 2").await;
    assert_eq!(run(&client, "SELECT * FROM q").await, ["1|5"]);
    assert_eq!(run(&client, "SELECT * FROM w").await, ["1|6"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_added_later_keeps_the_rows_or_refuses_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path(), 1).await;
    let client = server.connect().await;
    run(&client, "CREATE TABLE t (id bigint, v text)").await;
    run(&client, "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (1, 'c')").await;
    assert_eq!(run(&client, "ALTER TABLE t ADD PRIMARY KEY (id)").await, ["23505"]);
    assert_eq!(run(&client, "SELECT count(*) FROM t").await, ["3"]);
    run(&client, "DELETE FROM t WHERE v = 'c'").await;
    run(&client, "ALTER TABLE t ADD PRIMARY KEY (id)").await;
    assert_eq!(run(&client, "SELECT id, v FROM t ORDER BY id").await, ["1|a", "2|b"]);
    assert_eq!(run(&client, "INSERT INTO t VALUES (2, 'd')").await, ["23505"]);
    drop(client);
    server.stop().await;
}
