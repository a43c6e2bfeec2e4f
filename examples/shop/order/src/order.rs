//! An order, and what a buyer sends to place one.

use serde::{Deserialize, Serialize};

/// The most of one good, and the most lines, in an order.
const QUANTITY_MAX: u64 = 1000;
const LINES_MAX: usize = 100;

/// An order as the buyer sees it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) placed_ms: u64,
    pub(crate) lines: Vec<Line>,
    pub(crate) total_cents: u64,
    pub(crate) state: State,
    /// Why it ended as it did, when it did not end well.
    pub(crate) reason: Option<String>,
    /// The version of the payment service that took the money.
    pub(crate) paid_by: Option<String>,
    /// Where the parcel is.
    pub(crate) tracking: Option<String>,
}

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Nothing was asked for yet.
    Placed,
    /// The goods are set aside.
    Reserved,
    /// The money is there.
    Paid,
    /// The parcel is on its way. The good end.
    Shipped,
    /// The shop or the card said no, and everything is as before.
    Declined,
    /// A service failed, and everything is as before.
    Failed,
    /// A service failed, and undoing did too: someone has to look.
    Stuck,
}

/// What a buyer wants.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) lines: Vec<Line>,
    pub(crate) card: String,
    pub(crate) address: String,
}

/// So many of one good.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Line {
    pub(crate) sku: String,
    pub(crate) quantity: u64,
}

/// A good as stock lists it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Good {
    sku: String,
    title: String,
    price_cents: u64,
    quantity: u64,
}

impl Wanted {
    /// Refuses what no shop would take.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.lines.is_empty() || self.lines.len() > LINES_MAX {
            return Err(format!("an order has 1 to {LINES_MAX} lines"));
        }
        if self.lines.iter().any(|line| !(1..=QUANTITY_MAX).contains(&line.quantity)) {
            return Err(format!("order 1 to {QUANTITY_MAX} of a good"));
        }
        Ok(())
    }

    /// What it costs.
    pub(crate) fn total_cents(&self, goods: &[Good]) -> Result<u64, String> {
        let mut total: u64 = 0;
        for Line { sku, quantity } in &self.lines {
            let good = goods.iter().find(|good| good.sku == *sku);
            let good = good.ok_or_else(|| format!("there is no {sku:?} in this shop"))?;
            let price = good.price_cents.checked_mul(*quantity);
            total = price.and_then(|price| total.checked_add(price)).ok_or("that is too much")?;
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(lines: &[(&str, u64)]) -> Wanted {
        let line = |&(sku, quantity): &(&str, u64)| Line { sku: sku.into(), quantity };
        let lines = lines.iter().map(line).collect();
        Wanted { lines, card: "4242424242424242".into(), address: "1 Main Street".into() }
    }

    #[test]
    fn a_total_is_the_sum_over_the_lines() {
        let good = |sku: &str, price_cents| Good {
            sku: sku.into(),
            title: sku.into(),
            price_cents,
            quantity: 1,
        };
        let goods = [good("mug", 1450), good("tea", 890), good("yacht", u64::MAX)];
        assert_eq!(wanted(&[("mug", 2), ("tea", 1)]).total_cents(&goods), Ok(3790));
        assert!(wanted(&[("hat", 1)]).total_cents(&goods).unwrap_err().contains("\"hat\""));
        assert_eq!(wanted(&[("yacht", 2)]).total_cents(&goods), Err("that is too much".into()));
    }

    #[test]
    fn an_order_has_some_lines_of_sensible_quantity() {
        assert!(wanted(&[("mug", 1)]).check().is_ok());
        for bad in [&[][..], &[("mug", 0)], &[("mug", QUANTITY_MAX + 1)], &[("mug", 1); 101]] {
            assert!(wanted(bad).check().is_err());
        }
    }
}
