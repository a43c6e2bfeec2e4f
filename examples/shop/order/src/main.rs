//! The shop's public face: its page, its API, and the course of an order through the other
//! services. Orders are kept in memory.
//!
//! - `GET /`: the page
//! - `GET /api/goods`: what can be ordered
//! - `POST /api/orders`: places an order and answers with how it went
//! - `GET /api/orders`: the latest orders, newest first
//! - `GET /api/orders/{id}`: one order

mod book;
mod checkout;
mod order;

use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use http::{Method, StatusCode};
use serde_json::Value;
use shop_chassis::{Peer, Problem, exit, serve};
use tokio_util::task::TaskTracker;

use crate::book::Book;
use crate::checkout::Checkout;
use crate::order::{Good, Order, Wanted};

/// How many orders the page shows.
const LATEST: usize = 20;

#[tokio::main]
async fn main() -> ExitCode {
    exit(run().await)
}

async fn run() -> io::Result<()> {
    let shop = Shop {
        book: Arc::new(Mutex::new(Book::new(shop_chassis::log::now_ms()))),
        checkout: Checkout {
            stock: Peer::from_env("STOCK_URL")?,
            payments: Peer::from_env("PAYMENTS_URL")?,
            shipping: Peer::from_env("SHIPPING_URL")?,
            undo_wait: Duration::from_millis(100),
        },
        under_way: TaskTracker::new(),
    };
    let under_way = shop.under_way.clone();
    serve(router(shop)).await?;
    // An order goes its course even when the buyer has closed the page; so it does at the end.
    under_way.close();
    under_way.wait().await;
    Ok(())
}

#[derive(Clone)]
struct Shop {
    book: Arc<Mutex<Book>>,
    checkout: Checkout,
    under_way: TaskTracker,
}

impl Shop {
    fn book(&self) -> MutexGuard<'_, Book> {
        // Every change of the book is a single write, so poison cannot mean a torn one.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn router(shop: Shop) -> Router {
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/api/goods", get(goods))
        .route("/api/orders", get(latest).post(place))
        .route("/api/orders/{id}", get(one))
        .with_state(shop)
}

async fn goods(State(shop): State<Shop>) -> Result<Json<Vec<Good>>, Problem> {
    Ok(Json(list_goods(&shop).await?))
}

async fn list_goods(shop: &Shop) -> Result<Vec<Good>, Problem> {
    let goods = shop.checkout.stock.call(Method::GET, "/goods", Value::Null).await;
    goods.map_err(|error| {
        Problem::new(StatusCode::BAD_GATEWAY, format!("stock cannot be asked: {error}"))
    })
}

async fn place(
    State(shop): State<Shop>,
    Json(wanted): Json<Wanted>,
) -> Result<(StatusCode, Json<Order>), Problem> {
    let unfit = |reason| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, reason);
    wanted.check().map_err(unfit)?;
    let total_cents = wanted.total_cents(&list_goods(&shop).await?).map_err(unfit)?;
    let order = shop.book().open(&wanted, total_cents);

    let course = shop.clone();
    let task = async move {
        let mut order = order;
        course.checkout.run(&mut order, &wanted, |order| course.book().update(order)).await;
        order
    };
    // A task of its own, so that a buyer who hangs up does not cut it off half-way.
    let order = shop.under_way.spawn(task).await.map_err(|panic| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the order was lost: {panic}"))
    })?;
    Ok((StatusCode::CREATED, Json(order)))
}

async fn latest(State(shop): State<Shop>) -> Json<Vec<Order>> {
    Json(shop.book().latest(LATEST))
}

async fn one(State(shop): State<Shop>, Path(id): Path<String>) -> Result<Json<Order>, Problem> {
    let found = shop.book().find(&id);
    found.map(Json).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("no order {id}")))
}
