//! The course of an order: reserve, pay, ship. When a step fails, the steps before it are undone
//! in reverse.
//!
//! Every step is named by the order's id, so that asking twice does it once, and undoing what was
//! never done does nothing. That is what makes a lost answer harmless: a step whose outcome is
//! unknown is simply undone too.

use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde_json::json;
use shop_chassis::{CallError, Peer, log};

use crate::order::{Order, State, Wanted};

/// How often undoing is tried.
const UNDO_ATTEMPTS: u32 = 6;

/// The services that an order goes through.
#[derive(Clone)]
pub(crate) struct Checkout {
    pub(crate) stock: Peer,
    pub(crate) payments: Peer,
    pub(crate) shipping: Peer,
    /// The wait before undoing is tried again; it doubles each time.
    pub(crate) undo_wait: Duration,
}

#[derive(Deserialize)]
struct Paid {
    version: String,
}

#[derive(Deserialize)]
struct Shipped {
    tracking: String,
}

impl Checkout {
    /// Takes an order to one of its ends, calling `seen` after each step.
    pub(crate) async fn run(&self, order: &mut Order, wanted: &Wanted, seen: impl Fn(&Order)) {
        if let Err(error) = self.forward(order, wanted, &seen).await {
            let undone = self.undo(order, &error).await;
            order.reason = Some(error.to_string());
            order.state = match (undone, error) {
                (false, _) => State::Stuck,
                (true, CallError::Refused { .. }) => State::Declined,
                (true, CallError::Unknown(_)) => State::Failed,
            };
        }
        seen(order);
        let fields = json!({
            "order": order.id, "state": order.state, "reason": order.reason,
            "paid_by": order.paid_by, "total_cents": order.total_cents,
        });
        match order.state {
            State::Stuck => log::error("order could not be undone", fields),
            State::Failed => log::warn("order failed", fields),
            _ => log::info("order done", fields),
        }
    }

    async fn forward(
        &self,
        order: &mut Order,
        wanted: &Wanted,
        seen: &impl Fn(&Order),
    ) -> Result<(), CallError> {
        let lines = json!({ "lines": wanted.lines });
        self.stock.call::<()>(Method::PUT, &reservation(order), lines).await?;
        order.state = State::Reserved;
        seen(order);

        let charge = json!({ "card": wanted.card, "amount_cents": order.total_cents });
        let paid: Paid = self.payments.call(Method::PUT, &payment(order), charge).await?;
        order.paid_by = Some(paid.version);
        order.state = State::Paid;
        seen(order);

        let parcel = json!({ "order": order.id, "address": wanted.address });
        let shipped: Shipped = self.shipping.call(Method::POST, "/shipments", parcel).await?;
        order.tracking = Some(shipped.tracking);
        order.state = State::Shipped;
        Ok(())
    }

    /// Undoes the steps before the failed one, and that one too unless it said that it did
    /// nothing. False when something is left to undo.
    async fn undo(&self, order: &Order, error: &CallError) -> bool {
        let unknown = matches!(error, CallError::Unknown(_));
        let (refund, release) = match order.state {
            State::Placed => (false, unknown),
            State::Reserved => (unknown, true),
            _ => (true, true),
        };
        let refunded = !refund || self.undo_at(&self.payments, &payment(order)).await;
        let released = !release || self.undo_at(&self.stock, &reservation(order)).await;
        refunded && released
    }

    async fn undo_at(&self, peer: &Peer, path: &str) -> bool {
        let mut wait = self.undo_wait;
        for attempt in 1..=UNDO_ATTEMPTS {
            let Err(error) = peer.call::<()>(Method::DELETE, path, ()).await else { return true };
            let error = error.to_string();
            log::warn("undo failed", json!({ "path": path, "attempt": attempt, "error": error }));
            if attempt < UNDO_ATTEMPTS {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        }
        false
    }
}

fn reservation(order: &Order) -> String {
    format!("/reservations/{}", order.id)
}

fn payment(order: &Order) -> String {
    format!("/payments/{}", order.id)
}

#[cfg(test)]
mod tests;
