//! Orders against peers that do as they are told and note what they are asked.

use std::sync::{Arc, Mutex};

use axum::extract::{Request, State as Shared};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::book::Book;
use crate::order::Line;

type Calls = Arc<Mutex<Vec<String>>>;

/// A peer that answers all PUT and POST with one status, and DELETE with another.
async fn peer(calls: &Calls, act: StatusCode, undo: StatusCode) -> Peer {
    let answer = move |Shared(calls): Shared<Calls>, request: Request| async move {
        let method = request.method().clone();
        let what = request.uri().path().split('/').nth(1).unwrap_or_default();
        calls.lock().unwrap().push(format!("{method} {what}"));
        let status = if method == Method::DELETE { undo } else { act };
        let body = json!({ "version": "v1", "tracking": "T1", "error": format!("{what} says no") });
        (status, Json(if status == StatusCode::NO_CONTENT { Value::Null } else { body }))
    };
    let router = Router::new().fallback(answer).with_state(calls.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Peer::new(&url).unwrap()
}

/// Runs an order where each step answers as given, and returns it with the calls it made.
async fn run(steps: [u16; 3], undo: u16) -> (Order, Vec<String>) {
    let calls = Calls::default();
    let undo = StatusCode::from_u16(undo).unwrap();
    let [stock, payments, shipping] = steps.map(|step| StatusCode::from_u16(step).unwrap());
    let checkout = Checkout {
        stock: peer(&calls, stock, undo).await,
        payments: peer(&calls, payments, undo).await,
        shipping: peer(&calls, shipping, undo).await,
        undo_wait: Duration::from_millis(1),
    };
    let wanted = Wanted {
        lines: vec![Line { sku: "tea".into(), quantity: 1 }],
        card: "4242424242424242".into(),
        address: "1 Main Street".into(),
    };
    let mut order = Book::new(0).open(&wanted, 890);
    checkout.run(&mut order, &wanted, |_| {}).await;
    let calls = calls.lock().unwrap().clone();
    (order, calls)
}

#[tokio::test]
async fn a_good_order_is_reserved_paid_and_shipped() {
    let (order, calls) = run([204, 200, 201], 204).await;
    assert_eq!(calls, ["PUT reservations", "PUT payments", "POST shipments"]);
    assert_eq!(order.state, State::Shipped);
    assert_eq!((order.paid_by.as_deref(), order.tracking.as_deref()), (Some("v1"), Some("T1")));
}

#[tokio::test]
async fn what_is_out_of_stock_leaves_nothing_to_undo() {
    let (order, calls) = run([409, 200, 201], 204).await;
    assert_eq!(calls, ["PUT reservations"]);
    assert_eq!(order.state, State::Declined);
    assert_eq!(order.reason.as_deref(), Some("reservations says no"));
}

#[tokio::test]
async fn a_declined_card_releases_the_goods() {
    let (order, calls) = run([204, 402, 201], 204).await;
    assert_eq!(calls, ["PUT reservations", "PUT payments", "DELETE reservations"]);
    assert_eq!(order.state, State::Declined);
}

#[tokio::test]
async fn a_payment_of_unknown_outcome_is_refunded() {
    let (order, calls) = run([204, 503, 201], 204).await;
    let undone = ["DELETE payments", "DELETE reservations"];
    assert_eq!(calls[2..], undone);
    assert_eq!(order.state, State::Failed);
}

#[tokio::test]
async fn a_refused_shipment_undoes_payment_then_reservation() {
    let (order, calls) = run([204, 200, 422], 204).await;
    assert_eq!(calls[3..], ["DELETE payments", "DELETE reservations"]);
    assert_eq!(order.state, State::Declined);
}

#[tokio::test]
async fn what_cannot_be_undone_is_tried_again_and_then_stuck() {
    let (order, calls) = run([500, 200, 201], 500).await;
    assert_eq!(calls.len(), 1 + UNDO_ATTEMPTS as usize);
    assert_eq!(order.state, State::Stuck);
}
