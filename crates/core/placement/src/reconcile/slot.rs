//! One slot, read: who is in it, and in which part.

use synod_manifest::Kind;

use super::View;
use crate::{Desired, Observed};

/// Where an instance stands between made and gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It ended, or nobody runs it: its node is gone, or it never had one.
    Dead,
    /// It was never started.
    Held,
    /// It runs, or its agent is about to start it.
    Live,
    /// It was asked to end and has not yet.
    Stopping,
}

pub(super) fn standing(view: &View<'_>, observed: Observed<'_>) -> Standing {
    let Observed { instance, status } = observed;
    if observed.is_exited() {
        return Standing::Dead;
    }
    if instance.desired == Desired::Hold && status.is_none() {
        return Standing::Held;
    }
    let lives_on = |name: &String| view.nodes.iter().any(|load| load.node.name == *name);
    if !instance.node.as_ref().is_some_and(lives_on) {
        return Standing::Dead;
    }
    if instance.desired == Desired::Stop { Standing::Stopping } else { Standing::Live }
}

/// The instances of a slot by the part that they play.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    pub(super) number: u32,
    /// A task's good end.
    pub(super) done: Option<Observed<'a>>,
    /// The one that runs, or is held to run, what the job asks for now.
    pub(super) fresh: Option<Observed<'a>>,
    /// One of an earlier version that takes requests.
    pub(super) serving: Option<Observed<'a>>,
    /// What must go whatever happens: doubles, and all of earlier versions that does not serve.
    pub(super) surplus: Vec<Observed<'a>>,
    /// What is on its way out.
    leaving: usize,
    /// What has ended, oldest first.
    pub(super) dead: Vec<Observed<'a>>,
    /// Whether it is this slot's turn to be replaced.
    pub(super) roll: bool,
    /// Whether the version that is wanted was tried here beside the serving one, and failed.
    tried: bool,
}

impl<'a> Slot<'a> {
    pub(super) fn new(view: &View<'a>, number: u32) -> Self {
        let mut here = view.instances.clone();
        here.retain(|observed| observed.instance.slot == number);
        here.sort_by_key(|observed| (observed.instance.serial(), &observed.instance.id));
        let mut slot = Self {
            number,
            done: None,
            fresh: None,
            serving: None,
            surplus: Vec::new(),
            leaving: 0,
            dead: Vec::new(),
            roll: false,
            tried: false,
        };
        for observed in here {
            slot.add(view, observed);
        }
        slot
    }

    /// Takes in the next instance; later ones win over earlier ones of the same part.
    fn add(&mut self, view: &View<'a>, observed: Observed<'a>) {
        let is_current = observed.is_current(view.job);
        let standing = standing(view, observed);
        // Held, and yet somebody runs it: nothing that this control plane did.
        let is_odd = standing == Standing::Live && observed.instance.desired == Desired::Hold;
        match standing {
            Standing::Dead => {
                if view.job.spec.kind == Kind::Task && is_current && observed.is_done() {
                    self.done = Some(observed);
                }
                self.tried |= is_current;
                self.dead.push(observed);
            }
            Standing::Held | Standing::Live if is_current && !is_odd => {
                let better = |old: &Observed<'_>| rank(view, observed) >= rank(view, *old);
                let wins = self.fresh.as_ref().is_none_or(better);
                let loser = if wins { self.fresh.replace(observed) } else { Some(observed) };
                self.give_up(view, loser);
            }
            Standing::Live if observed.is_ready() => {
                let loser = self.serving.replace(observed);
                self.give_up(view, loser);
            }
            Standing::Held | Standing::Live => self.give_up(view, Some(observed)),
            Standing::Stopping => self.leaving += 1,
        }
    }

    fn give_up(&mut self, view: &View<'a>, loser: Option<Observed<'a>>) {
        let Some(loser) = loser else { return };
        self.leaving += usize::from(standing(view, loser) == Standing::Live);
        self.surplus.push(loser);
    }

    /// How many are on their way out, those included that are told so now.
    pub(super) fn stopping(&self) -> usize {
        self.leaving
    }

    /// Whether the slot serves and nothing about it is under way.
    pub(super) fn is_calm(&self) -> bool {
        let fresh_serves = self.fresh.is_some_and(|fresh| fresh.is_ready());
        self.done.is_some() || fresh_serves || self.is_outdated()
    }

    /// Whether the slot serves with an earlier version, and its replacing has not begun.
    pub(super) fn is_outdated(&self) -> bool {
        self.serving.is_some() && self.fresh.is_none() && !self.tried
    }

    /// Whether the slot serves with an earlier version, and its replacing has begun.
    pub(super) fn is_rolling(&self) -> bool {
        self.serving.is_some() && !self.is_outdated()
    }
}

/// Of two current instances of a slot the one to keep has the greater rank.
fn rank(view: &View<'_>, observed: Observed<'_>) -> (bool, bool) {
    (observed.is_ready(), standing(view, observed) == Standing::Live)
}
