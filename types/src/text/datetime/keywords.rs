//! The words that dates, times and intervals are written with.

/// What a word in a date or time means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Month(u32),
    /// Day of the week, which is read and ignored.
    Weekday,
    Noise,
    Ad,
    Bc,
    Am,
    Pm,
    /// `allballs`: midnight UTC.
    Midnight,
    Epoch,
    Infinity,
    NegInfinity,
    Now,
    Today,
    Tomorrow,
    Yesterday,
    /// A Julian day follows.
    Julian,
    /// `t`: a time follows.
    TimeFollows,
    /// `dst`: an hour more.
    Dst,
    /// A unit, which only intervals use.
    Unit,
}

/// The keyword tables know words by their first letters, this many.
const WORD_LETTERS: usize = 10;

/// What the word means in a date or time.
pub(super) fn datetime_word(word: &str) -> Option<Word> {
    let word = word.get(..WORD_LETTERS).unwrap_or(word);
    Some(match word {
        "jan" | "january" => Word::Month(1),
        "feb" | "february" => Word::Month(2),
        "mar" | "march" => Word::Month(3),
        "apr" | "april" => Word::Month(4),
        "may" => Word::Month(5),
        "jun" | "june" => Word::Month(6),
        "jul" | "july" => Word::Month(7),
        "aug" | "august" => Word::Month(8),
        "sep" | "sept" | "september" => Word::Month(9),
        "oct" | "october" => Word::Month(10),
        "nov" | "november" => Word::Month(11),
        "dec" | "december" => Word::Month(12),
        "sun" | "sunday" | "mon" | "monday" | "tue" | "tues" | "tuesday" | "wed" | "weds" | "wednesday" | "thu"
        | "thur" | "thurs" | "thursday" | "fri" | "friday" | "sat" | "saturday" => Word::Weekday,
        "at" | "on" => Word::Noise,
        "ad" => Word::Ad,
        "bc" => Word::Bc,
        "am" => Word::Am,
        "pm" => Word::Pm,
        "allballs" => Word::Midnight,
        "epoch" => Word::Epoch,
        "infinity" => Word::Infinity,
        "-infinity" => Word::NegInfinity,
        "now" => Word::Now,
        "today" => Word::Today,
        "tomorrow" => Word::Tomorrow,
        "yesterday" => Word::Yesterday,
        "j" | "jd" | "julian" => Word::Julian,
        "t" => Word::TimeFollows,
        "dst" => Word::Dst,
        "d" | "dow" | "doy" | "h" | "isodow" | "isoyear" | "m" | "mm" | "s" | "y" => Word::Unit,
        _ => return None,
    })
}

/// A unit of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Decade,
    Century,
    Millennium,
}

/// What a word means in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IntervalWord {
    Unit(Unit),
    Ago,
    Noise,
}

/// What the word means in an interval.
pub(super) fn interval_word(word: &str) -> Option<IntervalWord> {
    let word = word.get(..WORD_LETTERS).unwrap_or(word);
    let unit = match word {
        "ago" => return Some(IntervalWord::Ago),
        "at" | "on" => return Some(IntervalWord::Noise),
        "us" | "usec" | "usecond" | "useconds" | "usecs" | "microsecon" => Unit::Microsecond,
        "ms" | "msec" | "mseconds" | "msecond" | "msecs" | "millisecon" => Unit::Millisecond,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennium" | "millennia" => Unit::Millennium,
        _ => return None,
    };
    Some(IntervalWord::Unit(unit))
}
