//! What the demo makes and asks, in SQL: three sources that are one auction, a table of categories, and five views.
//!
//! Every view is kept small on purpose: it has one row, or a few, for each window of five seconds, or one for each
//! category. A view with a row for each bid would grow for as long as the demo runs.

use chrono::Utc;

/// A view of the demo.
#[derive(Debug)]
pub(super) struct View {
    /// Its name.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub about: &'static str,
    /// Its query.
    pub query: &'static str,
    /// The rows to show, most telling first.
    pub show: &'static str,
}

/// The five views.
pub(super) const VIEWS: [View; 5] = [
    View {
        name: "bids_per_window",
        about: "bids in windows of five seconds (TUMBLE)",
        query: "SELECT window_start, window_end, count(*) AS bids, max(price) AS top_price
FROM TUMBLE(bid, date_time, INTERVAL '5 seconds')
GROUP BY window_start, window_end",
        show: "SELECT window_start::time AS start, window_end::time AS end, bids, top_price
FROM bids_per_window ORDER BY window_end DESC LIMIT 4",
    },
    View {
        name: "hot_items",
        about: "the three most wanted auctions of the last five seconds, every second (HOP, top-N)",
        query: "SELECT window_end, place, auction, bids FROM (
  SELECT window_end, auction, bids, row_number() OVER (PARTITION BY window_end ORDER BY bids DESC, auction) AS place
  FROM (SELECT window_start, window_end, auction, count(*) AS bids
        FROM HOP(bid, date_time, INTERVAL '1 second', INTERVAL '5 seconds')
        GROUP BY window_start, window_end, auction) AS counted) AS ranked
WHERE place <= 3",
        // The newest windows have only just begun; of those still open this is the one that ends first.
        show: "SELECT window_end::time AS end, place, auction, bids FROM hot_items
WHERE window_end = (SELECT max(window_end) - INTERVAL '4 seconds' FROM hot_items) ORDER BY place LIMIT 4",
    },
    View {
        name: "auctions_by_category",
        about: "auctions by category as of their arrival (AS OF PROCTIME())",
        query: "SELECT c.name AS category, count(*) AS auctions, round(avg(a.initial_bid), 2) AS avg_initial_bid
FROM auction AS a JOIN category FOR SYSTEM_TIME AS OF PROCTIME() AS c ON a.category = c.id
GROUP BY c.name",
        show: "SELECT category, auctions, avg_initial_bid FROM auctions_by_category ORDER BY auctions DESC LIMIT 4",
    },
    View {
        name: "top_prices",
        about: "how high new auctions go, by category (a join of changing rows, aggregated)",
        query: "SELECT a.window_end, a.category, count(*) AS auctions, round(avg(b.top_price), 2) AS avg_top_price
FROM TUMBLE(auction, date_time, INTERVAL '5 seconds') AS a
JOIN (SELECT window_start, window_end, auction, max(price) AS top_price
      FROM TUMBLE(bid, date_time, INTERVAL '5 seconds')
      GROUP BY window_start, window_end, auction) AS b
ON a.id = b.auction AND a.window_start = b.window_start AND a.window_end = b.window_end
GROUP BY a.window_end, a.category",
        show: "SELECT window_end::time AS end, c.name AS category, auctions, avg_top_price
FROM top_prices JOIN category AS c ON c.id = category ORDER BY window_end DESC, auctions DESC LIMIT 4",
    },
    View {
        name: "closed_windows",
        about: "windows that are over, written once (EMIT ON WINDOW CLOSE)",
        query: "SELECT window_start, window_end, count(*) AS bids, count(DISTINCT bidder) AS bidders
FROM TUMBLE(bid, date_time, INTERVAL '5 seconds')
GROUP BY window_start, window_end EMIT ON WINDOW CLOSE",
        show: "SELECT window_start::time AS start, window_end::time AS end, bids, bidders
FROM closed_windows ORDER BY window_end DESC LIMIT 4",
    },
];

/// How far each source is.
pub(super) const SOURCES: &str =
    "SELECT name, rows, watermark::time(0) AS watermark FROM highwater.sources ORDER BY name";
/// The newest closed epoch.
pub(super) const EPOCHS: &str = "SELECT closed FROM highwater.epochs";

/// All that is to be made, in order. The auction begins now, at so many events a second.
pub(super) fn statements(rate: u32) -> Vec<String> {
    let start = Utc::now().format("%Y-%m-%d %H:%M:%S");
    let mut all: Vec<String> = ["person", "auction", "bid"]
        .iter()
        .map(|table| {
            format!(
                "CREATE SOURCE {table} (WATERMARK FOR date_time AS date_time - INTERVAL '1 second')
WITH (connector = 'nexmark', table = '{table}', rate = '{rate}', start = '{start}')"
            )
        })
        .collect();
    all.push("CREATE TABLE category (id bigint PRIMARY KEY, name text NOT NULL)".to_string());
    all.push(
        "INSERT INTO category VALUES (10, 'art'), (11, 'books'), (12, 'cameras'), (13, 'garden'), (14, 'music')"
            .to_string(),
    );
    all.extend(
        VIEWS
            .iter()
            .map(|view| format!("CREATE MATERIALIZED VIEW {} AS\n{}", view.name, view.query)),
    );
    all
}
