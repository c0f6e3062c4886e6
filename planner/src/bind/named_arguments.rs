//! Arguments given by name: `make_interval(days => 10)`.

use super::Typed;
use super::function::{Call, undefined_function};
use super::literal::int4;
use crate::error::{PlanError, Result};

/// The names of the parameters of the functions that are called this way.
fn parameters(function: &str) -> Option<&'static [&'static str]> {
    Some(match function {
        "make_interval" => &["years", "months", "weeks", "days", "hours", "mins", "secs"],
        "make_date" => &["year", "month", "day"],
        "make_time" => &["hour", "min", "sec"],
        "make_timestamp" => &["year", "month", "mday", "hour", "min", "sec"],
        "make_timestamptz" => &["year", "month", "mday", "hour", "min", "sec", "timezone"],
        "jsonb_set" => &["jsonb_in", "path", "replacement", "create_if_missing"],
        "jsonb_insert" => &["jsonb_in", "path", "replacement", "insert_after"],
        "parse_ident" => &["str", "strict"],
        _ => return None,
    })
}

/// The arguments in the order of the function's parameters. What `make_interval` is not told is zero.
pub(crate) fn place(call: &Call<'_>, args: Vec<Typed>) -> Result<Vec<Typed>> {
    if call.arg_names.iter().all(Option::is_none) {
        return Ok(args);
    }
    let undefined = undefined_function(&call.name, &args);
    let Some(parameters) = parameters(&call.name) else {
        return Err(undefined);
    };
    let mut placed: Vec<Option<Typed>> = vec![None; parameters.len()];
    for (position, (arg, name)) in args.into_iter().zip(&call.arg_names).enumerate() {
        let slot = match name {
            None => placed.get_mut(position),
            Some(name) => match parameters.iter().position(|p| p == name) {
                Some(at) => placed.get_mut(at),
                None => None,
            },
        };
        match slot {
            Some(slot) if slot.is_none() => *slot = Some(arg),
            Some(_) | None => return Err(undefined),
        }
    }
    if call.name == "make_interval" {
        return Ok(placed.into_iter().map(|arg| arg.unwrap_or_else(|| int4(0))).collect());
    }
    let given = placed.iter().take_while(|arg| arg.is_some()).count();
    if placed[given..].iter().any(Option::is_some) {
        return Err(PlanError::syntax("positional argument cannot follow named argument"));
    }
    Ok(placed.into_iter().flatten().collect())
}
