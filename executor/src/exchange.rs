//! [`Route`]: how rows get from one operator's worker to the next one's. Rows stay where they are unless the plan
//! says that equal keys must meet; then each batch is hashed once, column by column, and cut into one batch a
//! worker. A batch whose rows all go to one worker moves by reference.

use std::rc::Rc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::datatypes::SchemaRef;
use highwater_types::Delta;
use timely::communication::{Pull, Push};
use timely::dataflow::channels::Message;
use timely::dataflow::channels::pact::{DistributorPact, ParallelizationContract, Pipeline};
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::logging::TimelyLogger;
use timely::progress::Stamp;
use timely::worker::Worker;

use crate::ExecError;
use crate::chunk::{Changes, Chunk};
use crate::hashing::{Purpose, hash_rows};

/// Where the rows of a stream go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// They stay on their worker.
    Stay,
    /// Rows that are equal in these columns meet on one worker. Without columns, all rows do.
    ByColumns(Vec<usize>),
}

impl Route {
    /// Checks that rows of `schema` can be routed so.
    ///
    /// # Errors
    /// When a column's type cannot be hashed.
    pub(crate) fn check(&self, schema: &SchemaRef) -> Result<(), ExecError> {
        match self {
            Route::Stay => Ok(()),
            Route::ByColumns(columns) => {
                let empty: Vec<ArrayRef> = columns
                    .iter()
                    .map(|c| arrow::array::new_empty_array(schema.field(*c).data_type()))
                    .collect();
                hash_rows(&empty, 0, Purpose::Exchange, &mut Vec::new())
            }
        }
    }
}

impl ParallelizationContract<u64, Chunk> for Route {
    type Pusher = Box<dyn Push<Message<u64, Chunk>>>;
    type Puller = Box<dyn Pull<Message<u64, Chunk>>>;

    fn connect(
        self,
        worker: &Worker,
        identifier: usize,
        address: Rc<[usize]>,
        logging: Option<TimelyLogger>,
    ) -> (Self::Pusher, Self::Puller) {
        match self {
            Route::ByColumns(columns) if worker.peers() > 1 => {
                let pact = DistributorPact(|workers| HashDistributor::new(columns, workers));
                let (push, pull) =
                    ParallelizationContract::<u64, Chunk>::connect(pact, worker, identifier, address, logging);
                (Box::new(push), Box::new(pull))
            }
            Route::Stay | Route::ByColumns(_) => {
                let (push, pull) =
                    ParallelizationContract::<u64, Chunk>::connect(Pipeline, worker, identifier, address, logging);
                (Box::new(push), Box::new(pull))
            }
        }
    }
}

/// Cuts each batch by the hash of its key columns.
struct HashDistributor {
    columns: Vec<usize>,
    hashes: Vec<u64>,
    rows_for: Vec<Vec<u32>>,
}

impl HashDistributor {
    fn new(columns: Vec<usize>, workers: usize) -> HashDistributor {
        HashDistributor {
            columns,
            hashes: Vec::new(),
            rows_for: vec![Vec::new(); workers],
        }
    }

    /// The parts of a delta and the worker that each is for.
    fn split(&mut self, delta: Delta, mut send: impl FnMut(usize, Delta)) {
        let workers = self.rows_for.len();
        if self.columns.is_empty() {
            return send(0, delta);
        }
        let keys: Vec<ArrayRef> = self.columns.iter().map(|c| delta.column(*c).clone()).collect();
        hash_rows(&keys, delta.num_rows(), Purpose::Exchange, &mut self.hashes)
            .expect("the route was checked against the stream's schema");
        self.rows_for.iter_mut().for_each(Vec::clear);
        for (row, hash) in self.hashes.iter().enumerate() {
            self.rows_for[worker_of(*hash, workers)].push(row as u32);
        }
        if let Some(only) = self.rows_for.iter().position(|rows| rows.len() == delta.num_rows()) {
            return send(only, delta);
        }
        for (worker, rows) in self.rows_for.iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            let part = delta
                .take(&UInt32Array::from(rows.clone()))
                .expect("the rows are the delta's own");
            send(worker, part);
        }
    }
}

/// Scales the hash's upper half to the number of workers.
fn worker_of(hash: u64, workers: usize) -> usize {
    (((hash >> 32) * workers as u64) >> 32) as usize
}

impl Distributor<Chunk> for HashDistributor {
    fn partition<T: Clone, P: Push<Message<T, Chunk>>>(
        &mut self,
        chunk: &mut Chunk,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let Some((tick, changes)) = chunk.take() else { return };
        let mut send = |worker: usize, changes: Changes| {
            if let Some(mut part) = Chunk::of(&tick, changes) {
                Message::push_at(&mut part, stamp.clone(), &mut pushers[worker]);
            }
        };
        match changes {
            // The weights of equal faults are summed over all workers, so any will do.
            Changes::Faults(faults) => send(0, Changes::Faults(faults)),
            Changes::Rows(delta) => self.split(delta, |worker, part| send(worker, Changes::Rows(part))),
        }
    }

    fn flush<T: Clone, P: Push<Message<T, Chunk>>>(&mut self, _stamp: &Stamp<T>, _pushers: &mut [P]) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use highwater_types::script::parse_delta;

    use super::*;

    #[test]
    fn every_row_goes_to_one_worker_and_equal_keys_to_the_same() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("k", DataType::Int64, true),
            Field::new("v", DataType::Utf8, true),
        ]));
        let text: Vec<String> = (0..100)
            .map(|i| format!("{} {} v{i}", if i % 3 == 0 { "-1" } else { "+1" }, i % 10))
            .collect();
        let delta = parse_delta(&schema, &text.join(", ")).expect("well formed");
        let mut distributor = HashDistributor::new(vec![0], 3);
        let mut home = std::collections::HashMap::new();
        let mut row_count = 0;
        let mut weight = 0;
        distributor.split(delta.clone(), |worker, part| {
            let keys = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(part.column(0)).clone();
            for key in keys.values() {
                assert_eq!(*home.entry(*key).or_insert(worker), worker);
            }
            row_count += part.num_rows();
            weight += (0..part.num_rows()).map(|r| part.weight(r)).sum::<i64>();
        });
        assert_eq!(row_count, 100);
        assert_eq!(weight, (0..100).map(|r| delta.weight(r)).sum::<i64>());
        assert!(
            home.values().any(|w| *w != home[&0]),
            "ten keys do not all hash to one of three workers"
        );
    }

    #[test]
    fn without_columns_all_rows_meet() {
        let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, true)]));
        let delta = parse_delta(&schema, "+1 1, +1 2").expect("well formed");
        let mut sent = Vec::new();
        HashDistributor::new(Vec::new(), 4).split(delta, |worker, part| sent.push((worker, part.num_rows())));
        assert_eq!(sent, vec![(0, 2)]);
    }
}
