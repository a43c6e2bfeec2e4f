//! Follows the bytes of an HTTP/1.1 connection and says which may be handed on.
//!
//! The inspector sees everything a client sends before the HTTP library does. It releases a head
//! only once it is whole and keeps every rule of [`inspect_head`], then the body by its framing,
//! then the next head, so that both always agree where a request ends. After a refusal nothing is
//! released any more.

use crate::chunked::Chunked;
use crate::find::find;
use crate::{BodyLength, Limits, Refusal, inspect_head};

/// The state of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspector {
    state: State,
    limits: Limits,
    heads: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Unreleased bytes before `line` hold whole lines, those before `seen` were searched.
    Head {
        line: usize,
        seen: usize,
    },
    Length(u64),
    Chunked(Chunked),
    Held,
    Tunnel,
    Refused(Next),
}

/// What comes after the released bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More bytes are needed to say more.
    Bytes,
    /// Nothing, until the request's answer is known: [`Inspector::upgraded`] or
    /// [`Inspector::declined`].
    Answer,
    /// Nothing ever: the request whose head begins here is refused.
    RefuseHead(Refusal),
    /// Nothing ever: the body being released is malformed.
    RefuseBody(Refusal),
}

impl Inspector {
    /// At the start of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { state: State::Head { line: 0, seen: 0 }, limits, heads: 0 }
    }

    /// How many heads were released.
    #[must_use]
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether the next byte begins a request.
    #[must_use]
    pub fn is_between_requests(&self) -> bool {
        matches!(self.state, State::Head { .. })
    }

    /// Looks at `bytes`: all that were received and not yet released. Returns how many of them may
    /// be released now, and what comes next. The rest must be shown again with what follows it.
    pub fn inspect(&mut self, bytes: &[u8]) -> (usize, Next) {
        let mut released = 0;
        loop {
            let rest = &bytes[released..];
            match self.step(rest) {
                Ok(Some(count)) => released += count,
                Ok(None) if matches!(self.state, State::Held) => return (released, Next::Answer),
                Ok(None) if self.is_between_requests() => return (released, Next::Bytes),
                Ok(None) => return (bytes.len(), Next::Bytes),
                Err(refusal) => {
                    let next = match self.state {
                        State::Refused(next) => next,
                        State::Head { .. } => Next::RefuseHead(refusal),
                        _ => Next::RefuseBody(refusal),
                    };
                    self.state = State::Refused(next);
                    return (released, next);
                }
            }
        }
    }

    /// The held request was answered with 101: every byte from here on is released.
    pub fn upgraded(&mut self) {
        self.resolve(State::Tunnel);
    }

    /// The held request was answered otherwise: what follows it is the next request.
    pub fn declined(&mut self) {
        self.resolve(State::Head { line: 0, seen: 0 });
    }

    fn resolve(&mut self, state: State) {
        if matches!(self.state, State::Held) {
            self.state = state;
        }
    }

    /// One head or body: `Some(n)` when it is complete after `n` bytes, `None` when it is not.
    fn step(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        match &mut self.state {
            State::Head { line, seen } => {
                let Some(end) = find_head_end(bytes, line, seen)? else {
                    let is_too_large = bytes.len() > self.limits.head_size_max;
                    return if is_too_large { Err(Refusal::HeadersTooLarge) } else { Ok(None) };
                };
                let head = inspect_head(without_empty_line(&bytes[..end]), self.limits)?;
                self.heads += 1;
                self.state = match head.body {
                    _ if head.is_websocket => State::Held,
                    BodyLength::Chunked => State::Chunked(Chunked::new()),
                    BodyLength::Exactly(0) => State::Head { line: 0, seen: 0 },
                    BodyLength::Exactly(length) => State::Length(length),
                };
                Ok(Some(end))
            }
            State::Length(left) => {
                let here = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                if here < *left {
                    *left -= here;
                    return Ok(None);
                }
                let count = usize::try_from(*left).unwrap_or(usize::MAX);
                self.state = State::Head { line: 0, seen: 0 };
                Ok(Some(count))
            }
            State::Chunked(body) => {
                let end = body.advance(bytes)?;
                if end.is_some() {
                    self.state = State::Head { line: 0, seen: 0 };
                }
                Ok(end)
            }
            State::Held | State::Tunnel => Ok(None),
            State::Refused(Next::RefuseHead(refusal) | Next::RefuseBody(refusal)) => Err(*refusal),
            State::Refused(Next::Bytes | Next::Answer) => {
                unreachable!("only refusals are kept as such")
            }
        }
    }
}

/// The end of the first empty line, searching only what was not searched before. A bare line feed
/// is refused at once: a client that sends them would wait for an answer to what never ends.
fn find_head_end(
    bytes: &[u8],
    line: &mut usize,
    seen: &mut usize,
) -> Result<Option<usize>, Refusal> {
    while let Some(found) = find(b'\n', &bytes[*seen..]) {
        let feed = *seen + found;
        if feed == *line || bytes[feed - 1] != b'\r' {
            return Err(Refusal::BareLineFeed);
        }
        let is_empty = feed - 1 == *line;
        let is_first = *line == 0;
        *line = feed + 1;
        *seen = feed + 1;
        if is_empty && !is_first {
            return Ok(Some(feed + 1));
        }
    }
    *seen = bytes.len();
    Ok(None)
}

/// One empty line before the request line is forgiven (RFC 9112 §2.2).
fn without_empty_line(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\r\n").unwrap_or(head)
}

#[cfg(test)]
mod tests;
