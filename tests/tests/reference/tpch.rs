//! TPC-H's 22 queries as views, kept current while orders come and go and the rest changes: after every change they
//! hold the rows that PostgreSQL answers over the same tables, and after a restart at another number of workers.
//!
//! The queries are those of `bench/tpch/`, with the parameters of the specification's validation runs (but for q8's type of part,
//! q11's fraction and q18's quantity, which have rows at a small scale) and a last key that settles ties. `HIGHWATER_TPCH_SCALE` is
//! the scale factor.

use bytes::Bytes;
use futures::SinkExt;
use highwater_tests::{Postgres, TestServer, workspace_root};
use tokio_postgres::Client;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

use super::{Comparison, execute, rows};

const DEFAULT_SCALE: f64 = 0.01;
/// Orders are dealt to so many groups; the last ones come in while the views live, a group a round.
const GROUPS: usize = 16;
const ROUNDS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn tpch_views_hold_the_rows_that_postgresql_answers() {
    let Some(postgres) = Postgres::start().await else {
        return;
    };
    let scale = std::env::var("HIGHWATER_TPCH_SCALE").map_or(DEFAULT_SCALE, |text| {
        text.parse().expect("HIGHWATER_TPCH_SCALE is a number")
    });
    let data = Data::generate(scale);
    let theirs = postgres.connect().await;
    let server = TestServer::start().await;
    let ours = server.connect().await;
    for client in [&theirs, &ours] {
        execute(client, &file("tables.sql")).await;
        data.load(client).await;
    }
    execute(
        &theirs,
        "CREATE INDEX ON lineitem (l_partkey, l_suppkey); CREATE INDEX ON orders (o_custkey); ANALYZE",
    )
    .await;
    for query in 1..=22 {
        execute(&ours, &format!("CREATE MATERIALIZED VIEW q{query} AS {}", sql(query))).await;
    }
    compare(&ours, &theirs, "at first").await;
    for round in 0..ROUNDS {
        for client in [&theirs, &ours] {
            execute(client, "BEGIN").await;
            data.insert_group(client, GROUPS - 1 - round).await;
            execute(client, &changes(round)).await;
            execute(client, "COMMIT").await;
        }
        compare(&ours, &theirs, &format!("after round {round}")).await;
    }
    drop(ours);
    let server = server.restart(1).await;
    let ours = server.connect().await;
    compare(&ours, &theirs, "after a restart with one worker").await;
    drop(ours);
    server.stop().await;
}

/// What happens in a round besides new orders: others go, and prices, balances and suppliers change.
fn changes(round: usize) -> String {
    format!(
        "DELETE FROM lineitem WHERE l_orderkey % 13 = {round}; DELETE FROM orders WHERE o_orderkey % 13 = {round}; \
         UPDATE partsupp SET ps_supplycost = ps_supplycost * 1.1 WHERE ps_partkey % 7 = {round}; \
         UPDATE customer SET c_acctbal = c_acctbal - 100, c_mktsegment = 'BUILDING' WHERE c_custkey % 11 = {round}; \
         UPDATE lineitem SET l_quantity = l_quantity + 1 WHERE l_linenumber = 4 AND l_orderkey % 5 = {round}; \
         DELETE FROM supplier WHERE s_suppkey % 23 = {round}"
    )
}

async fn compare(ours: &Client, theirs: &Client, when: &str) {
    let mut comparison = Comparison::default();
    for query in 1..=22 {
        let found = rows(ours, &format!("SELECT * FROM q{query}")).await;
        comparison.add(&format!("q{query}"), &found, &rows(theirs, &sql(query)).await);
    }
    comparison.conclude(&format!("TPC-H against PostgreSQL, {when}"));
}

fn file(name: &str) -> String {
    let path = workspace_root().join("bench/tpch").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sql(query: usize) -> String {
    file(&format!("q{query}.sql"))
        .trim_end()
        .trim_end_matches(';')
        .to_string()
}

/// All rows, as COPY takes them.
struct Data {
    fixed: Vec<(&'static str, String)>,
    /// Orders and their items, by group.
    orders: Vec<String>,
    items: Vec<String>,
}

impl Data {
    fn generate(scale: f64) -> Data {
        let fixed = vec![
            ("region", lines(RegionGenerator::new(scale, 1, 1).iter())),
            ("nation", lines(NationGenerator::new(scale, 1, 1).iter())),
            ("supplier", lines(SupplierGenerator::new(scale, 1, 1).iter())),
            ("part", lines(PartGenerator::new(scale, 1, 1).iter())),
            ("partsupp", lines(PartSuppGenerator::new(scale, 1, 1).iter())),
            ("customer", lines(CustomerGenerator::new(scale, 1, 1).iter())),
        ];
        // Keys have gaps: of 32 in a row there are the first eight.
        let group = |key: i64| (key + key / 32) as usize % GROUPS;
        let (mut orders, mut items) = (vec![String::new(); GROUPS], vec![String::new(); GROUPS]);
        for order in OrderGenerator::new(scale, 1, 1).iter() {
            orders[group(order.o_orderkey)].push_str(&line(&order));
        }
        for item in LineItemGenerator::new(scale, 1, 1).iter() {
            items[group(item.l_orderkey)].push_str(&line(&item));
        }
        Data { fixed, orders, items }
    }

    /// Everything but the groups of orders that come later.
    async fn load(&self, client: &Client) {
        for (table, lines) in &self.fixed {
            copy(client, table, lines).await;
        }
        for group in 0..GROUPS - ROUNDS {
            self.insert_group(client, group).await;
        }
    }

    async fn insert_group(&self, client: &Client, group: usize) {
        copy(client, "orders", &self.orders[group]).await;
        copy(client, "lineitem", &self.items[group]).await;
    }
}

fn lines(rows: impl Iterator<Item = impl std::fmt::Display>) -> String {
    rows.map(|row| line(&row)).collect()
}

/// A row of the generator ends in a delimiter.
fn line(row: &impl std::fmt::Display) -> String {
    let mut line = row.to_string();
    line.truncate(line.len() - 1);
    line.push('\n');
    line
}

async fn copy(client: &Client, table: &str, lines: &str) {
    let sink = client
        .copy_in(&format!("COPY {table} FROM STDIN (DELIMITER '|')"))
        .await
        .unwrap_or_else(|error| panic!("{table}: {error:?}"));
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::copy_from_slice(lines.as_bytes()))
        .await
        .expect("rows that fit");
    sink.as_mut()
        .finish()
        .await
        .unwrap_or_else(|error| panic!("{table}: {error:?}"));
}
