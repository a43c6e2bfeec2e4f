//! Goods and reservations as a value.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// Goods, and what each order has taken of them.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    goods: BTreeMap<String, Good>,
    reservations: BTreeMap<String, Vec<Line>>,
}

/// Something to sell.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Good {
    pub(crate) title: String,
    pub(crate) price_cents: u64,
    pub(crate) quantity: u64,
}

/// So many of one good.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Line {
    sku: String,
    quantity: u64,
}

/// Why an order cannot be reserved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Too few are left.
    OutOfStock { title: String, left: u64 },
    /// There is no such good.
    Unknown { sku: String },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfStock { title, left: 0 } => write!(f, "{title} is sold out"),
            Self::OutOfStock { title, left } => write!(f, "only {left} of {title} left"),
            Self::Unknown { sku } => write!(f, "there is no {sku:?} in this shop"),
        }
    }
}

impl Shelf {
    /// All goods by stock-keeping unit.
    pub(crate) fn goods(&self) -> impl Iterator<Item = (&String, &Good)> {
        self.goods.iter()
    }

    /// Sets a good; false when it was to be left alone.
    pub(crate) fn set(&mut self, sku: &str, good: Good, only_if_absent: bool) -> bool {
        if only_if_absent && self.goods.contains_key(sku) {
            return false;
        }
        self.goods.insert(sku.into(), good);
        true
    }

    /// Takes all lines or none. Asking again for the same order takes nothing more, so a caller
    /// that lost the answer may repeat itself.
    pub(crate) fn reserve(&mut self, order: &str, lines: Vec<Line>) -> Result<(), Missing> {
        if self.reservations.contains_key(order) {
            return Ok(());
        }
        let mut goods = self.goods.clone();
        for Line { sku, quantity } in &lines {
            let good = goods.get_mut(sku).ok_or_else(|| Missing::Unknown { sku: sku.clone() })?;
            let left = good.quantity;
            good.quantity = left
                .checked_sub(*quantity)
                .ok_or_else(|| Missing::OutOfStock { title: good.title.clone(), left })?;
        }
        self.goods = goods;
        self.reservations.insert(order.into(), lines);
        Ok(())
    }

    /// Puts back what an order took; false when it had taken nothing.
    pub(crate) fn release(&mut self, order: &str) -> bool {
        let Some(lines) = self.reservations.remove(order) else { return false };
        for Line { sku, quantity } in lines {
            if let Some(good) = self.goods.get_mut(&sku) {
                good.quantity = good.quantity.saturating_add(quantity);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> Shelf {
        let mut shelf = Shelf::default();
        for (sku, quantity) in [("mug", 3), ("tea", 5)] {
            let good = Good { title: sku.into(), price_cents: 100, quantity };
            assert!(shelf.set(sku, good, true));
        }
        shelf
    }

    fn lines(lines: &[(&str, u64)]) -> Vec<Line> {
        lines.iter().map(|&(sku, quantity)| Line { sku: sku.into(), quantity }).collect()
    }

    fn left(shelf: &Shelf) -> Vec<u64> {
        shelf.goods().map(|(_, good)| good.quantity).collect()
    }

    #[test]
    fn an_order_takes_everything_or_nothing() {
        let mut shelf = shelf();
        let missing = shelf.reserve("a", lines(&[("tea", 1), ("mug", 4)])).unwrap_err();
        assert_eq!(missing.to_string(), "only 3 of mug left");
        assert_eq!(left(&shelf), [3, 5]);
        shelf.reserve("a", lines(&[("tea", 1), ("mug", 3)])).unwrap();
        assert_eq!(left(&shelf), [0, 4]);
        let missing = shelf.reserve("b", lines(&[("mug", 1)])).unwrap_err();
        assert_eq!(missing.to_string(), "mug is sold out");
        let unknown = shelf.reserve("b", lines(&[("hat", 1)]));
        assert_eq!(unknown, Err(Missing::Unknown { sku: "hat".into() }));
    }

    #[test]
    fn lines_of_one_good_add_up() {
        let mut shelf = shelf();
        assert!(shelf.reserve("a", lines(&[("mug", 2), ("mug", 2)])).is_err());
        assert_eq!(left(&shelf), [3, 5]);
    }

    #[test]
    fn reserving_and_releasing_twice_count_once() {
        let mut shelf = shelf();
        shelf.reserve("a", lines(&[("tea", 2)])).unwrap();
        shelf.reserve("a", lines(&[("tea", 2)])).unwrap();
        assert_eq!(left(&shelf), [3, 3]);
        assert!(shelf.release("a"));
        assert!(!shelf.release("a"));
        assert_eq!(left(&shelf), [3, 5]);
    }

    #[test]
    fn seeding_again_leaves_what_is_there() {
        let mut shelf = shelf();
        let more = Good { title: "tea".into(), price_cents: 100, quantity: 50 };
        assert!(!shelf.set("tea", more.clone(), true));
        assert_eq!(left(&shelf), [3, 5]);
        assert!(shelf.set("tea", more, false));
        assert_eq!(left(&shelf), [3, 50]);
    }
}
