//! What a view holds does not depend on when it was made.

use super::*;

/// Views over a source `s` that together see every row, in every way in which a view can depend on the past: as it is,
/// in windows that close, and joined with itself.
fn views(prefix: &str, columns: &str, time: &str, key: &str) -> [(String, String); 3] {
    [
        (format!("{prefix}_rows"), format!("SELECT {columns} FROM s")),
        (
            format!("{prefix}_windows"),
            format!(
                "SELECT window_start, count(*) AS n, count(DISTINCT {key}) AS keys \
                 FROM TUMBLE(s, {time}, INTERVAL '1 second') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE"
            ),
        ),
        (
            format!("{prefix}_counts"),
            format!("SELECT {key} AS k, count(*) AS n, max({time}) AS last FROM s GROUP BY {key}"),
        ),
    ]
}

/// Makes views early, more of them while the source runs, and more when it has ended; all must hold the same. Then
/// once more after a restart. Answers how many rows the source had, and how many of them came too late.
async fn views_agree(source: &str, columns: &str, time: &str, key: &str, workers: usize) -> (u64, u64) {
    let server = TestServer::start_with(Users::default(), workers).await;
    let client = server.connect().await;
    execute(&client, source).await;
    let make = async |prefix: &str| {
        for (name, query) in views(prefix, columns, time, key) {
            execute(&client, &format!("CREATE MATERIALIZED VIEW {name} AS {query}")).await;
        }
    };
    make("early").await;
    for number in 1..4 {
        let begun = format!(
            "SELECT rows >= {} OR state = 'done' FROM highwater.sources",
            number * 500
        );
        wait_for(&client, &begun, &["t"]).await;
        make(&format!("running{number}")).await;
    }
    wait_for(&client, "SELECT state FROM highwater.sources", &["done"]).await;
    make("ended").await;
    let prefixes = ["running1", "running2", "running3", "ended"];
    compare(&client, &prefixes, workers).await;
    let counts = run(&client, "SELECT rows, late_rows FROM highwater.sources")
        .await
        .join("");
    assert_eq!(
        run(&client, "SELECT count(*) FROM early_rows").await,
        run(&client, "SELECT rows FROM highwater.sources").await
    );
    drop(client);

    let server = server.restart(workers % 4 + 1).await;
    let client = server.connect().await;
    wait_for(&client, "SELECT state FROM highwater.sources", &["done"]).await;
    compare(&client, &prefixes, workers).await;
    drop(client);
    server.stop().await;
    let (rows, late) = counts.split_once('|').expect("two counts");
    (rows.parse().expect("a number"), late.parse().expect("a number"))
}

/// That the views of each of these names hold the same as the early ones.
async fn compare(client: &Client, prefixes: &[&str], workers: usize) {
    for view in ["rows", "windows", "counts"] {
        let all = async |prefix: &str| {
            let mut rows = run(client, &format!("SELECT * FROM {prefix}_{view}")).await;
            rows.sort_unstable();
            rows
        };
        let early = all("early").await;
        assert!(!early.is_empty(), "{view}: there is something to compare");
        for prefix in prefixes {
            let late = all(prefix).await;
            assert!(
                early == late,
                "{prefix}_{view} at {workers} workers: {} rows, {} in the early one",
                late.len(),
                early.len()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_nexmark_made_late_holds_what_one_made_early_does() {
    for workers in [1, 2, 4] {
        let source = "CREATE SOURCE s (WATERMARK FOR date_time AS date_time - INTERVAL '1 second') INCLUDE OFFSET AS o \
                      WITH (connector = 'nexmark', table = 'bid', count = '8000', rate = '8000', seed = '3')";
        let (rows, late) = views_agree(source, "o, auction, price", "date_time", "bidder", workers).await;
        assert_eq!((rows, late), (7_360, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_datagen_made_late_leaves_out_the_rows_that_came_too_late() {
    for workers in [1, 2, 4] {
        let source = "CREATE SOURCE s (id BIGINT, k INT, ts TIMESTAMP, \
                      WATERMARK FOR ts AS ts - INTERVAL '200 milliseconds') INCLUDE PARTITION AS p \
                      WITH (connector = 'datagen', rows = '6000', rows_per_second = '6000', partitions = '3', \
                      fields.id.kind = 'sequence', fields.k.max = '9', fields.ts.max_past = '400 milliseconds')";
        let (rows, late) = views_agree(source, "id, k, p", "ts", "k", workers).await;
        assert_eq!(rows + late, 6_000);
        assert!(late > 0, "the watermark is close enough for some to be late");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_files_made_late_holds_what_one_made_early_does() {
    let files = Files::new();
    let at = |row: u32| format!("2024-01-01 00:{:02}:{:02}", row / 600, row / 10 % 60);
    for file in 0..3 {
        let rows = (file * 1500..(file + 1) * 1500).collect::<Vec<u32>>();
        let csv: String = rows
            .iter()
            .map(|row| match row % 1000 {
                7 => "not a number,x,y\n".to_string(),
                _ => format!("{row},{},\"{}\"\n", row % 7, at(*row)),
            })
            .collect();
        files.write(&format!("{file}.csv"), &csv);
        let json: String = rows
            .iter()
            .map(|row| format!("{{\"ts\": \"{}\", \"id\": {row}, \"k\": {}}}\n", at(*row), row % 7))
            .collect();
        files.write(&format!("{file}.json"), &json);
        parquet_file(&files.path(&format!("{file}.parquet")), &rows);
    }
    for workers in [1, 2, 4] {
        for (pattern, expected) in [("*.csv", 4_495), ("*.json", 4_500), ("*.parquet", 4_500)] {
            let source = format!(
                "CREATE SOURCE s (id BIGINT, k INT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL '1 second') \
                 INCLUDE PARTITION AS p INCLUDE OFFSET AS o WITH (connector = 'file', path = '{}')",
                files.path(pattern).display()
            );
            let (rows, late) = views_agree(&source, "id, k, p, o", "ts", "k", workers).await;
            assert_eq!(
                (rows, late),
                (expected, 0),
                "{pattern}: every file holds the watermark back until it is read"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_a_followed_folder_made_late_holds_what_one_made_early_does() {
    let files = Files::new();
    files.write("a.csv", "");
    let server = TestServer::start_with(Users::default(), 2).await;
    let client = server.connect().await;
    let source = format!(
        "CREATE SOURCE s (id BIGINT, t TEXT) INCLUDE PARTITION AS p INCLUDE OFFSET AS o \
         WITH (connector = 'file', path = '{}', follow = true)",
        files.path("*.csv").display()
    );
    execute(&client, &source).await;
    execute(&client, "CREATE MATERIALIZED VIEW early AS SELECT * FROM s").await;
    for round in 0..8 {
        for row in 0..50 {
            // A quoted line break, and lines that come in two parts.
            files.append("a.csv", &format!("{},\"a\n", round * 100 + row));
            files.append("a.csv", "b\"\n");
        }
        files.append(&format!("{}.csv", round / 3), &format!("{},new\n", round * 100 + 50));
        execute(
            &client,
            &format!("CREATE MATERIALIZED VIEW late{round} AS SELECT * FROM s"),
        )
        .await;
    }
    wait_for(&client, "SELECT count(*), count(DISTINCT p) FROM early", &["408|4"]).await;
    for round in 0..8 {
        let differs = format!(
            "SELECT count(*) FROM early FULL JOIN late{round} AS l ON early.p = l.p AND early.o = l.o \
             WHERE early.id IS DISTINCT FROM l.id OR early.t IS DISTINCT FROM l.t"
        );
        wait_for(&client, &differs, &["0"]).await;
    }
    drop(client);
    let server = server.restart(1).await;
    let client = server.connect().await;
    wait_for(&client, "SELECT count(*), count(DISTINCT p) FROM early", &["408|4"]).await;
    wait_for(&client, "SELECT count(*), sum(id) FROM late7", &["408|153000"]).await;
    files.append("a.csv", "1,more\n");
    wait_for(&client, "SELECT count(*) FROM late0", &["409"]).await;
    drop(client);
    server.stop().await;
}
