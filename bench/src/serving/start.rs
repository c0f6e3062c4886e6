//! What an empty server takes to start and to be there, and what a thousand idle views cost.

use std::time::Duration;

use super::server::Server;
use super::{Plan, ms, percentile};
use crate::{Result, print};

const STARTS: usize = 5;
const VIEWS: usize = 1000;

pub(super) async fn measure(plan: &Plan) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(Server::start(plan).await?.started_in);
    }
    let server = Server::start(plan).await?;
    let empty_mb = server.memory_mb()?;
    let empty_cpu = idle_cpu(plan, &server).await?;
    let client = server.connect().await?;
    client
        .batch_execute("CREATE TABLE t (k bigint PRIMARY KEY, v bigint)")
        .await?;
    for view in 0..VIEWS {
        let sql =
            format!("CREATE MATERIALIZED VIEW v{view} AS SELECT v, count(*) AS n FROM t WHERE k > {view} GROUP BY v");
        client.batch_execute(&sql).await?;
    }
    let full_mb = server.memory_mb()?;
    let full_cpu = idle_cpu(plan, &server).await?;
    print("### Empty and idle\n");
    print("| what | figure |\n|---|---|");
    let row = |what: &str, figure: String| print(&format!("| {what} | {figure} |"));
    row(
        "start of an empty server to its first answer",
        ms(percentile(&mut times, 50)),
    );
    row("memory of an empty server", format!("{empty_mb:.0} MB"));
    row("CPU of an empty server", format!("{empty_cpu:.2} % of a core"));
    row(
        &format!("memory with {VIEWS} idle views"),
        format!(
            "{full_mb:.0} MB, {:.0} KB a view",
            (full_mb - empty_mb) * 1024.0 / VIEWS as f64
        ),
    );
    row(
        &format!("CPU with {VIEWS} idle views"),
        format!("{full_cpu:.2} % of a core"),
    );
    print("");
    Ok(())
}

/// What the server uses while nobody asks it for anything, in percent of a core.
async fn idle_cpu(plan: &Plan, server: &Server) -> Result<f64> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = server.cpu()?;
    let time = Duration::from_secs(plan.seconds);
    tokio::time::sleep(time).await;
    Ok((server.cpu()? - before).as_secs_f64() / time.as_secs_f64() * 100.0)
}
