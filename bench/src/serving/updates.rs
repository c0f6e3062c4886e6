//! Memory under updates: the same thousand rows are changed a million times, and a view of them with them. Versions
//! that nobody reads any more must go.

use super::Plan;
use super::server::Server;
use crate::{Result, print};

const ROWS: u64 = 1000;
const ROUNDS: u64 = 1000;

pub(super) async fn measure(plan: &Plan) -> Result<()> {
    let server = Server::start(plan).await?;
    let client = server.connect().await?;
    for statement in [
        "CREATE TABLE t (id bigint PRIMARY KEY, k bigint NOT NULL, v bigint NOT NULL)",
        "CREATE MATERIALIZED VIEW v AS SELECT k, sum(v) AS s, max(v) AS m FROM t GROUP BY k",
        "INSERT INTO t SELECT g, g % 100, 0 FROM generate_series(1, 1000) AS g",
    ] {
        client.batch_execute(statement).await?;
    }
    print("### Memory under updates of the same thousand rows\n");
    print("| updates | resident | on disk |\n|---|---|---|");
    for round in 0..=ROUNDS {
        if round % (ROUNDS / 5) == 0 {
            let disk_mb = server.disk_bytes() as f64 / f64::from(1 << 20);
            print(&format!(
                "| {} | {:.0} MB | {disk_mb:.0} MB |",
                round * ROWS,
                server.memory_mb()?
            ));
        }
        client.batch_execute("UPDATE t SET v = v + 1").await?;
    }
    print("");
    Ok(())
}
