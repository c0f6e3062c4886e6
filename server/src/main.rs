//! The `highwater` binary.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use highwater_server::config::{Cli, Command, Config, ServeOptions};
use highwater_server::database::{Database, DatabaseConfig};
use highwater_server::pg::{Backends, Listener, ListenerConfig, Notifier};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .init();
    let outcome = match Cli::parse().command {
        Command::Serve(options) => serve(options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the server until it is told to stop.
fn serve(options: ServeOptions) -> Result<(), Box<dyn std::error::Error>> {
    let config = options.resolve()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(config))
}

async fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let database = Database::open(&DatabaseConfig {
        data_dir: config.data_dir.clone(),
        workers: config.workers,
    })
    .await?;
    let listener = Listener::bind(
        &ListenerConfig::new(config.listen),
        Arc::clone(&database),
        Backends::new(),
        Notifier::new(),
    )
    .await
    .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
    let address = listener.local_address()?;
    tracing::info!(%address, data_dir = %config.data_dir.display(), workers = config.workers, "serving");
    tracing::info!(
        "connect with: psql -h {} -p {} -U highwater highwater",
        address.ip(),
        address.port()
    );
    listener.serve(stop_signal()).await;
    database.coordinator().stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// Ready at Ctrl-C or SIGTERM.
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be watched; use Ctrl-C");
            interrupt.await.ok();
            return;
        }
    };
    tokio::select! {
        _ = interrupt => {}
        _ = terminate.recv() => {}
    }
}
