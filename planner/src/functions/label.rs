//! The name that DataFusion gives the column of a call. It is made of the arguments' names, anew at every level, so that
//! in a deep tree of calls names would take the square of the depth to write, and the types that go with them the cube.
//! A call of many parts is therefore named by a digest of them.

use std::hash::{DefaultHasher, Hash, Hasher};

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Expr;

/// A call of more parts than this is not written out.
const MAX_PARTS: usize = 64;

/// The arguments in the name of the column that a call makes.
pub(crate) fn arguments(args: &[Expr]) -> Result<String> {
    if has_more_parts_than(MAX_PARTS, args)? {
        let mut digest = DefaultHasher::new();
        args.hash(&mut digest);
        return Ok(format!("#{:016x}", digest.finish()));
    }
    let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
    Ok(names.join(","))
}

fn has_more_parts_than(limit: usize, args: &[Expr]) -> Result<bool> {
    let mut parts = 0;
    for arg in args {
        arg.apply(|_| {
            parts += 1;
            Ok(match parts > limit {
                true => TreeNodeRecursion::Stop,
                false => TreeNodeRecursion::Continue,
            })
        })?;
        if parts > limit {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    fn sum(terms: i64) -> Expr {
        (1..terms).fold(col("a"), |sum, term| sum + lit(term))
    }

    #[test]
    fn only_what_is_long_is_named_by_a_digest() -> Result<()> {
        assert_eq!(arguments(&[col("a"), lit(1)])?, "a,Int32(1)");
        let long = arguments(&[sum(500)])?;
        assert!(long.len() < 64, "{long}");
        assert_eq!(long, arguments(&[sum(500)])?);
        assert_ne!(long, arguments(&[sum(501)])?);
        Ok(())
    }
}
