//! What the shop has, and who has reserved it. Kept in memory: a restart forgets it, and the seed
//! task fills it again.
//!
//! - `GET /goods`: everything, by stock-keeping unit
//! - `PUT /goods/{sku}`: sets a good; with `If-None-Match: *` only when it is not there yet
//! - `PUT /reservations/{order}`: takes all lines of an order, or none
//! - `DELETE /reservations/{order}`: puts them back

mod shelf;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::routing::{get, put};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use shop_chassis::{Problem, exit, log, serve};

use crate::shelf::{Good, Line, Shelf};

#[tokio::main]
async fn main() -> ExitCode {
    exit(serve(router(Stock::default())).await)
}

#[derive(Clone, Default)]
struct Stock(Arc<Mutex<Shelf>>);

impl Stock {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // Nothing panics between two writes to the shelf, so poison cannot mean a torn one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn router(stock: Stock) -> Router {
    Router::new()
        .route("/goods", get(list))
        .route("/goods/{sku}", put(set))
        .route("/reservations/{order}", put(reserve).delete(release))
        .with_state(stock)
}

async fn list(State(stock): State<Stock>) -> Json<Value> {
    let shelf = stock.shelf();
    let goods = shelf.goods().map(|(sku, good)| {
        let Good { title, price_cents, quantity } = good;
        json!({ "sku": sku, "title": title, "price_cents": price_cents, "quantity": quantity })
    });
    Json(goods.collect())
}

async fn set(
    State(stock): State<Stock>,
    Path(sku): Path<String>,
    headers: HeaderMap,
    Json(good): Json<Good>,
) -> Result<StatusCode, Problem> {
    let only_if_absent = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == "*");
    if stock.shelf().set(&sku, good, only_if_absent) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, format!("{sku} is there already")))
}

#[derive(Deserialize)]
struct Reservation {
    lines: Vec<Line>,
}

async fn reserve(
    State(stock): State<Stock>,
    Path(order): Path<String>,
    Json(wanted): Json<Reservation>,
) -> Result<StatusCode, Problem> {
    let reserved = stock.shelf().reserve(&order, wanted.lines);
    reserved.map_err(|missing| Problem::new(StatusCode::CONFLICT, missing.to_string()))?;
    log::info("reserved", json!({ "order": order }));
    Ok(StatusCode::NO_CONTENT)
}

async fn release(State(stock): State<Stock>, Path(order): Path<String>) -> StatusCode {
    if stock.shelf().release(&order) {
        log::info("released", json!({ "order": order }));
    }
    StatusCode::NO_CONTENT
}
