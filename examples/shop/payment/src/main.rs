//! Takes money, or declines to. Talks to no bank: whether a card is good can be told from its
//! number, as with the test cards of real payment providers.
//!
//! - `PUT /payments/{order}`: charges a card
//! - `DELETE /payments/{order}`: gives the money back
//!
//! Every answer names the version that gave it, so that a split between two versions can be seen.

use std::process::ExitCode;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::put;
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use shop_chassis::{Problem, exit, log, serve};

/// Cards that end like this are declined.
const DECLINED_ENDING: &str = "0002";

#[tokio::main]
async fn main() -> ExitCode {
    let version = std::env::var("VERSION").unwrap_or_else(|_| "stable".into());
    exit(serve(router(version.into())).await)
}

/// What this instance calls itself.
type Version = Arc<str>;

fn router(version: Version) -> Router {
    Router::new().route("/payments/{order}", put(pay).delete(refund)).with_state(version)
}

#[derive(Deserialize)]
struct Payment {
    card: String,
    amount_cents: u64,
}

async fn pay(
    State(version): State<Version>,
    Path(order): Path<String>,
    Json(payment): Json<Payment>,
) -> Result<Json<Value>, Problem> {
    let digits: String = payment.card.chars().filter(char::is_ascii_digit).collect();
    // Never the card itself: logs outlive their purpose.
    let fields =
        json!({ "order": order, "amount_cents": payment.amount_cents, "version": *version });
    if let Err(reason) = check(&digits) {
        log::info("declined", fields);
        return Err(Problem::new(StatusCode::PAYMENT_REQUIRED, reason));
    }
    log::info("paid", fields);
    Ok(Json(json!({ "version": *version })))
}

async fn refund(State(version): State<Version>, Path(order): Path<String>) -> StatusCode {
    log::info("refunded", json!({ "order": order, "version": *version }));
    StatusCode::NO_CONTENT
}

fn check(digits: &str) -> Result<(), &'static str> {
    if !(12..=19).contains(&digits.len()) {
        return Err("that is not the number of a card");
    }
    if digits.ends_with(DECLINED_ENDING) {
        return Err("the card was declined");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_card_is_judged_by_its_number() {
        assert_eq!(check("4242424242424242"), Ok(()));
        assert_eq!(check("4000000000000002"), Err("the card was declined"));
        assert_eq!(check("0002"), Err("that is not the number of a card"));
        assert!(check("").is_err());
    }
}
