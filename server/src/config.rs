//! How the server is started: command line, environment and a TOML file, in this order of precedence.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use serde::Deserialize;
use thiserror::Error;

/// Where the server listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7432";
/// Where data lies unless told otherwise.
pub const DEFAULT_DATA_DIR: &str = "./highwater-data";

/// A streaming SQL database that speaks PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "highwater", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server.
    Serve(ServeOptions),
}

/// Options of `serve`. What is not given comes from the file, then from the defaults.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeOptions {
    /// A TOML file with these options, under the same names.
    #[arg(long, env = "HIGHWATER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder for catalog and log.
    #[arg(long, env = "HIGHWATER_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The address to listen on.
    #[arg(long, env = "HIGHWATER_LISTEN", value_name = "ADDR")]
    pub listen: Option<String>,
    /// Worker threads that compute views.
    #[arg(long, env = "HIGHWATER_WORKERS", value_name = "N")]
    pub workers: Option<usize>,
}

/// Everything `serve` needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The folder for catalog and log.
    pub data_dir: PathBuf,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Worker threads that compute views.
    pub workers: usize,
}

/// What can be wrong with the options.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {reason}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The file is not TOML, or has an option that there is not.
    #[error("the configuration file {path} is wrong: {reason}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The address is none.
    #[error("\"{address}\" is not an address to listen on; write it as 127.0.0.1:7432")]
    BadAddress {
        /// What was given.
        address: String,
    },
    /// There must be a worker.
    #[error("the number of workers must be at least 1")]
    NoWorkers,
}

/// The options of the TOML file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileOptions {
    data_dir: Option<PathBuf>,
    listen: Option<String>,
    workers: Option<usize>,
}

impl ServeOptions {
    /// The options with the file's and the defaults filled in.
    ///
    /// # Errors
    /// When the file cannot be used, or a value is wrong.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let file = self.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let address = self
            .listen
            .or(file.listen)
            .unwrap_or_else(|| DEFAULT_LISTEN.to_string());
        let listen = address.parse().map_err(|_| ConfigError::BadAddress { address })?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = self.workers.or(file.workers).unwrap_or(cores);
        if workers == 0 {
            return Err(ConfigError::NoWorkers);
        }
        let data_dir = self
            .data_dir
            .or(file.data_dir)
            .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
        Ok(Config {
            data_dir,
            listen,
            workers,
        })
    }
}

fn read_file(path: &Path) -> Result<FileOptions, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })?;
    toml::from_str(&text).map_err(|error| ConfigError::Malformed {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_comes_before_the_file_and_the_file_before_the_defaults() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("highwater.toml");
        std::fs::write(&path, "workers = 3\nlisten = \"127.0.0.1:1\"\n").expect("a writable folder");
        let options = ServeOptions {
            config: Some(path),
            listen: Some("127.0.0.1:2".to_string()),
            ..Default::default()
        };
        let config = options.resolve().expect("good options");
        assert_eq!(config.workers, 3);
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.data_dir, PathBuf::from(DEFAULT_DATA_DIR));
    }

    #[test]
    fn an_unknown_option_in_the_file_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("highwater.toml");
        std::fs::write(&path, "worker = 3\n").expect("a writable folder");
        let error = ServeOptions {
            config: Some(path),
            ..Default::default()
        }
        .resolve()
        .expect_err("a misspelt option");
        assert!(error.to_string().contains("worker"), "{error}");
    }
}
