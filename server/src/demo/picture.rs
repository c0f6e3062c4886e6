//! [`Picture`]: what the demo shows at one moment, and the lines that this makes. A pure function, so that what is
//! drawn can be tested as text.

use super::client::Table;
use super::market::View;

/// Lines of the head: figures, how to connect.
const HEAD_LINES: usize = 2;
/// Lines of a view beside its rows: name, columns.
const VIEW_LINES: usize = 2;
/// Rows of a view at most.
const MAX_ROWS: usize = 4;

/// The figures at the top.
#[derive(Debug)]
pub(super) struct Figures {
    /// Seconds since the views were made.
    pub seconds: u64,
    /// Rows that the sources have brought.
    pub row_count: u64,
    /// Rows a second since the last picture; `None` in the first.
    pub rows_per_second: Option<f64>,
    /// The newest closed epoch.
    pub epoch: String,
    /// Each source's watermark.
    pub watermarks: Vec<String>,
}

/// Everything, at one epoch.
pub(super) struct Picture {
    /// The figures.
    pub figures: Figures,
    /// The command that connects.
    pub connect: String,
    /// Each view, and its rows.
    pub views: Vec<(&'static View, Table)>,
}

impl Picture {
    /// One line with all figures.
    pub(super) fn status(&self) -> String {
        let figures = &self.figures;
        // All three sources are one auction: the one that is furthest behind tells how far it is.
        let watermark = figures.watermarks.iter().min();
        format!(
            "{} s  {} rows/s  {} rows  epoch {}  watermark {}",
            figures.seconds,
            figures
                .rows_per_second
                .map_or("-".to_string(), |rate| grouped(rate.round() as u64)),
            grouped(figures.row_count),
            figures.epoch,
            watermark.map_or("-", String::as_str)
        )
    }

    /// The whole picture, at most so many lines of so many characters.
    pub(super) fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let mut lines = vec![self.status(), format!("{}   (Ctrl-C ends the demo)", self.connect)];
        let room = height.saturating_sub(HEAD_LINES) / self.views.len().max(1);
        // An empty line between views is worth more than a third row.
        let is_roomy = room > VIEW_LINES + 2;
        let rows = room
            .saturating_sub(VIEW_LINES + usize::from(is_roomy))
            .clamp(1, MAX_ROWS);
        for (view, table) in &self.views {
            if is_roomy {
                lines.push(String::new());
            }
            lines.push(format!("{}: {}", view.name, view.about));
            lines.extend(aligned(table, rows).into_iter().map(|line| format!("  {line}")));
        }
        lines.truncate(height);
        lines
            .into_iter()
            .map(|line| line.chars().take(width).collect())
            .collect()
    }
}

/// A table's head and first rows, each column as wide as it must be. Rows that are not there yet are empty lines, so
/// that nothing below jumps when they come.
fn aligned(table: &Table, rows: usize) -> Vec<String> {
    let shown: Vec<&Vec<String>> = std::iter::once(&table.columns)
        .chain(table.rows.iter().take(rows))
        .collect();
    let width = |column: usize| {
        let cells = shown.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let mut lines: Vec<String> = shown
        .iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:>width$}"))
                .collect();
            cells.join("  ")
        })
        .collect();
    lines.resize(rows + 1, String::new());
    lines
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::market::VIEWS;

    fn picture() -> Picture {
        let table = Table {
            columns: vec!["end".to_string(), "bids".to_string()],
            rows: vec![vec!["10:00:05".to_string(), "45999".to_string()]],
        };
        Picture {
            figures: Figures {
                seconds: 7,
                row_count: 1_234_567,
                rows_per_second: Some(9_999.6),
                epoch: "42".to_string(),
                watermarks: vec!["10:00:02".to_string(), "10:00:01".to_string()],
            },
            connect: "psql -p 7432".to_string(),
            views: vec![(&VIEWS[0], table)],
        }
    }

    #[test]
    fn a_picture_shows_figures_views_and_rows() {
        assert_eq!(
            picture().lines(80, 8),
            [
                "7 s  10,000 rows/s  1,234,567 rows  epoch 42  watermark 10:00:01",
                "psql -p 7432   (Ctrl-C ends the demo)",
                "",
                "bids_per_window: bids in windows of five seconds (TUMBLE)",
                "       end   bids",
                "  10:00:05  45999",
                "  ",
                "  ",
            ]
        );
    }

    #[test]
    fn a_picture_fits_a_small_terminal() {
        let lines = picture().lines(20, 5);
        assert_eq!(lines.len(), 5);
        assert!(lines.iter().all(|line| line.len() <= 20), "{lines:?}");
    }
}
