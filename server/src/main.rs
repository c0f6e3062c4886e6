//! The `highwater` binary: reads the options, starts what they ask for, and says in plain words what went wrong.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use highwater_server::config::{Cli, Command};
use highwater_server::serve::{StartError, serve};
use highwater_server::{demo, runtime};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    log_to_stderr(match command {
        Command::Serve(_) => "info",
        // The demo draws on the terminal that the log is on.
        Command::Demo(_) => "error",
    });
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// `RUST_LOG` says what is logged; `level` when it does not.
fn log_to_stderr(level: &str) {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

fn run(command: Command) -> Result<(), StartError> {
    match command {
        Command::Serve(options) => runtime::block_on(serve(options.resolve()?)),
        Command::Demo(options) => runtime::block_on(demo::run(options)),
    }
    .map_err(StartError::Threads)?
}
