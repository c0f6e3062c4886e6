//! What goes wrong with a source, and what is wrong with its declaration, can be seen.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_read_are_kept_with_their_place_and_reason() {
    let files = Files::new();
    let path = files.write("a.csv", "1,10\nx,20\n3\n4,0\n5,\n6,60\n");
    let server = TestServer::start().await;
    let client = server.connect().await;
    execute(
        &client,
        &format!(
            "CREATE SOURCE s (id BIGINT, d BIGINT NOT NULL, share BIGINT AS (60 / d)) \
             WITH (connector = 'file', path = '{path}')"
        ),
    )
    .await;
    execute(&client, "CREATE MATERIALIZED VIEW v AS SELECT id, share FROM s").await;
    wait_for(&client, "SELECT state FROM highwater.sources", &["done"]).await;
    assert_eq!(run(&client, "SELECT * FROM v ORDER BY id").await, ["1|6", "6|1"]);
    assert_eq!(
        run(
            &client,
            "SELECT source, \"offset\", error, payload FROM highwater.dead_letters ORDER BY \"offset\""
        )
        .await,
        [
            "s|5|invalid input syntax for type bigint: \"x\"|x,20",
            "s|10|the record has 1 values, not 2|3",
            "s|12|division by zero|{\"id\":4,\"d\":0}",
            "s|16|null value in column \"d\" violates not-null constraint|{\"id\":5,\"d\":null}",
        ]
    );
    assert_eq!(
        run(
            &client,
            "SELECT name, state, rows, dead_letters, late_rows, error FROM highwater.sources"
        )
        .await,
        ["s|done|2|4|0|null"]
    );
    // A view made later does not count them again.
    execute(&client, "CREATE MATERIALIZED VIEW w AS SELECT id, share FROM s").await;
    assert_eq!(run(&client, "SELECT * FROM w ORDER BY id").await, ["1|6", "6|1"]);
    assert_eq!(run(&client, "SELECT dead_letters FROM highwater.sources").await, ["4"]);
    execute(&client, "DROP SOURCE s CASCADE").await;
    assert_eq!(run(&client, "SELECT count(*) FROM highwater.dead_letters").await, ["0"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_says_so_and_goes_on_when_it_can() {
    let files = Files::new();
    let path = files.write("a.csv", "id\n1\n");
    let server = TestServer::start().await;
    let client = server.connect().await;
    let source = format!(
        "CREATE SOURCE s (id BIGINT) WITH (connector = 'file', path = '{}', header = true, follow = true)",
        files.path("*.csv").display()
    );
    execute(&client, &source).await;
    execute(&client, "CREATE MATERIALIZED VIEW v AS SELECT id FROM s").await;
    wait_for(&client, "SELECT id FROM v", &["1"]).await;
    let state = "SELECT state, error FROM highwater.sources";
    assert_eq!(run(&client, state).await, ["running|null"]);
    // A second file with another header: it fails for good, and the first goes on.
    files.write("b.csv", "nr\n2\n");
    let missing = format!("failed|\"{}\" has no column \"id\"", files.path("b.csv").display());
    wait_for(&client, state, &[&missing]).await;
    files.append("a.csv", "3\n");
    wait_for(&client, "SELECT id FROM v ORDER BY id", &["1", "3"]).await;
    // The file is moved away and comes back: tried again until it is there.
    fs::remove_file(files.path("b.csv")).expect("ours");
    drop(client);
    let server = server.restart(1).await;
    let client = server.connect().await;
    wait_for(&client, state, &["running|null"]).await;
    fs::rename(&path, files.path("a.moved")).expect("ours");
    let gone = format!("retrying|cannot read \"{path}\": No such file or directory (os error 2)");
    wait_for(&client, state, &[&gone]).await;
    fs::rename(files.path("a.moved"), &path).expect("ours");
    wait_for(&client, state, &["running|null"]).await;
    files.append("a.csv", "4\n");
    wait_for(&client, "SELECT id FROM v ORDER BY id", &["1", "3", "4"]).await;
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_without_the_files_of_its_sources() {
    let files = Files::new();
    let path = files.write("a.csv", "1\n");
    let server = TestServer::start().await;
    let client = server.connect().await;
    execute(
        &client,
        &format!("CREATE SOURCE s (id BIGINT) WITH (connector = 'file', path = '{path}')"),
    )
    .await;
    execute(&client, "CREATE MATERIALIZED VIEW v AS SELECT id FROM s").await;
    execute(&client, "CREATE TABLE t (id INT); INSERT INTO t VALUES (7)").await;
    wait_for(&client, "SELECT id FROM v", &["1"]).await;
    drop(client);
    fs::rename(&path, files.path("elsewhere")).expect("ours");
    let server = server.restart(2).await;
    let client = server.connect().await;
    assert_eq!(run(&client, "SELECT id FROM t").await, ["7"]);
    let gone = format!("retrying|no file matches \"{path}\"");
    wait_for(&client, "SELECT state, error FROM highwater.sources", &[&gone]).await;
    assert_eq!(run(&client, "SELECT id FROM v").await, Vec::<String>::new());
    fs::rename(files.path("elsewhere"), &path).expect("ours");
    wait_for(&client, "SELECT state, error FROM highwater.sources", &["done|null"]).await;
    assert_eq!(run(&client, "SELECT id FROM v").await, ["1"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_rests_while_no_view_reads_it() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    execute(
        &client,
        "CREATE SOURCE auction WITH (connector = 'nexmark', count = '500')",
    )
    .await;
    let state = "SELECT state, rows FROM highwater.sources";
    assert_eq!(run(&client, state).await, ["unread|0"]);
    execute(
        &client,
        "CREATE MATERIALIZED VIEW v AS SELECT id, category FROM auction",
    )
    .await;
    wait_for(&client, state, &["done|30"]).await;
    execute(&client, "DROP MATERIALIZED VIEW v").await;
    wait_for(&client, state, &["unread|0"]).await;
    execute(
        &client,
        "CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM auction",
    )
    .await;
    wait_for(&client, state, &["done|30"]).await;
    assert_eq!(run(&client, "SELECT n FROM v").await, ["30"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn declarations_are_checked_when_the_source_is_made() {
    let files = Files::new();
    let path = files.write("a.csv", "id,nmae\n1,x\n");
    let server = TestServer::start().await;
    let client = server.connect().await;
    let refused = [
        (
            "CREATE SOURCE s WITH (connector = 'nexmrak')".to_string(),
            "22023 unknown connector \"nexmrak\" | Did you mean \"nexmark\"?".to_string(),
        ),
        (
            "CREATE SOURCE s WITH (connector = 'nexmark')".to_string(),
            "22023 connector nexmark needs option \"table\" | \
             Write table = 'person', 'auction' or 'bid', or call the source so."
                .to_string(),
        ),
        (
            "CREATE SOURCE bid WITH (connector = 'nexmark', raet = 5)".to_string(),
            "22023 connector nexmark has no option \"raet\" | Did you mean \"rate\"?".to_string(),
        ),
        (
            "CREATE SOURCE bid (price BIGINT, prcie BIGINT) WITH (connector = 'nexmark')".to_string(),
            "42703 connector nexmark has no column \"prcie\" in table bid | Did you mean \"price\"?".to_string(),
        ),
        (
            format!("CREATE SOURCE s (id INT, name TEXT) WITH (connector = 'file', path = '{path}', header = yes)"),
            format!("42703 \"{path}\" has no column \"name\" | Did you mean \"nmae\"?"),
        ),
        (
            "CREATE SOURCE s (id INT) WITH (connector = 'file', path = '/nowhere/*.csv')".to_string(),
            "58P01 no file matches \"/nowhere/*.csv\" | \
             Paths are those of the server's machine, relative to its working folder."
                .to_string(),
        ),
        (
            format!("CREATE SOURCE s (id INT) WITH (connector = 'file', path = '{path}') FORMAT PLAIN ENCODE AVRO"),
            "0A000 connector file does not read FORMAT PLAIN ENCODE AVRO | It reads ENCODE CSV, JSON and PARQUET."
                .to_string(),
        ),
    ];
    for (statement, expected) in refused {
        assert_eq!(refusal(&client, &statement).await, expected, "{statement}");
    }
    assert_eq!(run(&client, "SELECT count(*) FROM highwater.sources").await, ["0"]);
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_without_a_list_of_columns_has_those_of_its_connector() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    execute(
        &client,
        "CREATE SOURCE person WITH (connector = 'nexmark', count = '50')",
    )
    .await;
    execute(
        &client,
        "CREATE SOURCE bid (day DATE AS (date_time::date), WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds') \
         WITH (connector = 'nexmark', count = '50')",
    )
    .await;
    let columns = "SELECT table_name, string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) \
                   FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1 ORDER BY 1";
    assert_eq!(
        run(&client, columns).await,
        [
            "bid|auction bigint, bidder bigint, price bigint, channel text, url text, \
             date_time timestamp without time zone, extra text, day date",
            "person|id bigint, name text, email_address text, credit_card text, city text, state text, \
             date_time timestamp without time zone, extra text",
        ]
    );
    execute(
        &client,
        "CREATE MATERIALIZED VIEW v AS SELECT min(day), count(*) FROM bid",
    )
    .await;
    wait_for(&client, "SELECT * FROM v", &["2015-07-15|46"]).await;
    drop(client);
    server.stop().await;
}
