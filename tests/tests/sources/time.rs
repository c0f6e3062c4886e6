//! Late rows, and when windows close.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn late_rows_are_counted_and_kept_as_documents() {
    let files = Files::new();
    let path = files.write("a.jsonl", "{\"id\": 1, \"n\": 1.50, \"ts\": \"2024-01-01 00:01:00\"}\n");
    let server = TestServer::start().await;
    let client = server.connect().await;
    execute(
        &client,
        &format!(
            "CREATE SOURCE s (id BIGINT, n NUMERIC(6,2), ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '10 seconds') \
             WITH (connector = 'file', path = '{path}', follow = true)"
        ),
    )
    .await;
    execute(&client, "CREATE MATERIALIZED VIEW v AS SELECT id FROM s").await;
    wait_for(
        &client,
        "SELECT watermark FROM highwater.watermarks",
        &["2024-01-01 00:00:50+00"],
    )
    .await;
    files.append(
        "a.jsonl",
        "{\"id\": 2, \"ts\": \"2024-01-01 00:00:49.999\"}\n{\"id\": 3, \"ts\": \"2024-01-01 00:00:50\"}\n{\"id\": 4}\n",
    );
    wait_for(&client, "SELECT rows, late_rows FROM highwater.sources", &["3|1"]).await;
    assert_eq!(run(&client, "SELECT id FROM v ORDER BY id").await, ["1", "3", "4"]);
    assert_eq!(
        run(
            &client,
            "SELECT source, row, event_time, watermark, row->>'id' FROM highwater.late_rows"
        )
        .await,
        [
            "s|{\"n\": null, \"id\": 2, \"ts\": \"2024-01-01T00:00:49.999\"}|2024-01-01 00:00:49.999+00|\
          2024-01-01 00:00:50+00|2"
        ]
    );
    // The same of a table that rows are inserted into.
    execute(
        &client,
        "CREATE TABLE t (id INT, ts TIMESTAMP, WATERMARK FOR ts AS ts) APPEND ONLY",
    )
    .await;
    execute(&client, "INSERT INTO t VALUES (1, '2024-01-01')").await;
    execute(&client, "INSERT INTO t VALUES (2, '2023-01-01')").await;
    assert_eq!(run(&client, "SELECT id FROM t").await, ["1"]);
    assert_eq!(
        run(
            &client,
            "SELECT row->>'id', watermark FROM highwater.late_rows WHERE source = 't'"
        )
        .await,
        ["2|2024-01-01 00:00:00+00"]
    );
    assert_eq!(
        run(
            &client,
            "SELECT source, watermark FROM highwater.watermarks ORDER BY source"
        )
        .await,
        ["s|2024-01-01 00:00:50+00", "t|2024-01-01 00:00:00+00"]
    );
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_has_ended_closes_all_windows() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    execute(
        &client,
        "CREATE SOURCE bid (WATERMARK FOR date_time AS date_time - INTERVAL '1 hour') \
         WITH (connector = 'nexmark', count = '1000')",
    )
    .await;
    execute(
        &client,
        "CREATE MATERIALIZED VIEW v AS SELECT window_end, count(*) AS n \
         FROM TUMBLE(bid, date_time, INTERVAL '1 minute') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE",
    )
    .await;
    wait_for(&client, "SELECT state FROM highwater.sources", &["done"]).await;
    assert_eq!(run(&client, "SELECT * FROM v").await, ["2015-07-15 00:01:00|920"]);
    assert_eq!(
        run(&client, "SELECT watermark, lag_ms FROM highwater.watermarks").await,
        ["infinity|null"]
    );
    assert_eq!(
        run(
            &client,
            "SELECT partition, position, \"end\", lag FROM highwater.source_lag"
        )
        .await,
        ["0|1000|1000|0"]
    );
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_partition_does_not_hold_the_watermark_back_for_longer_than_declared() {
    let files = Files::new();
    files.write("busy.csv", "1,2024-01-01 00:01:00\n");
    files.write("quiet.csv", "2,2024-01-01 00:00:00\n");
    let server = TestServer::start().await;
    let client = server.connect().await;
    for (name, timeout) in [("patient", ""), ("hasty", "IDLE TIMEOUT INTERVAL '300 milliseconds'")] {
        execute(
            &client,
            &format!(
                "CREATE SOURCE {name} (id BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts {timeout}) \
                 WITH (connector = 'file', path = '{}', follow = true)",
                files.path("*.csv").display()
            ),
        )
        .await;
        execute(
            &client,
            &format!("CREATE MATERIALIZED VIEW of_{name} AS SELECT id FROM {name}"),
        )
        .await;
    }
    let watermark = |name: &str| format!("SELECT watermark FROM highwater.watermarks WHERE source = '{name}'");
    wait_for(&client, &watermark("patient"), &["2024-01-01 00:00:00+00"]).await;
    // The busy file goes on, the quiet one does not.
    let start = Instant::now();
    let past = "SELECT watermark >= '2024-01-01 00:01:00+00' FROM highwater.watermarks WHERE source = 'hasty'";
    let mut second = 0;
    while run(&client, past).await != ["t"] {
        second = (second + 1).min(59);
        files.append("busy.csv", &format!("3,2024-01-01 00:01:{second:02}\n"));
        assert!(start.elapsed() < LIMIT, "the watermark stands");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(run(&client, &watermark("patient")).await, ["2024-01-01 00:00:00+00"]);
    // When all are idle, it goes with the clock from where it stood.
    let stood = run(&client, &watermark("hasty")).await.join("");
    let beyond = format!(
        "SELECT watermark > TIMESTAMPTZ '{stood}' + INTERVAL '1 second' FROM highwater.watermarks \
         WHERE source = 'hasty'"
    );
    wait_for(&client, &beyond, &["t"]).await;
    drop(client);
    server.stop().await;
}
