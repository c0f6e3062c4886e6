//! State that must not grow: views whose state watermarks and the clock bound, over a stream of a fixed number of keys
//! and rows out of order, some of them late. The stream keeps the clock's pace, so that a condition on `now()` lets as
//! many rows go as come.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::Plan;
use super::server::Server;
use crate::{Result, print};

/// Looked at when so many hundredths of the events have come.
const LOOKS: [u64; 6] = [5, 10, 25, 50, 75, 100];
/// How often the server is asked how far it is.
const PAUSE: Duration = Duration::from_millis(500);
/// A stream that stands for so long has failed.
const STAND: Duration = Duration::from_secs(60);

pub(super) async fn measure(plan: &Plan) -> Result<()> {
    let (events, rate) = (plan.events, plan.rate);
    let server = Server::start(plan).await?;
    let client = server.connect().await?;
    for statement in statements(&client, events, rate).await? {
        client.batch_execute(&statement).await?;
    }
    print(&format!(
        "### State that watermarks and the clock bound: {events} events, {rate} a second, 1000 keys\n"
    ));
    print("| events | seconds | resident | rows late | rows of the four views |\n|---|---|---|---|---|");
    let begun = Instant::now();
    let mut stands_since = (0, Instant::now());
    for look in LOOKS {
        let wanted = events / 100 * look;
        let (rows, late) = loop {
            let (rows, late) = progress(&client).await?;
            if rows + late >= wanted {
                break (rows, late);
            }
            if rows != stands_since.0 {
                stands_since = (rows, Instant::now());
            }
            if stands_since.1.elapsed() > STAND {
                return Err(format!("the stream stands at {rows} events").into());
            }
            tokio::time::sleep(PAUSE).await;
        };
        let mut counts = Vec::new();
        for view in ["tumbling", "interval", "sessions", "recent"] {
            counts.push(
                number(&client, &format!("SELECT count(*) FROM {view}"))
                    .await?
                    .to_string(),
            );
        }
        print(&format!(
            "| {} | {:.0} | {:.0} MB | {late} | {} |",
            rows + late,
            begun.elapsed().as_secs_f64(),
            server.memory_mb()?,
            counts.join(", ")
        ));
    }
    print("");
    Ok(())
}

async fn statements(client: &Client, events: u64, rate: u64) -> Result<Vec<String>> {
    let now = client.query_one("SELECT now()::timestamp::text", &[]).await?;
    let now: &str = now.get(0);
    let source = |name: &str, share: u64, seed: u64| {
        format!(
            "CREATE SOURCE {name} (k int, v int, ts timestamptz, WATERMARK FOR ts AS ts - INTERVAL '9 milliseconds') \
             WITH (connector = 'datagen', rows = '{}', rows_per_second = '{}', start_time = '{now}', seed = '{seed}', \
             fields.k.min = '1', fields.k.max = '1000', fields.ts.max_past = '10 milliseconds')",
            events / share,
            rate / share
        )
    };
    let view = |name: &str, query: &str| format!("CREATE MATERIALIZED VIEW {name} AS {query}");
    Ok(vec![
        source("a", 1, 1),
        source("b", 10, 2),
        view(
            "tumbling",
            "SELECT window_end, k, count(*) AS n FROM TUMBLE(a, ts, INTERVAL '20 seconds') GROUP BY 1, 2",
        ),
        view(
            "interval",
            "SELECT count(*) AS n FROM a JOIN b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '20 milliseconds'",
        ),
        view(
            "sessions",
            "SELECT count(*) AS n FROM (SELECT window_end, k, count(*) AS n \
             FROM SESSION(a PARTITION BY k, ts, INTERVAL '20 milliseconds') GROUP BY 1, 2)",
        ),
        view(
            "recent",
            "SELECT k, count(*) AS n FROM a WHERE ts > now() - INTERVAL '5 seconds' GROUP BY k",
        ),
    ])
}

/// Rows of the larger source that were applied, and that were late.
async fn progress(client: &Client) -> Result<(u64, u64)> {
    let rows = number(client, "SELECT rows FROM highwater.sources WHERE name = 'a'").await?;
    let late = number(client, "SELECT late_rows FROM highwater.sources WHERE name = 'a'").await?;
    Ok((rows, late))
}

async fn number(client: &Client, sql: &str) -> Result<u64> {
    let row = client.query_one(sql, &[]).await?;
    Ok(u64::try_from(row.try_get::<_, i64>(0)?)?)
}
