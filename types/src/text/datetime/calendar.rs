//! The proleptic Gregorian calendar. Years are astronomical: 0 is 1 BC.

use super::{DAY_US, HOUR_US, MINUTE_US, SECOND_US};

/// A date and time of day, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Civil {
    /// Astronomical: 0 is 1 BC.
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// Since midnight.
    pub time_us: i64,
}

impl Civil {
    /// The date that is so many days after 1970-01-01, at midnight. (After Hinnant, "chrono-compatible low-level
    /// date algorithms".)
    pub fn from_days(days: i64) -> Civil {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        } as u32;
        let year = (year_of_era + era * 400 + i64::from(month <= 2)) as i32;
        Civil {
            year,
            month,
            day,
            time_us: 0,
        }
    }

    /// The date and time that is so many microseconds after 1970.
    pub fn from_micros(us: i64) -> Civil {
        Civil {
            time_us: us.rem_euclid(DAY_US),
            ..Civil::from_days(us.div_euclid(DAY_US))
        }
    }

    /// Days since 1970.
    pub fn days(&self) -> i64 {
        days_from_civil(i64::from(self.year), self.month, self.day)
    }

    /// Microseconds since 1970; may be more than a timestamp holds.
    pub fn micros(&self) -> i128 {
        i128::from(self.days()) * i128::from(DAY_US) + i128::from(self.time_us)
    }

    /// Hour of the day.
    pub fn hour(&self) -> i64 {
        self.time_us / HOUR_US
    }

    /// Minute of the hour.
    pub fn minute(&self) -> i64 {
        self.time_us / MINUTE_US % 60
    }

    /// Second of the minute.
    pub fn second(&self) -> i64 {
        self.time_us / SECOND_US % 60
    }

    /// Microsecond of the second.
    pub fn micro(&self) -> i64 {
        self.time_us % SECOND_US
    }
}

/// Days from 1970-01-01 to this date. Months outside of 1 to 12 are not allowed; days may be any.
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Whether the year has a 29 February.
pub fn is_leap_year(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// How many days the month has.
pub fn last_day_of_month(year: i32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap_year(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The Julian day of a day since 1970.
pub fn julian_day(days: i64) -> i64 {
    days + 2_440_588
}
