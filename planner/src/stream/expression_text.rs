//! Expressions of a stream plan as SQL, for EXPLAIN. Functions named like an operator stand between their operands.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{AggregateFunction, Case, InList, Sort, WindowFunction};
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Like, Operator};
use highwater_types::SqlType;

/// The text of an expression.
pub(super) fn expression(expr: &Expr) -> String {
    match expr {
        Expr::Column(column) => column.name.clone(),
        Expr::Alias(alias) => expression(&alias.expr),
        Expr::Literal(value, _) => literal(value),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => infix(left, &op.to_string(), right),
        Expr::Not(inner) => format!("NOT {}", operand(inner)),
        Expr::Negative(inner) => format!("-{}", operand(inner)),
        Expr::IsNull(inner) => format!("{} IS NULL", operand(inner)),
        Expr::IsNotNull(inner) => format!("{} IS NOT NULL", operand(inner)),
        Expr::IsTrue(inner) => format!("{} IS TRUE", operand(inner)),
        Expr::IsFalse(inner) => format!("{} IS FALSE", operand(inner)),
        Expr::Cast(Cast { expr, field }) => format!("{}::{}", operand(expr), SqlType::of_field(field)),
        Expr::ScalarFunction(function) => match (function.name(), function.args.as_slice()) {
            (symbol, [left, right]) if is_symbol(symbol) => infix(left, symbol, right),
            (name, args) => format!("{name}({})", list(args)),
        },
        Expr::AggregateFunction(call) => aggregate(call),
        Expr::WindowFunction(call) => window(call),
        Expr::Case(case) => case_text(case),
        Expr::Like(like) => like_text(like),
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) => {
            let not = if *negated { "NOT " } else { "" };
            format!("{} {not}BETWEEN {} AND {}", operand(expr), operand(low), operand(high))
        }
        Expr::InList(InList {
            expr,
            list: of,
            negated,
        }) => {
            let not = if *negated { "NOT " } else { "" };
            format!("{} {not}IN ({})", operand(expr), list(of))
        }
        other => other.human_display().to_string(),
    }
}

/// In parentheses where it is an operation itself.
fn operand(expr: &Expr) -> String {
    let compound = match expr {
        Expr::BinaryExpr(_) | Expr::Not(_) | Expr::Like(_) | Expr::Between(_) | Expr::InList(_) => true,
        Expr::ScalarFunction(function) => is_symbol(function.name()) && function.args.len() == 2,
        Expr::Alias(alias) => return operand(&alias.expr),
        _ => false,
    };
    let text = expression(expr);
    if compound { format!("({text})") } else { text }
}

fn infix(left: &Expr, symbol: &str, right: &Expr) -> String {
    // A chain of AND or of OR reads better without parentheses.
    let side = |expr: &Expr| match expr {
        Expr::BinaryExpr(inner) if matches!(symbol, "AND" | "OR") && inner.op.to_string() == symbol => expression(expr),
        Expr::BinaryExpr(inner) if symbol == "AND" && is_comparison(&inner.op) => expression(expr),
        _ => operand(expr),
    };
    format!("{} {symbol} {}", side(left), side(right))
}

fn is_comparison(op: &Operator) -> bool {
    matches!(
        op,
        Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
    )
}

fn is_symbol(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_alphanumeric() || c == '_')
}

fn list(exprs: &[Expr]) -> String {
    let texts: Vec<String> = exprs.iter().map(expression).collect();
    texts.join(", ")
}

fn literal(value: &ScalarValue) -> String {
    match value {
        value if value.is_null() => "NULL".to_string(),
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        ScalarValue::IntervalMonthDayNano(Some(interval)) => {
            let mut parts = Vec::new();
            for (count, word) in [(interval.months, "months"), (interval.days, "days")] {
                if count != 0 {
                    parts.push(format!("{count} {word}"));
                }
            }
            let micros = interval.nanoseconds / 1000;
            if micros != 0 || parts.is_empty() {
                parts.push(duration(micros));
            }
            format!("interval '{}'", parts.join(" "))
        }
        other => other.to_string(),
    }
}

/// A length of time in the largest unit that it is a whole number of.
pub(super) fn duration(us: i64) -> String {
    const UNITS: [(i64, &str); 6] = [
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "min"),
        (1_000_000, "s"),
        (1000, "ms"),
        (1, "us"),
    ];
    UNITS
        .iter()
        .find(|(unit, _)| us % unit == 0)
        .map_or_else(|| format!("{us}us"), |(unit, word)| format!("{}{word}", us / unit))
}

fn aggregate(call: &AggregateFunction) -> String {
    let params = &call.params;
    let distinct = if params.distinct { "DISTINCT " } else { "" };
    let mut text = format!("{}({distinct}{}", call.func.name(), list(&params.args));
    if !params.order_by.is_empty() {
        text.push_str(&format!(" ORDER BY {}", sorts(&params.order_by)));
    }
    text.push(')');
    if let Some(filter) = &params.filter {
        text.push_str(&format!(" FILTER (WHERE {})", expression(filter)));
    }
    text
}

fn window(call: &WindowFunction) -> String {
    let params = &call.params;
    let mut over = Vec::new();
    if !params.partition_by.is_empty() {
        over.push(format!("PARTITION BY {}", list(&params.partition_by)));
    }
    if !params.order_by.is_empty() {
        over.push(format!("ORDER BY {}", sorts(&params.order_by)));
        over.push(params.window_frame.to_string());
    }
    format!("{}({}) OVER ({})", call.fun.name(), list(&params.args), over.join(" "))
}

/// Without what PostgreSQL adds by itself: ascending with NULLs last, descending with NULLs first.
fn sorts(sorts: &[Sort]) -> String {
    let texts: Vec<String> = sorts
        .iter()
        .map(|sort| {
            let direction = if sort.asc { "" } else { " DESC" };
            let nulls = match (sort.asc, sort.nulls_first) {
                (true, false) | (false, true) => "",
                (true, true) => " NULLS FIRST",
                (false, false) => " NULLS LAST",
            };
            format!("{}{direction}{nulls}", expression(&sort.expr))
        })
        .collect();
    texts.join(", ")
}

fn case_text(case: &Case) -> String {
    let mut text = "CASE".to_string();
    if let Some(subject) = &case.expr {
        text.push_str(&format!(" {}", expression(subject)));
    }
    for (when, then) in &case.when_then_expr {
        text.push_str(&format!(" WHEN {} THEN {}", expression(when), expression(then)));
    }
    if let Some(otherwise) = &case.else_expr {
        text.push_str(&format!(" ELSE {}", expression(otherwise)));
    }
    text.push_str(" END");
    text
}

fn like_text(like: &Like) -> String {
    let not = if like.negated { "NOT " } else { "" };
    let word = if like.case_insensitive { "ILIKE" } else { "LIKE" };
    format!("{} {not}{word} {}", operand(&like.expr), operand(&like.pattern))
}
