//! The orders of this run of the service.

use std::collections::VecDeque;

use shop_chassis::log;

use crate::order::{Order, State, Wanted};

/// How many orders are remembered.
const REMEMBERED: usize = 10_000;

/// The orders, oldest first.
pub(crate) struct Book {
    /// Sets this run's order ids apart from those of other runs, which stock may still know.
    run: u64,
    opened: u64,
    orders: VecDeque<Order>,
}

impl Book {
    /// An empty book of the run that began at this time.
    pub(crate) fn new(began_ms: u64) -> Self {
        Self { run: began_ms, opened: 0, orders: VecDeque::new() }
    }

    /// Adds an order; the oldest is forgotten when there are too many.
    pub(crate) fn open(&mut self, wanted: &Wanted, total_cents: u64) -> Order {
        self.opened += 1;
        let order = Order {
            id: format!("{:x}-{}", self.run, self.opened),
            placed_ms: log::now_ms(),
            lines: wanted.lines.clone(),
            total_cents,
            state: State::Placed,
            reason: None,
            paid_by: None,
            tracking: None,
        };
        if self.orders.len() == REMEMBERED {
            self.orders.pop_front();
        }
        self.orders.push_back(order.clone());
        order
    }

    /// Replaces an order, unless it was forgotten.
    pub(crate) fn update(&mut self, order: &Order) {
        if let Some(known) = self.orders.iter_mut().rev().find(|known| known.id == order.id) {
            known.clone_from(order);
        }
    }

    /// One order.
    pub(crate) fn find(&self, id: &str) -> Option<Order> {
        self.orders.iter().rev().find(|order| order.id == id).cloned()
    }

    /// So many orders, newest first.
    pub(crate) fn latest(&self, count: usize) -> Vec<Order> {
        self.orders.iter().rev().take(count).cloned().collect()
    }
}
