//! How the server is started: command line, environment and a TOML file, in this order of precedence.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde::Deserialize;
use thiserror::Error;

use crate::demo::DemoOptions;
use crate::pg::{ListenerConfig, TlsError, TlsIdentity, Users, UsersError};

/// Where the server listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7432";
/// Where data lies unless told otherwise.
pub const DEFAULT_DATA_DIR: &str = "./highwater-data";
/// So many clients may be connected unless told otherwise.
pub const DEFAULT_MAX_CONNECTIONS: usize = 1000;
/// For so long epochs can be read after they have closed, unless told otherwise.
pub const DEFAULT_RETENTION: Duration = Duration::from_secs(1);

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
    /// Start a server in a temporary folder, with an endless auction and five live views, and show them.
    Demo(DemoOptions),
}

/// Options of `serve`. What is not given comes from the file, then from the defaults.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeOptions {
    /// A TOML file with these options: `data_dir`, `listen`, `workers`, and so on.
    #[arg(long, env = "HIGHWATER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder for catalog and log; made when it does not exist. [default: ./highwater-data]
    #[arg(long, env = "HIGHWATER_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The address and port to listen on. [default: 127.0.0.1:7432]
    #[arg(long, env = "HIGHWATER_LISTEN", value_name = "ADDR")]
    pub listen: Option<String>,
    /// Worker threads that compute views. [default: one for each core]
    #[arg(long, env = "HIGHWATER_WORKERS", value_name = "N")]
    pub workers: Option<usize>,
    /// How many clients may be connected at once.
    #[arg(long, env = "HIGHWATER_MAX_CONNECTIONS", value_name = "N")]
    pub max_connections: Option<usize>,
    /// For how long what rows were can still be read (SUBSCRIBE ... AS OF), such as 10s or 5m. [default: 1s]
    #[arg(long, env = "HIGHWATER_RETENTION", value_name = "TIME")]
    pub retention: Option<String>,
    /// A file of users and their passwords or SCRAM verifiers, a line each: "name" "password". Without one, everyone
    /// is let in.
    #[arg(long, env = "HIGHWATER_USERS", value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// The server's certificate chain for TLS, in PEM form.
    #[arg(long, env = "HIGHWATER_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM form.
    #[arg(long, env = "HIGHWATER_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
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
    /// How many clients may be connected at once.
    pub max_connections: usize,
    /// For how long epochs can be read after they have closed.
    pub retention: Duration,
    /// The file of users; without one, everyone is let in.
    pub users: Option<PathBuf>,
    /// What TLS needs; without it, TLS is declined.
    pub tls: Option<TlsFiles>,
}

/// The files of the server's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What can be wrong with the options.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path:?}: {reason}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The file is not TOML, or has an option that there is not.
    #[error("the configuration file {path:?} is wrong: {reason}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The address is none.
    #[error("\"{address}\" is not an address to listen on")]
    BadAddress {
        /// What was given.
        address: String,
    },
    /// The retention is no time.
    #[error("the retention \"{given}\" is not a time: {reason}")]
    BadRetention {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There must be a worker.
    #[error("the number of workers must be at least 1")]
    NoWorkers,
    /// There must be room for a client.
    #[error("the number of connections must be at least 1")]
    NoConnections,
    /// One of the two files is not given.
    #[error("TLS needs both a certificate and a key; give tls_certificate and tls_key")]
    HalfTls,
    /// The file of users cannot be used.
    #[error("cannot use the file of users: {0}")]
    Users(#[from] UsersError),
    /// The certificate cannot be used.
    #[error("cannot use the TLS files: {0}")]
    Tls(#[from] TlsError),
}

impl ConfigError {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            ConfigError::Unreadable { .. } => "Give --config a file that this user can read.",
            ConfigError::Malformed { .. } => {
                "Its options are data_dir, listen, workers, max_connections, retention, users, tls_certificate and tls_key."
            }
            ConfigError::BadAddress { .. } => "Write it as address:port, for example 127.0.0.1:7432.",
            ConfigError::BadRetention { .. } => "Write a number and a unit, for example 10s or 5m.",
            ConfigError::NoWorkers => "Leave it out for one worker on each core.",
            ConfigError::NoConnections => "Leave it out for the default.",
            ConfigError::HalfTls => "Give both files, or neither.",
            ConfigError::Users(_) => "It has a user a line: \"name\" \"password\".",
            ConfigError::Tls(_) => "Both files are in PEM form.",
        }
    }
}

/// The options of the TOML file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileOptions {
    data_dir: Option<PathBuf>,
    listen: Option<String>,
    workers: Option<usize>,
    max_connections: Option<usize>,
    retention: Option<String>,
    users: Option<PathBuf>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
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
        let listen = resolve_address(address)?;
        let workers = resolve_workers(self.workers.or(file.workers))?;
        let data_dir = self
            .data_dir
            .or(file.data_dir)
            .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
        let max_connections = self
            .max_connections
            .or(file.max_connections)
            .unwrap_or(DEFAULT_MAX_CONNECTIONS);
        if max_connections == 0 {
            return Err(ConfigError::NoConnections);
        }
        let retention = resolve_retention(self.retention.or(file.retention))?;
        let tls = match (
            self.tls_certificate.or(file.tls_certificate),
            self.tls_key.or(file.tls_key),
        ) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(ConfigError::HalfTls),
        };
        Ok(Config {
            data_dir,
            listen,
            workers,
            max_connections,
            retention,
            users: self.users.or(file.users),
            tls,
        })
    }
}

impl Config {
    /// A server that lets everyone in, without TLS.
    pub fn new(data_dir: PathBuf, listen: SocketAddr, workers: usize) -> Config {
        Config {
            data_dir,
            listen,
            workers,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            retention: DEFAULT_RETENTION,
            users: None,
            tls: None,
        }
    }

    /// How to listen, with the users and the certificate read from their files.
    ///
    /// # Errors
    /// When one of the files cannot be used.
    pub fn listener(&self) -> Result<ListenerConfig, ConfigError> {
        let users = self.users.as_deref().map(Users::try_load).transpose()?;
        let tls = self
            .tls
            .as_ref()
            .map(|files| TlsIdentity::try_load(&files.certificate, &files.key))
            .transpose()?;
        Ok(ListenerConfig {
            address: self.listen,
            max_connections: self.max_connections,
            tls,
            users: users.unwrap_or_default(),
        })
    }
}

/// A name stands for the first address that it has.
fn resolve_address(address: String) -> Result<SocketAddr, ConfigError> {
    let first = address.to_socket_addrs().ok().and_then(|mut all| all.next());
    first.ok_or(ConfigError::BadAddress { address })
}

/// One worker for each core, unless told otherwise.
///
/// # Errors
/// When there is to be none.
pub fn resolve_workers(asked: Option<usize>) -> Result<usize, ConfigError> {
    match asked {
        Some(0) => Err(ConfigError::NoWorkers),
        Some(count) => Ok(count),
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

fn resolve_retention(given: Option<String>) -> Result<Duration, ConfigError> {
    let Some(given) = given else {
        return Ok(DEFAULT_RETENTION);
    };
    humantime::parse_duration(&given).map_err(|error| ConfigError::BadRetention {
        reason: error.to_string(),
        given,
    })
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
    fn tls_needs_both_of_its_files() {
        let half = ServeOptions {
            tls_key: Some(PathBuf::from("server.key")),
            ..Default::default()
        };
        assert!(matches!(half.resolve(), Err(ConfigError::HalfTls)));
        let missing = ServeOptions {
            tls_key: Some(PathBuf::from("/nowhere/server.key")),
            tls_certificate: Some(PathBuf::from("/nowhere/server.crt")),
            ..Default::default()
        };
        let error = missing
            .resolve()
            .and_then(|config| config.listener())
            .expect_err("there are no such files");
        assert!(error.to_string().contains("/nowhere/server.crt"), "{error}");
    }

    #[test]
    fn a_retention_is_a_time_with_its_unit() {
        let with = |retention: &str| ServeOptions {
            retention: Some(retention.to_string()),
            ..Default::default()
        };
        let config = with("5m").resolve().expect("good options");
        assert_eq!(config.retention, Duration::from_secs(300));
        let error = with("5").resolve().expect_err("no unit");
        assert!(matches!(error, ConfigError::BadRetention { .. }), "{error}");
        let default = ServeOptions::default().resolve().expect("good options");
        assert_eq!(default.retention, DEFAULT_RETENTION);
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
