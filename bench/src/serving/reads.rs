//! Reading the row of a key, by pgbench: `pgbench -S` over its own table, and the same over a materialized view; and
//! pgbench's default script, which changes three rows and adds one.

use std::path::Path;
use std::process::{Command, Stdio};

use highwater_tests::Postgres;
use tempfile::NamedTempFile;

use super::Plan;
use super::server::Server;
use crate::{Result, print};

/// What is run: a name, and pgbench's arguments for it. `VIEW` stands for the script over the view.
const RUNS: [(&str, &[&str]); 6] = [
    ("`-S`, prepared, 1 client", &["-S", "-M", "prepared", "-c", "1"]),
    ("`-S`, prepared, 8 clients", &["-S", "-M", "prepared", "-c", "8"]),
    ("`-S`, simple, 8 clients", &["-S", "-M", "simple", "-c", "8"]),
    (
        "view by key, prepared, 1 client",
        &["-f", "VIEW", "-M", "prepared", "-c", "1"],
    ),
    (
        "view by key, prepared, 8 clients",
        &["-f", "VIEW", "-M", "prepared", "-c", "8"],
    ),
    ("default script, prepared, 8 clients", &["-M", "prepared", "-c", "8"]),
];
const VIEW_SCRIPT: &str = "\\set aid random(1, 100000)\nSELECT total FROM per_account WHERE aid = :aid;\n";
const VIEW: &str = "CREATE MATERIALIZED VIEW per_account AS
    SELECT aid, sum(abalance) AS total FROM pgbench_accounts GROUP BY aid";

pub(super) async fn measure(plan: &Plan) -> Result<()> {
    let server = Server::start(plan).await?;
    let ours = server.arguments();
    fill(&ours)?;
    server.connect().await?.batch_execute(VIEW).await?;
    let postgres = Postgres::start_with(&["fsync=on", "shared_buffers=256MB"]).await;
    let theirs = match &postgres {
        None => None,
        Some(postgres) => {
            let folder: &Path = postgres.as_ref();
            let arguments = vec![
                "-h".to_string(),
                folder.display().to_string(),
                "-U".to_string(),
                "postgres".to_string(),
                "postgres".to_string(),
            ];
            fill(&arguments)?;
            let client = postgres.connect().await;
            client.batch_execute(VIEW).await?;
            let index = "CREATE UNIQUE INDEX ON per_account (aid); VACUUM ANALYZE";
            for statement in index.split("; ") {
                client.batch_execute(statement).await?;
            }
            Some(arguments)
        }
    };
    let script = NamedTempFile::new()?;
    std::fs::write(script.path(), VIEW_SCRIPT)?;
    print("### Rows by key: pgbench, scale 1, transactions/s\n");
    print("| script | Highwater | PostgreSQL | ratio |\n|---|---|---|---|");
    for (name, arguments) in RUNS {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|a| match *a {
                "VIEW" => script.path().display().to_string(),
                other => other.to_string(),
            })
            .collect();
        let rate = run(plan, &arguments, &ours)?;
        let beside = theirs.as_ref().map(|t| run(plan, &arguments, t)).transpose()?;
        print(&match beside {
            Some(beside) => format!("| {name} | {rate:.0} | {beside:.0} | {:.2} |", rate / beside),
            None => format!("| {name} | {rate:.0} | not installed | |"),
        });
    }
    print("");
    Ok(())
}

/// pgbench's tables.
fn fill(server: &[String]) -> Result<()> {
    pgbench(&["-i", "-q", "-I", "dtgp"].map(str::to_string), server).map(|_| ())
}

fn run(plan: &Plan, arguments: &[String], server: &[String]) -> Result<f64> {
    let time = [
        "-n".to_string(),
        "-j".to_string(),
        "1".to_string(),
        "-T".to_string(),
        plan.seconds.to_string(),
    ];
    let text = pgbench(&[arguments, &time].concat(), server)?;
    let line = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let figure = line
        .and_then(|line| line.split(' ').next())
        .ok_or("pgbench says no rate")?;
    Ok(figure.parse()?)
}

fn pgbench(arguments: &[String], server: &[String]) -> Result<String> {
    let output = Command::new("pgbench")
        .args(arguments)
        .args(server)
        .stdin(Stdio::null())
        .output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        return Err(format!("pgbench {arguments:?}: {}", text(&output.stderr)).into());
    }
    Ok(text(&output.stdout))
}
