//! [`Screen`]: where the demo is seen. On a terminal the picture is drawn over the last one, on the terminal's other
//! page, and the last picture stays when the demo ends; elsewhere there is a line a second, and the views now and
//! then.

use std::io::{self, IsTerminal, Stdout, Write};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{execute, queue};

use super::picture::Picture;

/// Where there is no terminal the views are written with every so many lines.
const LINES_PER_PICTURE: u64 = 5;
/// A page where there is no terminal.
const PLAIN_SIZE: (usize, usize) = (160, 60);

/// The terminal, or what stands for it.
pub(super) struct Screen {
    out: Stdout,
    is_terminal: bool,
    /// Whether the terminal shows its other page.
    is_open: bool,
    drawn_count: u64,
    /// The last picture's lines, where they have not been written for good.
    last: Vec<String>,
}

impl Screen {
    /// The standard output.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub(super) fn open() -> io::Result<Screen> {
        let out = io::stdout();
        Ok(Screen {
            is_terminal: out.is_terminal(),
            out,
            is_open: false,
            drawn_count: 0,
            last: Vec::new(),
        })
    }

    /// Whether pictures are drawn over each other.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Writes a line before the first picture.
    ///
    /// # Errors
    /// When the output cannot be written to.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// Shows a picture.
    ///
    /// # Errors
    /// When the output cannot be written to.
    pub(super) fn draw(&mut self, picture: &Picture) -> io::Result<()> {
        if self.is_terminal {
            self.redraw(picture)?;
        } else {
            let (width, height) = PLAIN_SIZE;
            self.last = picture.lines(width, height);
            match self.drawn_count % LINES_PER_PICTURE {
                0 => self.write_last()?,
                _ => writeln!(self.out, "{}", picture.status())?,
            }
        }
        self.drawn_count += 1;
        self.out.flush()
    }

    fn redraw(&mut self, picture: &Picture) -> io::Result<()> {
        if !self.is_open {
            execute!(self.out, EnterAlternateScreen, Hide)?;
            self.is_open = true;
        }
        let (width, height) = terminal::size()?;
        self.last = picture.lines(width.into(), height.into());
        for (row, line) in (0..).zip(&self.last) {
            queue!(self.out, MoveTo(0, row))?;
            write!(self.out, "{line}")?;
            queue!(self.out, Clear(ClearType::UntilNewLine))?;
        }
        queue!(self.out, Clear(ClearType::FromCursorDown))
    }

    fn write_last(&mut self) -> io::Result<()> {
        for line in self.last.drain(..) {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Gives the terminal back, with the last picture on it.
    ///
    /// # Errors
    /// When the output cannot be written to.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.leave()?;
        self.write_last()?;
        self.out.flush()
    }

    fn leave(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_open) {
            execute!(self.out, Show, LeaveAlternateScreen)?;
        }
        Ok(())
    }
}

impl Drop for Screen {
    /// A panic must not leave the user without a cursor.
    fn drop(&mut self) {
        self.leave().ok();
    }
}
