//! `highwater-bench`: how fast Highwater is. Each benchmark is a word on the command line and prints a table in
//! Markdown; `bench/RESULTS.md` holds what it printed, with the commit, the command and the machine.
//!
//! ```text
//! cargo run --release -p highwater-bench -- nexmark
//! cargo build --release --workspace --bins && target/release/highwater-bench serving
//! ```

mod measure;
mod nexmark;
mod serving;

use std::error::Error;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a benchmark ends with.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "\
usage: highwater-bench nexmark [--events N] [--epoch-events N] [--queries q0,q1,...] [--workers 1,2]
       highwater-bench serving [--server PATH] [--seconds N] [--only start,insert,reads,views,updates,bounded]
                               [--events N] [--rate N]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((word, rest)) if word == "nexmark" => nexmark::main(rest),
        Some((word, rest)) if word == "serving" => serving::main(rest),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells whoever runs the benchmark how it goes, beside the results.
#[allow(clippy::print_stderr, reason = "progress and errors go to standard error")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Results.
#[allow(clippy::print_stdout, reason = "a benchmark answers on its standard output")]
fn print(text: &str) {
    println!("{text}");
}

/// The value after an option, if the option is there.
fn option<'a>(args: &'a [String], name: &str) -> Result<Option<&'a str>> {
    let Some(at) = args.iter().position(|arg| arg == name) else {
        return Ok(None);
    };
    match args.get(at + 1) {
        Some(value) => Ok(Some(value)),
        None => Err(format!("{name} wants a value\n{USAGE}").into()),
    }
}
