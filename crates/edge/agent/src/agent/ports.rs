//! The ports of a node's instances.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use synod_manifest::Port;

use crate::start_check::{StartError, choose_ports};

/// The ports that instances have, with how many of them have each: a fixed one may for a moment
/// belong to two.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    held: Mutex<BTreeMap<u16, u32>>,
}

/// Ports of one instance, kept from others until this is dropped.
#[derive(Debug)]
pub(crate) struct HeldPorts {
    ports: Arc<Ports>,
    pub(crate) numbers: BTreeMap<String, u16>,
}

impl Ports {
    /// Chooses ports that no other instance has, and holds them at once: it may be long until the
    /// instance listens, and till then the system would give them to the next that asks.
    pub(crate) fn choose(self: &Arc<Self>, wanted: &[Port]) -> Result<HeldPorts, StartError> {
        let mut held = self.held();
        let numbers = choose_ports(wanted, |number| held.contains_key(&number))?;
        count(&mut held, &numbers);
        drop(held);
        Ok(HeldPorts { ports: Arc::clone(self), numbers })
    }

    /// Holds the ports of an instance that runs already.
    pub(crate) fn hold(self: &Arc<Self>, numbers: BTreeMap<String, u16>) -> HeldPorts {
        count(&mut self.held(), &numbers);
        HeldPorts { ports: Arc::clone(self), numbers }
    }

    /// No code that may panic runs under this lock, so poison cannot mean a torn map.
    fn held(&self) -> MutexGuard<'_, BTreeMap<u16, u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(held: &mut BTreeMap<u16, u32>, numbers: &BTreeMap<String, u16>) {
    for number in numbers.values() {
        *held.entry(*number).or_default() += 1;
    }
}

impl Drop for HeldPorts {
    fn drop(&mut self) {
        let mut held = self.ports.held();
        for number in self.numbers.values() {
            if let Some(count) = held.get_mut(number) {
                *count -= 1;
            }
        }
        held.retain(|_, count| *count > 0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use synod_manifest::Protocol;

    use super::*;

    #[test]
    fn a_port_is_chosen_once_until_it_is_let_go() {
        let ports = Arc::new(Ports::default());
        let wanted = [Port { name: "http".into(), number: None, protocol: Protocol::Http }];
        let chosen: Vec<_> = (0..2000).map(|_| ports.choose(&wanted).unwrap()).collect();
        let numbers: BTreeSet<u16> = chosen.iter().map(|held| held.numbers["http"]).collect();
        assert_eq!(numbers.len(), chosen.len());
        // Taken up by another agent task while the first still has it.
        let again = ports.hold(chosen[0].numbers.clone());
        drop(chosen);
        assert_eq!(ports.held().len(), 1);
        drop(again);
        assert!(ports.held().is_empty());
    }
}
