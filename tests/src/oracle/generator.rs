//! [`Generator`]: makes a [`Case`] of a seed. What a query is made of is noted on the way ([`Generator::mark`]), so
//! that the statistic tells what was tested and not what was meant to be.

use std::collections::BTreeSet;

use super::case::{Case, Step, View};
use super::dice::Dice;
use super::relation::Relation;

/// Makes one case.
#[derive(Debug)]
pub struct Generator {
    pub(super) dice: Dice,
    pub(super) constructs: BTreeSet<&'static str>,
    pub(super) next_id: i64,
    pub(super) relations: Vec<Relation>,
}

/// A view, and how other views see it; `None` when its answer depends on more than its query and its input.
pub(super) struct Made {
    pub(super) view: View,
    pub(super) relation: Option<Relation>,
}

impl Generator {
    /// The case of a seed.
    pub fn case(seed: u64) -> Case {
        let mut generator = Generator {
            dice: Dice::new(seed),
            constructs: BTreeSet::new(),
            next_id: 0,
            relations: Vec::new(),
        };
        Case {
            seed,
            steps: generator.steps(),
        }
    }

    /// Notes that the query being made has this construct.
    pub(super) fn mark(&mut self, construct: &'static str) {
        self.constructs.insert(construct);
    }

    fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        let tables: Vec<Relation> = (0..2 + self.dice.below(3))
            .map(|number| Relation::table(&mut self.dice, number))
            .collect();
        steps.extend(tables.iter().cloned().map(Step::Table));
        self.relations.clone_from(&tables);
        let view_count = 4 + self.dice.below(5);
        let epochs = 4 + self.dice.below(5) as u32;
        let restart_at = self
            .dice
            .chance(10)
            .then(|| 1 + self.dice.below(epochs as usize) as u32);
        // When each view comes: half of them before any row, the others over history.
        let mut arrivals: Vec<u32> = (0..view_count)
            .map(|_| {
                if self.dice.chance(50) {
                    0
                } else {
                    self.dice.below(epochs as usize) as u32
                }
            })
            .collect();
        arrivals.sort_unstable();
        let mut arrivals = arrivals.into_iter().enumerate().peekable();
        for epoch in 0..epochs {
            while let Some((number, _)) = arrivals.next_if(|(_, at)| *at == epoch) {
                steps.extend(self.view_step(number, epoch));
            }
            steps.push(Step::Epoch(epoch, self.changes(&tables, epoch)));
            if restart_at == Some(epoch) {
                steps.push(Step::Restart);
            }
            if self.dice.chance(5) {
                steps.extend(self.drop_step(&steps));
            }
        }
        steps
    }

    /// A view, sometimes over an inline view made for it.
    fn view_step(&mut self, number: usize, epoch: u32) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.dice.chance(8) {
            let (relation, query) = self.inline_view(number);
            steps.push(Step::Inline(relation.name.clone(), query));
            self.relations.push(relation);
        }
        self.constructs.clear();
        let Made { mut view, relation } = self.view(format!("v{number}"));
        if epoch > 0 {
            self.mark("view over history");
        }
        view.constructs = std::mem::take(&mut self.constructs);
        self.relations.extend(relation);
        steps.push(Step::View(view));
        steps
    }

    /// A view that nothing reads goes.
    fn drop_step(&mut self, steps: &[Step]) -> Option<Step> {
        let views = steps.iter().filter_map(|step| match step {
            Step::View(view) => Some(view.name.clone()),
            _ => None,
        });
        let texts: Vec<String> = steps.iter().flat_map(Step::statements).collect();
        let mentions = |name: &String| texts.iter().filter(|text| text.contains(name.as_str())).count();
        let leaves: Vec<String> = views.filter(|name| mentions(name) == 1).collect();
        if leaves.is_empty() {
            return None;
        }
        let name = self.dice.pick(&leaves);
        self.relations.retain(|r| r.name != name);
        Some(Step::Drop(name))
    }
}
