//! `to_char` of numbers, and `to_number`.
//!
//! A template's digits are `9` and `0`; `.` or `D` is the point, `,` or `G` groups, `FM` drops padding, and the sign is
//! a blank or minus before the number unless `S`, `MI`, `PL`, `SG` or `PR` says where it stands.

use arrow::array::{Array, ArrayRef};
use highwater_types::text::numeric::{DisplayScale, Numeric, parse_numeric, write_numeric};
use highwater_types::{SqlError, SqlType};

use super::cast_number::{float_text, numeric_at, scale_of};
use super::function::{Call, Function, Takes};
use super::rows::{Answer, Float8, Text, map_rows, map2};

/// All of them.
pub(crate) fn functions() -> Vec<Function> {
    use Takes as T;
    vec![
        Function::new("to_char", &[T::Numeric, T::Text], || SqlType::Text, of_numeric),
        Function::new(
            "to_char",
            &[T::Float8, T::Text],
            || SqlType::Text,
            |c| map2::<Float8, Text, _>(c, of_float),
        ),
        Function::new("to_number", &[T::Text, T::Text], || SqlType::Numeric(None), to_number),
    ]
}

/// A double has 15 digits here, and is rounded as C's `printf` rounds it: exactly, halves to even.
fn of_float(value: f64, template: &str) -> Answer<String> {
    const DIGITS: usize = 15;
    let parsed = parse(template)?;
    let fraction_width = parsed.fraction_width();
    if !value.is_finite() || parsed.roman.is_some() || parsed.shift.is_some() {
        return format(parse_numeric(&float_text(value, false), None, 20)?, 20, template);
    }
    if parsed.is_scientific {
        let has_sign = parsed.sign != Sign::Floating;
        return Ok(Some(super::format_special::scientific_float(
            value,
            fraction_width,
            has_sign,
        )));
    }
    let whole = format!("{:.0}", value.abs()).len();
    let rounded = format!("{value:.*}", fraction_width.min(DIGITS.saturating_sub(whole)));
    format(parse_numeric(&rounded, None, 20)?, 20, template)
}

fn of_numeric(call: &Call) -> Result<ArrayRef, SqlError> {
    use arrow::array::AsArray;
    let (number, template) = (&call.args[0], &call.args[1]);
    let scale = scale_of(number.array.data_type());
    map_rows(call, |row| {
        let template = template.array.as_string::<i32>().value(template.at(row));
        format(numeric_at(number.array.as_ref(), number.at(row)), scale, template)
    })
}

/// Where the sign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// Before the first digit.
    Floating,
    /// `S` before or after the number, always shown.
    Before,
    After,
    /// `MI`: a minus or a blank.
    Minus,
    /// `SG`: always shown, where it stands.
    Shown,
    /// `PR`: in angle brackets.
    Brackets,
}

/// One place of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// A digit; with leading zeros if true.
    Digit(bool),
    Point,
    Group,
    Sign(Sign),
    /// `PL`: a plus or a blank, beside the sign that floats.
    Plus,
    Text(String),
    Ordinal(bool),
}

struct Template {
    places: Vec<Place>,
    fills: bool,
    sign: Sign,
    /// `RN`, in capitals if true.
    roman: Option<bool>,
    /// `EEEE`.
    is_scientific: bool,
    /// `V`: how many digits stand before it.
    shift: Option<usize>,
}

impl Template {
    /// The digits after the point.
    fn fraction_width(&self) -> usize {
        let after = self.places.iter().skip_while(|p| **p != Place::Point);
        after.filter(|p| matches!(p, Place::Digit(_))).count()
    }

    fn digit_count(&self) -> usize {
        self.places.iter().filter(|p| matches!(p, Place::Digit(_))).count()
    }
}

fn parse(template: &str) -> Result<Template, SqlError> {
    let mut parsed = Template {
        places: Vec::new(),
        fills: true,
        sign: Sign::Floating,
        roman: None,
        is_scientific: false,
        shift: None,
    };
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        let two = rest.get(..2).map(str::to_ascii_uppercase).unwrap_or_default();
        let (place, length) = match (two.as_str(), c) {
            ("FM", _) => {
                parsed.fills = false;
                (None, 2)
            }
            ("MI", _) => (Some(Place::Sign(Sign::Minus)), 2),
            ("PL", _) => (Some(Place::Plus), 2),
            ("SG", _) => (Some(Place::Sign(Sign::Shown)), 2),
            ("PR", _) => (Some(Place::Sign(Sign::Brackets)), 2),
            ("TH", _) => (Some(Place::Ordinal(c == 'T')), 2),
            ("RN", _) => {
                parsed.roman = Some(c == 'R');
                (None, 2)
            }
            ("EE", _) if rest.len() >= 4 && rest[..4].eq_ignore_ascii_case("EEEE") => {
                parsed.is_scientific = true;
                (None, 4)
            }
            (_, 'V' | 'v') => {
                parsed.shift = Some(parsed.digit_count());
                (None, 1)
            }
            (_, '9') => (Some(Place::Digit(false)), 1),
            (_, '0') => (Some(Place::Digit(true)), 1),
            (_, '.' | 'D' | 'd') => (Some(Place::Point), 1),
            (_, ',' | 'G' | 'g') => (Some(Place::Group), 1),
            (_, 'L' | 'l') => (Some(Place::Text(" ".to_string())), 1),
            (_, 'S' | 's') => {
                let has_digits = parsed.places.iter().any(|p| matches!(p, Place::Digit(_)));
                (
                    Some(Place::Sign(if has_digits { Sign::After } else { Sign::Before })),
                    1,
                )
            }
            (_, '"') => {
                let inside: String = rest[1..].chars().take_while(|c| *c != '"').collect();
                let length = (inside.len() + 2).min(rest.len());
                (Some(Place::Text(inside)), length)
            }
            (_, other) => (Some(Place::Text(other.to_string())), other.len_utf8()),
        };
        if let Some(Place::Sign(sign)) = &place {
            parsed.sign = *sign;
        }
        parsed.places.extend(place);
        rest = &rest[length..];
    }
    Ok(parsed)
}

fn format(number: Numeric, scale: i32, template: &str) -> Answer<String> {
    let template = parse(template)?;
    if let Some(capitals) = template.roman {
        return Ok(Some(super::format_special::roman(
            number,
            scale,
            capitals,
            template.fills,
        )));
    }
    let point = template
        .places
        .iter()
        .position(|p| *p == Place::Point)
        .unwrap_or(template.places.len());
    let digits_in = |places: &[Place]| places.iter().filter(|p| matches!(p, Place::Digit(_))).count();
    let (whole_width, fraction_width) = (
        digits_in(&template.places[..point]),
        digits_in(&template.places[point..]),
    );
    if template.is_scientific {
        return Ok(Some(super::format_special::scientific(
            number,
            scale,
            fraction_width,
            template.sign != Sign::Floating,
        )));
    }
    // `V` multiplies by ten for each digit behind it.
    let shifted = template.shift.map_or(0, |before| template.digit_count() - before);
    let scale = scale - shifted as i32;
    let Some(text) = digits(number, scale, fraction_width) else {
        return Ok(Some("#".repeat(template.places.len().max(1))));
    };
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (rest.bytes().any(|b| (b'1'..=b'9').contains(&b)), rest.to_string()),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = if whole == "0" { "" } else { whole };
    if whole.len() > whole_width {
        return Ok(Some(overflowed(&template, is_negative)));
    }
    Ok(Some(lay_out(
        &template,
        point,
        whole_width,
        whole,
        fraction,
        is_negative,
    )))
}

/// The number's digits, rounded to so many after the point; `None` for what has no digits.
fn digits(number: Numeric, scale: i32, fraction_width: usize) -> Option<String> {
    let Numeric::Finite(value) = number else {
        return None;
    };
    let width = fraction_width as i32;
    let value = highwater_types::text::numeric::rescale(value, scale, width)?;
    let mut text = Vec::new();
    write_numeric(Numeric::Finite(value), width, DisplayScale::Full, &mut text);
    String::from_utf8(text).ok()
}

/// A number that has more digits than the template: hashes in their place.
fn overflowed(template: &Template, is_negative: bool) -> String {
    let mut out = String::new();
    if template.sign == Sign::Floating {
        out.push(if is_negative { '-' } else { ' ' });
    }
    for place in &template.places {
        match place {
            Place::Digit(_) => out.push('#'),
            Place::Point => out.push('.'),
            Place::Group => out.push(','),
            Place::Text(text) => out.push_str(text),
            Place::Sign(_) | Place::Plus | Place::Ordinal(_) => {}
        }
    }
    if template.fills {
        out
    } else {
        out.trim_start().to_string()
    }
}

fn lay_out(
    template: &Template,
    point: usize,
    whole_width: usize,
    whole: &str,
    fraction: &str,
    is_negative: bool,
) -> String {
    let mut out = String::new();
    let mut blanks = whole_width - whole.len();
    // From the first `0` on, blanks become zeros.
    let mut zeros = false;
    let mut started = false;
    let mut whole_digits = whole.chars();
    let mut fraction_digits = fraction.chars();
    let mut sign_at = None;
    for (at, place) in template.places.iter().enumerate() {
        match place {
            Place::Digit(zero) if at < point => {
                zeros |= *zero;
                if blanks > 0 {
                    blanks -= 1;
                    if zeros {
                        sign_at.get_or_insert(out.len());
                        started = true;
                        out.push('0');
                    } else if template.fills {
                        out.push(' ');
                    }
                } else {
                    sign_at.get_or_insert(out.len());
                    started = true;
                    out.extend(whole_digits.next());
                }
            }
            Place::Digit(_) => out.extend(fraction_digits.next()),
            Place::Group if at < point && !started => {
                if template.fills {
                    out.push(' ');
                }
            }
            Place::Group => out.push(','),
            Place::Point => {
                sign_at.get_or_insert(out.len());
                out.push('.');
            }
            Place::Text(text) => out.push_str(text),
            Place::Sign(Sign::Shown) => out.push(if is_negative { '-' } else { '+' }),
            Place::Sign(Sign::Minus) => out.push_str(if is_negative {
                "-"
            } else if template.fills {
                " "
            } else {
                ""
            }),
            Place::Plus => out.push_str(if !is_negative {
                "+"
            } else if template.fills {
                " "
            } else {
                ""
            }),
            Place::Sign(Sign::After) => out.push(if is_negative { '-' } else { '+' }),
            Place::Sign(_) => {}
            Place::Ordinal(upper) => {
                if !is_negative {
                    out.push_str(ordinal(whole, *upper));
                }
            }
        }
    }
    if !template.fills {
        trim_fraction(&mut out, template, point);
    }
    let at = sign_at.unwrap_or(out.len());
    match template.sign {
        Sign::Floating if is_negative => out.insert(at, '-'),
        Sign::Floating if template.fills => out.insert(at, ' '),
        Sign::Before => out.insert(at, if is_negative { '-' } else { '+' }),
        Sign::Brackets if is_negative => {
            out.insert(at, '<');
            out.push('>');
        }
        Sign::Brackets if template.fills => {
            out.insert(0, ' ');
            out.push(' ');
        }
        _ => {}
    }
    if whole.is_empty() && whole_width > 0 && fraction.is_empty() && !zeros {
        // Zero shows as one digit.
        let last = out.rfind(' ').map_or(out.len(), |at| at);
        if out.contains(' ') {
            out.replace_range(last..=last, "0");
        } else {
            out.push('0');
        }
    }
    out
}

/// With FM, zeros of the fraction that only `9`s stand for are dropped.
fn trim_fraction(out: &mut String, template: &Template, point: usize) {
    let kept = template.places[point.min(template.places.len())..]
        .iter()
        .filter(|p| matches!(p, Place::Digit(_)))
        .enumerate()
        .filter(|(_, p)| **p == Place::Digit(true))
        .map(|(at, _)| at + 1)
        .last()
        .unwrap_or(0);
    if let Some(dot) = out.rfind('.') {
        let least = dot + 1 + kept;
        while out.len() > least && out.ends_with('0') {
            out.pop();
        }
    }
}

fn ordinal(whole: &str, upper: bool) -> &'static str {
    let bytes = whole.as_bytes();
    let tens = bytes.len().checked_sub(2).map(|at| bytes[at]);
    match (tens, bytes.last(), upper) {
        (Some(b'1'), _, true) => "TH",
        (Some(b'1'), _, false) => "th",
        (_, Some(b'1'), true) => "ST",
        (_, Some(b'1'), false) => "st",
        (_, Some(b'2'), true) => "ND",
        (_, Some(b'2'), false) => "nd",
        (_, Some(b'3'), true) => "RD",
        (_, Some(b'3'), false) => "rd",
        (_, _, true) => "TH",
        (_, _, false) => "th",
    }
}

/// The digits, point and sign of a text, whatever stands between.
fn to_number(call: &Call) -> Result<ArrayRef, SqlError> {
    use arrow::array::AsArray;
    let text = &call.args[0];
    let values = (0..call.rows).map(|row| {
        if call.skips(row) {
            return Ok(None);
        }
        let text = text.array.as_string::<i32>().value(text.at(row));
        let mut digits: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
        if text.contains('-') || text.contains('<') {
            digits.insert(0, '-');
        }
        parse_numeric(&digits, None, 20).map(Some)
    });
    super::cast_number::build(&call.return_type, call.rows, values)
}
