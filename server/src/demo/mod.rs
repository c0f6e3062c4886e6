//! `highwater demo`: a server in a temporary folder, the Nexmark auction as its sources, five live views over them
//! ([`market`]), and a picture of the views that is drawn again and again ([`picture`], [`screen`]).
//!
//! It is a client of the server like any other: all that it shows comes from SQL ([`client`]), and psql may connect
//! beside it. The folder goes when the demo ends; nothing is left behind, and every start is a first one.
//!
//! Memory: result rows of closed windows stay, as in any view, so each view has a few rows a window: some thirteen
//! thousand rows in an hour, all views together. The operators' state is bounded by the watermark.

mod client;
mod market;
mod picture;
mod screen;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use clap::Args;

use self::client::{Client, Table};
use self::picture::{Figures, Picture};
use self::screen::Screen;
use crate::config::{Config, resolve_workers};
use crate::serve::{Server, StartError, stop_signal};

/// How often the picture is drawn on a terminal.
const REDRAW: Duration = Duration::from_millis(500);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(1);

/// Options of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoOptions {
    /// The port to listen on, on 127.0.0.1; 0 takes any that is free.
    #[arg(long, default_value_t = 7432, value_name = "PORT")]
    pub port: u16,
    /// Auction events a second: of fifty, one is a person, three are auctions, the others bids.
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(50..=1_000_000))]
    pub rate: u32,
    /// Stop by itself after so many seconds.
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// Worker threads that compute views. [default: one for each core]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
}

/// Runs the demo until Ctrl-C, SIGTERM or the end of its time.
///
/// # Errors
/// When the server cannot start, or a statement of the demo fails.
pub async fn run(options: DemoOptions) -> Result<(), StartError> {
    let workers = resolve_workers(options.workers)?;
    let folder = temporary_folder()?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let server = Server::start(&Config::new(folder.path().to_path_buf(), listen, workers)).await?;
    let ended = end(options.seconds);
    let mut screen = Screen::open().map_err(StartError::Terminal)?;
    let about = format!(
        "Nexmark auction, {} events a second, {workers} workers; data in {}, removed at the end",
        options.rate,
        folder.path().display()
    );
    screen.say(&about).map_err(StartError::Terminal)?;
    let connect = server.psql();
    screen
        .say(&format!("connect with: {connect}"))
        .map_err(StartError::Terminal)?;
    let mut show = Show {
        client: Client::new(server.session().map_err(|error| StartError::Demo {
            sql: String::new(),
            error: Box::new(error),
        })?),
        started: Instant::now(),
        last: None,
        connect,
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        // A sender that is gone says the same as a message.
        stopped.await.ok();
    }));
    let shown = tokio::select! {
        shown = show.run(options.rate, &mut screen) => shown,
        () = ended => Ok(()),
    };
    let closed = screen.close().map_err(StartError::Terminal);
    stop.send(()).ok();
    if let Err(error) = serving.await {
        tracing::error!(%error, "the server did not stop cleanly");
    }
    println!("stopped");
    shown.and(closed)
}

fn temporary_folder() -> Result<tempfile::TempDir, StartError> {
    tempfile::Builder::new()
        .prefix("highwater-demo-")
        .tempdir()
        .map_err(|source| StartError::DemoFolder {
            folder: std::env::temp_dir(),
            source,
        })
}

/// Ready at Ctrl-C, SIGTERM, or when the time is over.
fn end(seconds: Option<u64>) -> impl Future<Output = ()> {
    let time = Duration::from_secs(seconds.unwrap_or(u64::MAX));
    let stop = stop_signal();
    async move {
        tokio::select! {
            () = stop => {}
            () = tokio::time::sleep(time) => {}
        }
    }
}

/// The show: who asks, and what was seen last.
struct Show {
    client: Client,
    started: Instant,
    /// When rows were last counted, and how many there were.
    last: Option<(Instant, u64)>,
    connect: String,
}

impl Show {
    /// Makes the market and shows it, for ever.
    async fn run(&mut self, rate: u32, screen: &mut Screen) -> Result<(), StartError> {
        for sql in market::statements(rate) {
            self.client.query(&sql).await?;
        }
        self.started = Instant::now();
        let every = if screen.is_terminal() { REDRAW } else { LINE };
        let mut clock = tokio::time::interval(every);
        loop {
            clock.tick().await;
            let picture = self.look().await?;
            screen.draw(&picture).map_err(StartError::Terminal)?;
        }
    }

    /// Reads everything, as of one epoch.
    async fn look(&mut self) -> Result<Picture, StartError> {
        self.client.query("BEGIN").await?;
        let mut tables = Vec::new();
        for view in market::VIEWS {
            tables.push(self.client.query(view.show).await?);
        }
        let sources = self.client.query(market::SOURCES).await?;
        let epochs = self.client.query(market::EPOCHS).await?;
        self.client.query("COMMIT").await?;
        let now = Instant::now();
        let row_count = (0..sources.rows.len())
            .filter_map(|row| sources.number(row, "rows"))
            .sum::<u64>();
        let rate = self.last.map(|(then, before)| {
            let seconds = now.duration_since(then).as_secs_f64();
            (row_count.saturating_sub(before)) as f64 / seconds.max(f64::EPSILON)
        });
        self.last = Some((now, row_count));
        Ok(Picture {
            figures: Figures {
                seconds: now.duration_since(self.started).as_secs(),
                row_count,
                rows_per_second: rate,
                epoch: epochs.text(0, "closed").to_string(),
                watermarks: watermarks(&sources),
            },
            connect: self.connect.clone(),
            views: market::VIEWS.iter().zip(tables).collect(),
        })
    }
}

/// Each source's watermark.
fn watermarks(sources: &Table) -> Vec<String> {
    (0..sources.rows.len())
        .map(|row| sources.text(row, "watermark").to_string())
        .collect()
}
