//! What the operators of one view share on one worker: which epochs are open, whether the view has failed, and who
//! reads it. Single-threaded, but for [`Health`], which all workers share.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;
use highwater_types::{Epoch, RelationId, Tick};

use crate::chunk::Changes;
use crate::{ExecError, Report};

/// Whether a view has failed, known to all workers.
#[derive(Debug)]
pub(crate) struct Health {
    view: RelationId,
    has_failed: AtomicBool,
    reports: Sender<Report>,
}

impl Health {
    /// A view that is well.
    pub(crate) fn new(view: RelationId, reports: Sender<Report>) -> Health {
        Health {
            view,
            has_failed: AtomicBool::new(false),
            reports,
        }
    }

    /// Marks the view as failed. Only the first reason is reported.
    pub(crate) fn fail(&self, error: ExecError) {
        if !self.has_failed.swap(true, Ordering::AcqRel) {
            let report = Report::ViewFailed {
                view: self.view,
                error: error.into(),
            };
            // Nobody listens any more when the server stops.
            self.reports.send(report).ok();
        }
    }

    /// Whether it has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }
}

/// What one view's operators share on one worker.
#[derive(Debug)]
pub(crate) struct FlowState {
    pub(crate) view: RelationId,
    pub(crate) health: Arc<Health>,
    /// Ticks of open epochs, oldest first: fed to the dataflow, not yet through it on all workers.
    schedule: RefCell<VecDeque<Arc<Tick>>>,
    /// All of the view's output before this epoch has reached this worker's sink.
    delivered: Cell<u64>,
    /// The first epoch that the view has yet to deliver here; `u64::MAX` when there is none.
    owes: Cell<u64>,
    readers: RefCell<Vec<Rc<Reader>>>,
}

impl FlowState {
    /// For a view without epochs.
    pub(crate) fn new(view: RelationId, health: Arc<Health>) -> FlowState {
        FlowState {
            view,
            health,
            schedule: RefCell::default(),
            delivered: Cell::new(0),
            owes: Cell::new(u64::MAX),
            readers: RefCell::default(),
        }
    }

    /// Opens an epoch later than all before. Must precede the epoch's input.
    pub(crate) fn open(&self, tick: &Arc<Tick>) {
        let mut schedule = self.schedule.borrow_mut();
        debug_assert!(
            schedule.back().is_none_or(|last| last.epoch < tick.epoch),
            "epochs open in order"
        );
        schedule.push_back(Arc::clone(tick));
    }

    /// Forgets open epochs before `epoch`.
    pub(crate) fn forget_before(&self, epoch: u64) {
        let mut schedule = self.schedule.borrow_mut();
        while schedule.front().is_some_and(|tick| tick.epoch.0 < epoch) {
            schedule.pop_front();
        }
    }

    /// The first open epoch from `epoch` on.
    pub(crate) fn first_open_from(&self, epoch: u64) -> Option<Arc<Tick>> {
        let schedule = self.schedule.borrow();
        let at = schedule.partition_point(|tick| tick.epoch.0 < epoch);
        schedule.get(at).cloned()
    }

    /// All output before this epoch has reached the sink.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.get()
    }

    /// Moves [`FlowState::delivered`] on.
    pub(crate) fn set_delivered(&self, epoch: u64) {
        self.delivered.set(epoch);
    }

    /// The first epoch that the view has yet to deliver here.
    pub(crate) fn owes(&self) -> u64 {
        self.owes.get()
    }

    /// Says what [`FlowState::owes`] answers.
    pub(crate) fn set_owes(&self, epoch: u64) {
        self.owes.set(epoch);
    }

    /// From now on, what reaches the sink after epoch `after` goes to this reader as well.
    pub(crate) fn add_reader(&self, after: Epoch) -> Rc<Reader> {
        let reader = Rc::new(Reader {
            after,
            queue: RefCell::default(),
        });
        self.readers.borrow_mut().push(Rc::clone(&reader));
        reader
    }

    /// The reader is gone.
    pub(crate) fn remove_reader(&self, reader: &Rc<Reader>) {
        self.readers.borrow_mut().retain(|r| !Rc::ptr_eq(r, reader));
    }

    /// Hands output of the oldest open epoch to all readers.
    pub(crate) fn publish(&self, tick: &Arc<Tick>, changes: &Changes) {
        for reader in self.readers.borrow().iter().filter(|r| r.after < tick.epoch) {
            reader.queue.borrow_mut().push_back((Arc::clone(tick), changes.clone()));
        }
    }
}

/// A view's output on its way to another view, in the order of epochs.
#[derive(Debug)]
pub(crate) struct Reader {
    after: Epoch,
    queue: RefCell<VecDeque<(Arc<Tick>, Changes)>>,
}

impl Reader {
    /// The next changes, when their epoch is not after `epoch`.
    pub(crate) fn next_until(&self, epoch: u64) -> Option<(Arc<Tick>, Changes)> {
        let mut queue = self.queue.borrow_mut();
        if queue.front().is_none_or(|(tick, _)| tick.epoch.0 > epoch) {
            return None;
        }
        queue.pop_front()
    }

    /// Throws away what waits.
    pub(crate) fn clear(&self) {
        self.queue.borrow_mut().clear();
    }
}
